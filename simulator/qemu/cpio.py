"""Writes the archive that a kernel unpacks as its first root: cpio in the `newc` form (kernel: buffer-format.rst).

Archives may simply follow one another in a file; the later one adds to the earlier.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from stat import S_IFDIR, S_IFLNK, S_IFREG


def archive(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    """A whole archive: regular files (all executable), symbolic links, and the folders that both need."""
    links = links or {}
    folders = sorted({str(parent) for name in (*files, *links) for parent in PurePosixPath(name).parents} - {".", "/"})
    parts = [_record(name, S_IFDIR | 0o755, b"") for name in folders]
    parts += [_record(name, S_IFREG | 0o755, content) for name, content in files.items()]
    parts += [_record(name, S_IFLNK | 0o777, target.encode()) for name, target in links.items()]
    return b"".join(parts) + _record("TRAILER!!!", 0, b"")


_serial = iter(range(1, 1 << 30))


def _record(name: str, mode: int, content: bytes) -> bytes:
    path = name.encode() + b"\0"
    # inode, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
    numbers = (next(_serial), mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
    header = b"070701" + "".join(f"{number:08X}" for number in numbers).encode()
    return _padded(header + path) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
