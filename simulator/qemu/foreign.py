"""A Debian root of another architecture, unpacked and nothing more: no program of it runs on this machine.

Called by the kernel, initramfs and image builders for `--arch aarch64`. Where a configured root is needed, this
machine's own root of the same packages is configured, and the foreign programs are put in its programs' place: what
configuration leaves behind (accounts, units, links, byte code) is the same text on both. Needs no binfmt_misc.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from simulator.qemu.cache import entry, find_tool
from simulator.qemu.debian import base_root, installed, mmdebstrap
from simulator.qemu.errors import GuestError

SUITE = "bookworm"


def foreign_root(architecture: str) -> Path:
    """The packages of a device and the kernel, as files, from the cache or fetched now (a minute)."""
    # All of them by name: the essential ones are not what anything depends on.
    packages = (*installed(base_root(SUITE)), "busybox-static", f"linux-image-{architecture}")
    key = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:8]
    place = f"foreign/{SUITE}-{architecture}-{key}"
    return entry(place, lambda folder: mmdebstrap(folder, SUITE, architecture, packages, "extract"))


def take_place(root: Path, foreign: Path) -> None:
    """Put the foreign packages' files over a configured root; its own configuration and state stay."""
    for place in ("usr/lib/x86_64-linux-gnu", "usr/lib64"):
        shutil.rmtree(root / place, ignore_errors=True)
    (root / "etc/ld.so.cache").unlink(missing_ok=True)
    # Unpacked without anybody's hooks, /bin and /lib are folders there; here they are links into /usr.
    reader = [find_tool("tar", "tar"), "-C", str(foreign), "--exclude=./boot", "--exclude=./etc", "--exclude=./var"]
    reader += ["--exclude=./lib/modules", "-c", "."]
    writer = [find_tool("tar", "tar"), "-C", str(root), "--keep-directory-symlink", "-x"]
    with subprocess.Popen(reader, stdout=subprocess.PIPE) as source:
        done = subprocess.run(writer, stdin=source.stdout, capture_output=True, text=True, timeout=300)
    if source.returncode != 0 or done.returncode != 0:
        raise GuestError(f"the foreign programs cannot be put in place: {done.stderr.strip()[-300:]}")
