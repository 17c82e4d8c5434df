"""The lean guest's first root: a static busybox, the boot modules and one script.

The script mounts the host's root read-only over 9p under an overlay in memory, loads what was asked for, runs the job
and powers the guest off. Nothing is installed in the guest and nothing is written to the host but the job's share.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from pathlib import Path

from simulator.qemu.cache import apt_download, entry, find_tool, unpack
from simulator.qemu.cpio import archive
from simulator.qemu.foreign import foreign_root
from simulator.qemu.kernel import Kernel

BOOT_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")

# In the guest: where the host's share is, and where modules come from when the kernel itself asks for one.
SHARE = "/run/guest"

_INIT = """#!/bin/busybox sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
b=/bin/busybox
fail() { echo "guest: $*"; $b poweroff -f; }
$b mkdir -p /proc /sys /dev /host /memory /new
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
while read -r module; do $b insmod "$module" || fail "insmod $module"; done < /boot-modules
share() { $b mount -t 9p -o "trans=virtio,version=9p2000.L,msize=512000,$3" "$1" "$2" || fail "9p $1"; }
share hostroot /host ro,cache=loose
$b mount -t tmpfs -o mode=755 memory /memory
$b mkdir /memory/upper /memory/work
$b mount -t overlay -o lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work overlay /new || fail overlay
for folder in run tmp dev/shm var/lib/modem-agent; do
  $b mkdir -p "/new/$folder"
done
$b mount --move /proc /new/proc
$b mount --move /sys /new/sys
$b mount --move /dev /new/dev
$b mount -t tmpfs -o mode=755 run /new/run
$b mkdir -p /new/dev/pts /new/dev/shm /new/run/guest /new/run/lock
$b mount -t devpts devpts /new/dev/pts
$b mount -t tmpfs shm /new/dev/shm
share share /new/run/guest rw,cache=none
exec $b switch_root /new /bin/sh /run/guest/stage
"""

# A module helper of our own: the host's root may have no modprobe, and its modules are another kernel's.
_STAGE = """PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH HOME=/root
mkdir -p /run/bin /lib/modules
mount --bind {modules} /lib/modules 2>/dev/null || echo "guest: no modules"
mount -t tmpfs -o mode=755 bin /run/bin
cp {busybox} /run/bin/busybox
for applet in modprobe insmod rmmod lsmod; do ln -s busybox /run/bin/$applet; done
PATH=/run/bin:$PATH
echo /run/bin/modprobe > /proc/sys/kernel/modprobe
busybox ip link set lo up
{load}
cd {folder} || cd /
( {job} ) > /run/guest/output 2>&1 < /dev/null
echo $? > /run/guest/exit
sync
busybox poweroff -f
"""


def find_busybox(architecture: str = "amd64") -> str:
    """A static busybox: the host's own, else one from Debian's busybox-static in the cache."""
    if architecture != "amd64":
        return str(foreign_root(architecture) / "bin/busybox")
    own = find_tool("busybox", "busybox-static")
    if _is_static(own):
        return own

    def build(folder: Path) -> None:
        package = apt_download("busybox-static", folder)
        unpack(package, folder)
        package.unlink()

    return str(entry("busybox", build) / "bin/busybox")


def _is_static(program: str) -> bool:
    """Whether an ELF file asks for no interpreter (the name of the loader stands in its first pages)."""
    return b"/ld-linux" not in Path(program).read_bytes()[:8192]


def boot_archive(kernel: Kernel, init: str = _INIT, modules: Sequence[str] = BOOT_MODULES) -> Path:
    """The cached archive with busybox, the boot modules and the first script."""
    key = hashlib.sha256("\n".join((init, *modules, "2")).encode()).hexdigest()[:12]

    def build(folder: Path) -> None:
        ordered = kernel.closure(modules)
        files = {f"modules/{path.name}": path.read_bytes() for path in ordered}
        files["boot-modules"] = "".join(f"/modules/{path.name}\n" for path in ordered).encode()
        files["bin/busybox"] = Path(find_busybox(kernel.architecture)).read_bytes()
        files["init"] = init.encode()
        (folder / "initramfs").write_bytes(archive(files, {"bin/sh": "busybox"}))

    return entry(f"initramfs/{kernel.release}-{key}", build) / "initramfs"


def stage_script(kernel: Kernel, command: Sequence[str], folder: Path, modules: Sequence[str]) -> str:
    """What runs in the guest once the host's root is there. A module may carry parameters."""
    load = "\n".join(f"modprobe {module} || echo 'guest: no module {module}'" for module in modules)
    return _STAGE.format(
        modules=shlex.quote(str(kernel.modules.parent)),
        busybox=shlex.quote(find_busybox()),
        load=load,
        folder=shlex.quote(str(folder)),
        job=shlex.join(command),
    )
