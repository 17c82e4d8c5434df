"""The log of dm-log-writes, read: every write that a disk was given, in the order in which they completed.

Used by ledger_cuts.py. Layout: drivers/md/dm-log-writes.c; little-endian, one sector a header.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
SECTOR_BYTES = 512


@dataclass(frozen=True, slots=True)
class Entry:
    sector: int
    flags: int
    data: bytes
    mark: str = ""


def entries(path: Path) -> Iterator[Entry]:
    """All entries. Raises ValueError for what is no such log."""
    with path.open("rb") as log:
        magic, _, number, sector_bytes = struct.unpack("<QQQI", log.read(28))
        if magic != MAGIC:
            raise ValueError(f"{path} is no log of dm-log-writes")
        place = sector_bytes
        for _ in range(number):
            log.seek(place)
            head = log.read(sector_bytes)
            sector, sectors, flags, length = struct.unpack_from("<QQQQ", head)
            place += sector_bytes
            if flags & MARK:
                yield Entry(0, flags, b"", head[32 : 32 + length].decode())
                continue
            # Sectors are counted in the log's own sector size, but the place on the disk in 512 bytes.
            data = b"" if flags & DISCARD else log.read(sectors * sector_bytes)
            place += len(data)
            yield Entry(sector * sector_bytes // SECTOR_BYTES, flags, data)
