"""A disk for the ledger's benches: ext4 with the 4 kB blocks of a real card on a loop device, its writes counted."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import TracebackType

SECTOR_BYTES = 512


class Disk:
    """Mounted on entry, gone on exit. `written_bytes` is what the block layer was given, metadata and journal too."""

    def __init__(self, folder: Path, *, megabytes: int = 256, options: str = "noatime") -> None:
        self.image, self.mount = folder / "disk.img", folder / "disk"
        self.options, self.megabytes = options, megabytes
        self.device = ""

    def __enter__(self) -> Disk:
        self.mount.mkdir()
        with self.image.open("wb") as file:
            file.truncate(self.megabytes << 20)
        lazy = "lazy_itable_init=0,lazy_journal_init=0"  # or the kernel writes tables in the background meanwhile
        _run("mkfs.ext4", "-q", "-b", "4096", "-E", lazy, str(self.image))
        self.device = _run("losetup", "-f", "--show", str(self.image)).strip()
        _run("mount", "-o", self.options, self.device, str(self.mount))
        self.flush()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _run("umount", str(self.mount))
        _run("losetup", "-d", self.device)

    def flush(self) -> None:
        """Everything to the device, as some minutes of a running system do: journal, inodes, superblock."""
        _run("sync", "-f", str(self.mount))

    def written_bytes(self) -> int:
        stat = Path("/sys/block") / Path(self.device).name / "stat"
        return int(stat.read_text().split()[6]) * SECTOR_BYTES


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
