"""Fetches a package and what belongs to it: one process that ends, so that an idle agent holds nothing of TLS and HTTP.

`python3 -m agent.update.fetch ORDER`, ORDER a JSON object: see `Order`. HTTPS ranges, so that a broken connection costs
its handshake alone; at most `rate_bps`, so that the household keeps its line. After each piece it prints, on a line,
the bytes on the wire received and sent so far, and how much of the package is there: who started it books them.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from agent.errors import AgentError
from agent.net.wire_cost import Cost, Meter

PIECE_BYTES = 8_192
TELL_BYTES = 65_536
BUFFER_BYTES = 32_768  # the window that the server sees: what is slowed here must not wait in the network
STALL_S = 30.0
AGAIN_S, AGAIN_MOST_S = 5.0, 300.0
BESIDE_BYTES = 262_144  # an index or a signature, at most
PART = ".part"


@dataclass(frozen=True, slots=True)
class Order:
    """What to fetch. `beside`: further files of the same folder, fetched whole and not checked here."""

    url: str
    folder: str
    size: int
    sha256: str
    rate_bps: int
    beside: tuple[str, ...] = ()
    ca_file: str = ""

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


class Unusable(AgentError):
    """What the server has is not what was ordered: to ask again would not help."""


class Wire:
    """What all connections have cost so far, told on standard output, and the rate that holds over all of them."""

    def __init__(self, rate_bps: int) -> None:
        self._rate_bps, self._before, self._told = rate_bps, Cost(), Cost()
        self._meter: Meter | None = None
        self.have_bytes = 0

    def opened(self, meter: Meter) -> None:
        self._meter = meter

    def closed(self) -> None:
        if self._meter is not None:
            self._before, self._meter = self._before + self._meter.close(), None
        self.tell()

    def tell(self) -> None:
        cost = self._before + (self._meter.read() if self._meter is not None else Cost())
        self._told = cost
        print(cost.received_bytes, cost.sent_bytes, self.have_bytes, flush=True)

    def piece(self, size: int) -> None:
        """Wait as long as so many bytes may take."""
        time.sleep(size * 8 / self._rate_bps)
        cost = self._meter.read() if self._meter is not None else Cost()
        if (self._before + cost).received_bytes - self._told.received_bytes >= TELL_BYTES:
            self.tell()


@contextlib.contextmanager
def connected(order: Order, wire: Wire) -> Iterator[http.client.HTTPConnection]:
    """One connection for all files, while it holds."""
    parts = urlsplit(order.url)
    if parts.scheme != "https" or not parts.hostname:
        raise Unusable(f"{order.url[:80]!r} is no https address")
    context = ssl.create_default_context()
    # Python 3.13 and later want extensions of RFC 5280 that a private authority's certificates often lack, as at the
    # broker's (agent/mqtt/tls.py).
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if order.ca_file:
        context.load_verify_locations(order.ca_file)
    raw = _opened(parts.hostname, parts.port or 443)
    wire.opened(Meter(raw))
    client = http.client.HTTPConnection(parts.hostname, parts.port or 443)
    try:
        raw.settimeout(STALL_S)
        client.sock = context.wrap_socket(raw, server_hostname=parts.hostname)
        yield client
    finally:
        client.close()
        raw.close()
        wire.closed()


def _opened(host: str, port: int) -> socket.socket:
    problem: OSError = OSError(f"{host}: no address")
    for family, kind, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        raw = socket.socket(family, kind)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        raw.settimeout(STALL_S)
        try:
            raw.connect(address)
            return raw
        except OSError as error:
            raw.close()
            problem = error
    raise problem


def package(client: http.client.HTTPConnection, order: Order, wire: Wire) -> None:
    """Go on where the part on the disk ends. Raises Unusable, OSError, HTTPException."""
    part = Path(order.folder) / (order.name + PART)
    have = part.stat().st_size if part.exists() else 0
    if have > order.size:
        part.unlink()
        have = 0
    wire.have_bytes = have
    if have == order.size:
        return
    client.request("GET", _path(order.url), headers={"Range": f"bytes={have}-", "Accept-Encoding": "identity"})
    answer = client.getresponse()
    if answer.status == 206:
        _of_this(answer.getheader("Content-Range") or "", have, order.size)
    elif answer.status == 200:  # it knows no ranges
        have = 0
    elif answer.status >= 500:
        raise OSError(f"the server says {answer.status}")
    else:
        raise Unusable(f"the server says {answer.status} to {order.name}")
    with part.open("ab" if have else "wb") as file:
        for data in _pieces(answer, order.size - have, wire):
            file.write(data)
            file.flush()
            wire.have_bytes += len(data)
        os.fsync(file.fileno())


def _of_this(content_range: str, have: int, size: int) -> None:
    if content_range != f"bytes {have}-{size - 1}/{size}":
        raise Unusable(f"the server has another file: {content_range[:60]!r} in place of {size} bytes")


def _pieces(answer: http.client.HTTPResponse, most: int, wire: Wire) -> Iterator[bytes]:
    left = most
    while left > 0:
        data = answer.read1(min(PIECE_BYTES, left))
        if not data:
            raise OSError("the connection ended before the file")
        left -= len(data)
        yield data
        wire.piece(len(data))
    if answer.read(1):
        raise Unusable("the server's file is longer than ordered")


def beside(client: http.client.HTTPConnection, order: Order, name: str, wire: Wire) -> None:
    client.request("GET", _path(order.url).rpartition("/")[0] + f"/{name}", headers={"Accept-Encoding": "identity"})
    answer = client.getresponse()
    if answer.status != 200:
        raise (OSError if answer.status >= 500 else Unusable)(f"the server says {answer.status} to {name}")
    data = answer.read(BESIDE_BYTES + 1)
    if len(data) > BESIDE_BYTES:
        raise Unusable(f"{name} is longer than {BESIDE_BYTES} bytes")
    (Path(order.folder) / name).write_bytes(data)
    wire.piece(len(data))


def _path(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def fetch(order: Order, wire: Wire) -> None:
    """All files, over one connection or as many as the line breaks. Raises Unusable when trying on is of no use."""
    wait_s = AGAIN_S
    while True:
        before = wire.have_bytes
        try:
            with connected(order, wire) as client:
                package(client, order, wire)
                for name in order.beside:
                    beside(client, order, name, wire)
            break
        except (OSError, http.client.HTTPException) as error:
            print(f"again in {wait_s:g} s: {error}", file=sys.stderr, flush=True)
        time.sleep(wait_s)
        wait_s = AGAIN_S if wire.have_bytes > before else min(2 * wait_s, AGAIN_MOST_S)
    _accept(order)


def _accept(order: Order) -> None:
    """The part is the package if its sum is right, and is of no use otherwise."""
    part = Path(order.folder) / (order.name + PART)
    if hashlib.sha256(part.read_bytes()).hexdigest() != order.sha256:
        part.unlink()
        raise Unusable("the package has another sum than the command says")
    part.replace(part.with_name(order.name))


def main(text: str) -> int:
    given = json.loads(text)
    order = Order(**{**given, "beside": tuple(given["beside"])})
    try:
        fetch(order, Wire(order.rate_bps))
    except AgentError as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
