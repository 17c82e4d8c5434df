"""The TCP connection to the broker, over the cellular link when one is named. Called by transport.py alone."""

from __future__ import annotations

import socket

CONNECT_TIMEOUT_S = 30.0
SO_BINDTODEVICE = getattr(socket, "SO_BINDTODEVICE", 25)


def as_bytes(host: str) -> str | bytes:
    """As bytes where it can be: for text Python loads its IDNA tables, half a megabyte."""
    return host.encode() if host.isascii() else host


def dial(host: str, port: int, bind_interface: str = "") -> socket.socket:
    """The first address that answers. Raises OSError, or UnicodeError for a name that IDNA cannot encode."""
    last: OSError | None = None
    for family, kind, protocol, _, address in socket.getaddrinfo(as_bytes(host), port, type=socket.SOCK_STREAM):
        made = socket.socket(family, kind, protocol)
        try:
            if bind_interface:
                made.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, bind_interface.encode() + b"\0")
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.settimeout(CONNECT_TIMEOUT_S)
            made.connect(address)
        except OSError as error:
            made.close()
            last = error
        else:
            return made
    raise last or OSError(f"{host}: no address")
