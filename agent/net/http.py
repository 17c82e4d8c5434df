"""HTTP requests that are bounded in bytes and time, with what they cost on the wire. Blocking; for worker threads."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from agent.errors import AgentError
from agent.net.wire_cost import Cost, Meter


@dataclass(frozen=True, slots=True)
class Fetched:
    """One request. `body_s` is the time from the first byte of the body to the last that was read."""

    status: int
    body_bytes: int
    connect_ms: float
    first_byte_ms: float
    body_s: float
    cost: Cost
    truncated: bool


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


def fetch(url: str, *, most_bytes: int, limit_s: float, upload_bytes: int = 0) -> Fetched:
    """GET (or POST so many zeros), read at most so many bytes. Raises AgentError that says what failed."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AgentError(f"{url[:80]!r} is no http or https address")
    time_left = _Timed(limit_s)
    began = time.monotonic()
    try:
        raw = socket.create_connection((parts.hostname, parts.port or _port(parts.scheme)), timeout=time_left.left_s)
    except (OSError, UnicodeError, ValueError) as error:
        raise AgentError(f"{parts.hostname}: {getattr(error, 'strerror', None) or error or 'no answer'}") from error
    meter = Meter(raw)
    try:
        with _secured(raw, parts.scheme, parts.hostname) as connection:
            connect_ms = (time.monotonic() - began) * 1000
            return _request(connection, parts, time_left, most_bytes, upload_bytes, began, connect_ms, meter)
    except (OSError, http.client.HTTPException) as error:
        raise AgentError(f"{parts.hostname}: {error or 'no answer in time'}") from error
    finally:
        raw.close()
        meter.close()


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
    meter: Meter,
) -> Fetched:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    client = http.client.HTTPConnection(parts.hostname or "")
    client.sock = connection
    connection.settimeout(time_left.left_s)
    if upload_bytes:
        client.request("POST", path, _Zeros(upload_bytes, time_left, connection), {"Content-Length": str(upload_bytes)})
    else:
        client.request("GET", path, headers={"Accept-Encoding": "identity", "Connection": "close"})
    answer = client.getresponse()
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
    return Fetched(answer.status, size, connect_ms, first_ms, body_s, meter.read(), truncated)


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
