"""HTTP requests that are bounded in bytes and time, with what they cost on the wire. Blocking; for worker threads."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, urlsplit

from agent.errors import AgentError
from agent.net.spending import Spent
from agent.net.wire_cost import Cost, Meter


@dataclass(frozen=True, slots=True)
class Fetched:
    """One request. `body_s` is the time from the first byte of the body to the last that was read."""

    status: int
    body_bytes: int
    connect_ms: float
    first_byte_ms: float
    body_s: float
    truncated: bool
    cost: Cost


class _Timed:
    """Total time of a request: no single read may outlast what is left of it."""

    def __init__(self, limit_s: float) -> None:
        self._end = time.monotonic() + limit_s

    @property
    def left_s(self) -> float:
        return max(0.05, self._end - time.monotonic())

    @property
    def over(self) -> bool:
        return time.monotonic() >= self._end


def fetch(
    url: str,
    spent: Spent,
    *,
    most_bytes: int,
    limit_s: float,
    upload_bytes: int = 0,
    permit: Callable[[str], None] = lambda address: None,
) -> Fetched:
    """GET (or POST so many zeros), read at most so many bytes. Raises AgentError that says what failed.

    `permit` is shown each address before it is connected to, and raises where it may not be. What it cost is entered in
    `spent`, whatever comes of it. Redirections are not followed.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AgentError(f"{url[:80]!r} is no http or https address")
    time_left = _Timed(limit_s)
    began = time.monotonic()
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or _port(parts.scheme), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, ValueError) as error:
        raise _failed(parts, error) from error
    for place, (family, _, _, _, address) in enumerate(found):
        permit(str(address[0]))
        with socket.socket(family, socket.SOCK_STREAM) as raw:
            meter = Meter(raw)
            spent.opened(meter)
            try:
                raw.settimeout(time_left.left_s)
                raw.connect(address)
                with _secured(raw, parts.scheme, parts.hostname) as connection:
                    connect_ms = (time.monotonic() - began) * 1000
                    fetched = _request(connection, parts, time_left, most_bytes, upload_bytes, began, connect_ms)
            except (OSError, http.client.HTTPException) as error:
                if meter.read().received_bytes or place + 1 == len(found) or time_left.over:
                    raise _failed(parts, error) from error
                continue  # this address does not answer; the next one may
            finally:
                spent.closed(meter)
        return replace(fetched, cost=spent.cost)
    raise AgentError(f"{parts.hostname}: no address")


def _failed(parts: SplitResult, error: Exception) -> AgentError:
    return AgentError(f"{parts.hostname}: {getattr(error, 'strerror', None) or error or 'no answer in time'}")


def _port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _secured(raw: socket.socket, scheme: str, host: str) -> socket.socket:
    if scheme == "http":
        return raw
    return ssl.create_default_context().wrap_socket(raw, server_hostname=host)


def _request(
    connection: socket.socket,
    parts: SplitResult,
    time_left: _Timed,
    most_bytes: int,
    upload_bytes: int,
    began: float,
    connect_ms: float,
) -> Fetched:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    client = http.client.HTTPConnection(parts.hostname or "")
    client.sock = connection
    connection.settimeout(time_left.left_s)
    if upload_bytes:
        client.request("POST", path, _Zeros(upload_bytes, time_left, connection), {"Content-Length": str(upload_bytes)})
    else:
        client.request("GET", path, headers={"Accept-Encoding": "identity", "Connection": "close"})
    with client.getresponse() as answer:
        first = time.monotonic()
        size = 0
        while size < most_bytes and not time_left.over:
            connection.settimeout(time_left.left_s)
            part = answer.read1(min(65_536, most_bytes - size))
            if not part:
                break
            size += len(part)
    body_s = time.monotonic() - first
    truncated = size >= most_bytes or time_left.over
    first_ms = (first - began) * 1000
    return Fetched(answer.status, size, connect_ms, first_ms, body_s, truncated, Cost())


class _Zeros:
    """A body of zeros that is never held in memory, read by http.client in blocks."""

    def __init__(self, size: int, time_left: _Timed, connection: socket.socket) -> None:
        self._left, self._time_left, self._connection = size, time_left, connection

    def read(self, size: int = 65_536) -> bytes:
        if self._time_left.over:
            raise TimeoutError("no answer in time")
        self._connection.settimeout(self._time_left.left_s)
        part = min(size, self._left)
        self._left -= part
        return b"\0" * part
