"""What the agent's own traffic costs: bytes on the wire, as the kernel counted them for this one TCP connection.

TCP_INFO tells payload bytes and segments in each direction, retransmissions and the TLS records included. What it does
not tell are the headers: 40 bytes a segment on IPv4 (60 on IPv6) and 12 of TCP timestamps, which Linux always offers.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from dataclasses import dataclass

TCP_INFO = getattr(socket, "TCP_INFO", 11)
_SIZE = 256
_OPTIONS_OFFSET, _TIMESTAMPS = 5, 1  # struct tcp_info: tcpi_options, TCPI_OPT_TIMESTAMPS
_RECEIVED_OFFSET = 128  # tcpi_bytes_received (u64), tcpi_segs_out, tcpi_segs_in (u32)
_ACKED_OFFSET = 120  # tcpi_bytes_acked (u64): what older kernels have instead of tcpi_bytes_sent
_SENT_OFFSET = 200  # tcpi_bytes_sent (u64), since Linux 4.19, counts what was sent again too
_CLOSING_SEGMENTS = 4  # FIN and ACK each way, which come after the last look


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes of one connection on the wire so far."""

    sent_bytes: int = 0
    received_bytes: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.sent_bytes + other.sent_bytes, self.received_bytes + other.received_bytes)

    @property
    def total_bytes(self) -> int:
        return self.sent_bytes + self.received_bytes


class Meter:
    """Counts one connection; holds its own duplicate of the descriptor, so that the last look comes after the close."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket: socket.socket | None = connection.dup()
        self._header_bytes = 60 if connection.family == socket.AF_INET6 else 40
        self._last = Cost()

    def read(self) -> Cost:
        """The cost so far; the last known one when the kernel no longer tells."""
        if self._socket is not None:
            try:
                raw = self._socket.getsockopt(socket.IPPROTO_TCP, TCP_INFO, _SIZE)
            except OSError:
                return self._last
            self._last = self._cost(raw)
        return self._last

    def _cost(self, raw: bytes) -> Cost:
        if len(raw) < _RECEIVED_OFFSET + 16:  # a kernel before 4.2 tells nothing of use
            return self._last
        header = self._header_bytes + (12 if raw[_OPTIONS_OFFSET] & _TIMESTAMPS else 0)
        received, segments_out, segments_in = struct.unpack_from("=QII", raw, _RECEIVED_OFFSET)
        offset = _SENT_OFFSET if len(raw) >= _SENT_OFFSET + 8 else _ACKED_OFFSET
        (sent,) = struct.unpack_from("=Q", raw, offset)
        return Cost(sent + segments_out * header, received + segments_in * header)

    def shutdown(self) -> None:
        """End the connection at once, also while another thread is blocked in its handshake."""
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it was gone already
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> Cost:
        """The last look, the closing segments added where anybody has ever answered."""
        cost = self.read()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            if not cost.received_bytes:
                return cost
            closing = _CLOSING_SEGMENTS // 2 * (self._header_bytes + 12)
            self._last = cost = Cost(cost.sent_bytes + closing, cost.received_bytes + closing)
        return cost
