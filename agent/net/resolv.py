"""Which name servers this device asks, by resolv.conf. A file by itself: the line at the start needs nothing more."""

from __future__ import annotations

from pathlib import Path

RESOLV_CONF = Path("/etc/resolv.conf")


def name_servers(path: Path = RESOLV_CONF) -> tuple[str, ...] | None:
    """The servers in resolv.conf (resolver(5) reads three at most); None if it cannot be read."""
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError:
        return None
    words = [line.split() for line in text.splitlines()]
    return tuple(w[1] for w in words if len(w) > 1 and w[0] == "nameserver")[:3]
