"""Inside the guest: the store on jffs2 or ubifs over a flash in memory. Run by ledger_flash.py, never alone.

    ledger_flash_inside.py write jffs2|ubifs        commits until the share has a file `stop`
    ledger_flash_inside.py judge jffs2|ubifs        mounts each picture of the flash in the share's file `cuts`

The flash is mtdram's: what is written to it is there at once, octet by octet, as on a NOR chip.
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tests.bench.ledger_cut_work import verdict, work

SHARE = Path("/run/guest")
FLASH = Path("/dev/mtd0")
MOUNT = Path("/tmp/flash")
UBI_CONTROL = Path("/dev/ubi_ctrl")
UBI_ATTACH, UBI_DETACH, UBI_MAKE_VOLUME = 0x40186F40, 0x40046F41, 0x40986F00
ATTACHED = struct.pack("=iiih10x", 0, 0, 0, 0)  # as ubi0, the first flash, the header where it belongs
DYNAMIC_VOLUME, VOLUME = 3, b"state"
CUT, PART = struct.Struct("<II"), struct.Struct("<I")  # commits acknowledged, changed blocks; number of a block
BLOCK_BYTES = 65_536


def flash_bytes() -> int:
    return int(Path("/sys/class/mtd/mtd0/size").read_text())


def control(device: Path, request: int, argument: bytes) -> None:
    handle = os.open(device, os.O_RDWR)
    try:
        fcntl.ioctl(handle, request, argument)
    finally:
        os.close(handle)


def mount(kind: str, *, new: bool) -> int:
    """Attach and mount; an empty flash is formatted by the kernel. mount's exit status."""
    if kind == "ubifs":
        control(UBI_CONTROL, UBI_ATTACH, ATTACHED)
        if new:
            control(Path("/dev/ubi0"), UBI_MAKE_VOLUME, _volume())
    source = {"jffs2": "mtd0", "ubifs": f"ubi0:{VOLUME.decode()}"}[kind]
    return subprocess.run(["mount", "-t", kind, source, str(MOUNT)], capture_output=True).returncode


def unmount(kind: str, mounted: bool) -> None:
    if mounted:
        subprocess.run(["umount", str(MOUNT)], check=True)
    if kind == "ubifs":
        control(UBI_CONTROL, UBI_DETACH, struct.pack("=i", 0))


def _volume() -> bytes:
    """All the room there is, for one volume."""
    free = int(Path("/sys/class/ubi/ubi0/avail_eraseblocks").read_text())
    size = free * int(Path("/sys/class/ubi/ubi0/eraseblock_size").read_text())
    return struct.pack("=iiqbBh4x128s", 0, 1, size, DYNAMIC_VOLUME, 0, len(VOLUME), VOLUME)


def address() -> str:
    """Where mtdram keeps its octets, for the host to take them from."""
    Path("/proc/sys/kernel/kptr_restrict").write_text("1")
    area = flash_bytes() + os.sysconf("SC_PAGE_SIZE")  # with its guard page
    found = re.findall(rf"^0x([0-9a-f]+)-\S+ +{area} ", Path("/proc/vmallocinfo").read_text(), re.MULTILINE)
    if len(found) != 1:
        raise SystemExit(f"{len(found)} areas of {area} bytes: {Path('/proc/vmallocinfo').read_text()}")
    return str(found[0])


def write(kind: str) -> None:
    if mount(kind, new=True):
        raise SystemExit(f"an empty flash does not mount as {kind}")
    (SHARE / "acknowledged").write_bytes(CUT.pack(0, 0))
    (SHARE / "flash.part").write_text(address())
    (SHARE / "flash.part").rename(SHARE / "flash")
    with (SHARE / "acknowledged").open("r+b", buffering=0) as told:

        def acknowledged(number: int) -> None:
            os.pwrite(told.fileno(), CUT.pack(number, 0), 0)

        work(MOUNT / "agent.db", lambda number: not (SHARE / "stop").exists(), acknowledged)
    unmount(kind, True)


def pictures(cuts: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Commits acknowledged and what the flash held, for each cut."""
    flash = bytearray(flash_bytes())
    while head := cuts.read(CUT.size):
        acknowledged, parts = CUT.unpack(head)
        for _ in range(parts):
            (number,) = PART.unpack(cuts.read(PART.size))
            flash[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES] = cuts.read(BLOCK_BYTES)
        yield acknowledged, bytes(flash)


def judge(kind: str) -> None:
    with (SHARE / "cuts").open("rb") as cuts:
        for acknowledged, picture in pictures(cuts):
            with FLASH.open("wb", buffering=0) as flash:
                flash.write(picture)
            mounted = not mount(kind, new=False)
            print(verdict(MOUNT / "agent.db", acknowledged) if mounted else "file system lost", flush=True)
            unmount(kind, mounted)


if __name__ == "__main__":
    MOUNT.mkdir()
    {"write": write, "judge": judge}[sys.argv[1]](sys.argv[2])
