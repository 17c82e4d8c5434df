"""A small disk image laid out as OpenWrt's x86 images are: boot loader and kernel on the first partition, the root with
its own init, ask-first console and package manager on the second.

It stands for an OpenWrt image where none can be downloaded. GRUB, partitions, console and the way the package comes in
are the real thing; kernel (Debian's), busybox and `opkg` (a shell script that unpacks an .ipk and runs its script) are
stand-ins, and there is no Python in it.
"""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

from simulator.qemu.cache import find_tool
from simulator.qemu.initramfs import boot_archive, find_busybox
from simulator.qemu.kernel import find_kernel

SECTOR = 512
_FIRST, _BOOT_MB, _ROOT_MB = 2048, 64, 16
_MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4", "xhci_pci", "ftdi_sio", "cdc_ether")
_GRUB_MODULES = ("biosdisk", "part_msdos", "ext2", "linux", "normal", "serial", "terminal")
_GRUB = """serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
set timeout=0
menuentry "small" {
  linux /vmlinuz root=/dev/vda2 console=ttyS0,115200n8 quiet panic=-1 mitigations=off nokaslr
  initrd /initrd
}
"""
_INIT = """#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /proc /dev /new
$b mount -t proc proc /proc
$b mount -t devtmpfs dev /dev
while read -r module; do $b insmod "$module"; done < /boot-modules
$b mount -t ext4 /dev/vda2 /new || $b poweroff -f
$b mount --move /dev /new/dev
exec $b switch_root /new /sbin/init
"""
_INITTAB = "::sysinit:/etc/init.d/rcS\n::askfirst:-/bin/ash\n"
_RCS = "#!/bin/sh\nmount -t proc proc /proc\nmount -t sysfs sys /sys\nmount -t tmpfs tmp /tmp\n"
_OPKG = """#!/bin/sh
case $1 in
update) echo "opkg: no feeds are configured"; exit 1 ;;
install) ;;
*) exit 255 ;;
esac
shift
for package; do
  work=$(mktemp -d)
  tar -xzf "$package" -C $work || exit 1
  mkdir $work/control && tar -xzf $work/control.tar.gz -C $work/control
  tar -xzf $work/data.tar.gz -C / || exit 1
  name=$(sed -n 's/^Package: //p' $work/control/control)
  mkdir -p /usr/lib/opkg/info
  cp $work/control/control /usr/lib/opkg/info/$name.control
  cp $work/control/conffiles /usr/lib/opkg/info/$name.conffiles
  IPKG_INSTROOT= sh $work/control/postinst configure || exit 1
  echo "Configuring $name."
done
"""
_FUNCTIONS = "default_postinst() { /etc/init.d/modem-agent enabled 2>/dev/null; echo ran > /tmp/postinst; }\n"
_APPLETS = (
    *("sh", "ash", "init", "mount", "tar", "gzip", "sed", "mkdir", "mktemp", "cp", "cat", "ls", "stty", "echo", "sync"),
    *("uname", "dmesg", "poweroff", "head", "timeout", "ip", "md5sum", "sleep", "test", "[", "printf", "rm"),
)


def make(folder: Path) -> Path:
    """Write the image; needs GRUB's i386-pc modules (grub-pc-bin)."""
    kernel = find_kernel()
    boot, root = folder / "boot", folder / "root"
    (boot / "grub").mkdir(parents=True)
    (boot / "grub/grub.cfg").write_text(_GRUB)
    (boot / "vmlinuz").write_bytes((kernel.root / f"boot/vmlinuz-{kernel.release}").read_bytes())
    (boot / "initrd").write_bytes(boot_archive(kernel, _INIT, _MODULES).read_bytes())
    for name in ("bin", "sbin", "etc/init.d", "proc", "sys", "dev", "tmp", "lib", "root"):
        (root / name).mkdir(parents=True)
    (root / "bin/busybox").write_bytes(Path(find_busybox()).read_bytes())
    for name in _APPLETS:
        (root / "bin" / name).symlink_to("busybox")
    (root / "sbin/init").symlink_to("../bin/busybox")
    scripts = {"etc/init.d/rcS": _RCS, "bin/opkg": _OPKG, "etc/inittab": _INITTAB, "lib/functions.sh": _FUNCTIONS}
    for name, text in scripts.items():
        (root / name).write_text(text)
    for path in (root / "etc/init.d/rcS", root / "bin/opkg", root / "bin/busybox"):
        path.chmod(0o755)
    return _assembled(
        folder,
        _partition(folder / "boot.ext2", boot, "ext2", _BOOT_MB),
        _partition(folder / "root.ext4", root, "ext4", _ROOT_MB),
    )


def _partition(image: Path, content: Path, kind: str, size_mb: int) -> Path:
    with image.open("wb") as file:
        file.truncate(size_mb << 20)
    command = [find_tool(f"mkfs.{kind}", "e2fsprogs"), "-q", "-F", "-d", str(content), str(image)]
    subprocess.run(command, check=True, timeout=60)
    return image


def _assembled(folder: Path, boot: Path, root: Path) -> Path:
    """Master boot record with GRUB's first sector, its core behind it, and the two partitions."""
    core = folder / "core.img"
    mkimage = [find_tool("grub-mkimage", "grub-pc-bin"), "-O", "i386-pc", "-p", "(hd0,msdos1)/grub", "-o", str(core)]
    subprocess.run([*mkimage, *_GRUB_MODULES], check=True, timeout=60)
    record = bytearray(Path("/usr/lib/grub/i386-pc/boot.img").read_bytes()[:SECTOR])
    record[446:510] = bytes(64)  # its code for floppies stands where the partition table goes
    start = _FIRST
    for number, part in enumerate((boot, root)):
        sectors = part.stat().st_size // SECTOR
        # boot flag, CHS that nobody reads, type Linux, first sector, length
        struct.pack_into("<B3sB3sII", record, 446 + 16 * number, 0x80 * (number == 0), b"\xfe\xff\xff", 0x83,
                         b"\xfe\xff\xff", start, sectors)  # fmt: skip
        start += sectors
    record[510:512] = b"\x55\xaa"
    image = folder / "small.img"
    with image.open("wb") as file:
        file.write(record)
        file.write(core.read_bytes())
        file.seek(_FIRST * SECTOR)
        file.write(boot.read_bytes())
        file.write(root.read_bytes())
    return image
