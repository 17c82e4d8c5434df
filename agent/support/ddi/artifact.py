"""The package in what an update server offers. Pure: bytes in, a package out.

hawkBit keeps any file, gooseBit only what SWUpdate or RAUC would install. So an artifact is the package itself, or an
SWUpdate archive (.swu) with one package in it: a cpio archive in the "new ASCII" format (cpio(5): a header of 110
bytes, magic 070701, or 070702 with a checksum; name and content each padded to 4 bytes; the last name is TRAILER!!!).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from agent.errors import OperatorError

MAGICS = (b"070701", b"070702")
HEADER_BYTES = 110
SIZE_AT, NAME_SIZE_AT = slice(54, 62), slice(94, 102)
LAST = "TRAILER!!!"
PACKAGES = (".deb", ".ipk", ".apk")  # dpkg's, opkg's, apk's


class Unusable(OperatorError):
    """The server offers what no device could install: to look again would not help."""


@dataclass(frozen=True, slots=True)
class Package:
    """As agent.update wants it named."""

    file: str
    size: int
    sha256: str


def package(name: str, content: bytes) -> Package:
    """Raises Unusable where there is not exactly one."""
    found = dict(_members(content)) if content.startswith(MAGICS) else {name: content}
    packages = {PurePosixPath(name).name: data for name, data in found.items() if name.endswith(PACKAGES)}
    if len(packages) != 1:
        raise Unusable(f"{name[:80]}: holds {len(packages)} packages ({', '.join(PACKAGES)}); one is wanted")
    (file, data), *_ = packages.items()
    return Package(file, len(data), hashlib.sha256(data).hexdigest())


def _members(archive: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file. Raises Unusable for an archive that is cut or damaged."""
    at = 0
    while True:
        header = archive[at : at + HEADER_BYTES]
        try:
            if not header.startswith(MAGICS):
                raise ValueError("no header")
            name_at = at + HEADER_BYTES
            content_at = _padded(name_at + int(header[NAME_SIZE_AT], 16))
            end = content_at + int(header[SIZE_AT], 16)
            name = archive[name_at:content_at].split(b"\0", 1)[0].decode()
        except ValueError as error:
            raise Unusable(f"a damaged archive: {error} at byte {at}") from None
        if name == LAST:
            return
        if end > len(archive):
            raise Unusable(f"a damaged archive: {name[:80]!r} ends beyond it")
        yield name, archive[content_at:end]
        at = _padded(end)


def _padded(offset: int) -> int:
    return -(-offset // 4) * 4
