"""Where a port listens, as --listen takes it: TCP, RFC 2217 over TCP, or a unix socket by path or abstract name."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.errors import SimulatorError

RFC2217 = "rfc2217://"
# ModemManager takes a port of this name as an abstract unix socket and uses the name as it stands, prefix and all
# (src/mm-port-serial.c, mm_port_serial_open).
ABSTRACT = "abstract:"


@dataclass(frozen=True)
class Address:
    """`text` is what a client is told."""

    text: str
    host: str = ""
    port: int = 0
    telnet: bool = False
    path: str = ""  # of a unix socket
    abstract: bool = False

    @property
    def is_tcp(self) -> bool:
        return not self.path


def parse(text: str) -> Address:
    """[rfc2217://]HOST:PORT, abstract:NAME, or the path of a unix socket. SimulatorError says what is wrong."""
    if text.startswith(ABSTRACT):
        return Address(text, path=text, abstract=True)
    telnet = text.startswith(RFC2217)
    rest = text.removeprefix(RFC2217)
    if not telnet and ("/" in rest or ":" not in rest):
        return Address(text, path=text)
    host, _, number = rest.rpartition(":")
    if not number.isdecimal() or int(number) > 65_535:
        raise SimulatorError(f"--listen {text}: {number!r} is not a port number (0 to 65535)")
    return Address(text, host.strip("[]") or "127.0.0.1", int(number), telnet)
