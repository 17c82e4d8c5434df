"""Requests that change links and traffic control: encoded once, sent together, each answered by the kernel.

Used by route.py alone, in its thread. pyroute2 takes 0.7 to 1.4 ms to encode a request on a PC (twenty times that on
a router), and the kernel a hundredth of it; a tree has some thirty. So what was encoded is kept, and goes to another
link or place in a tree, or out again after a step back, with nothing changed but the ifindex and the handles; and all
requests of a direction leave in one datagram, which the kernel works off in order, with no packet of the agent's in
between.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from agent.errors import KernelError

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_IFINDEX_AT = 20  # in tcmsg and in ifinfomsg alike
_PLACE_AT = 24  # in tcmsg: the handle and the parent
NLMSG_ERROR = 2
SOL_NETLINK, NETLINK_CAP_ACK = 270, 10
TIMEOUT_S = 10.0  # the kernel answers before send() returns; loading a module is part of it
KEPT = 512  # encoded requests: a tree of both directions, a few rates and brokers
DATAGRAM_BYTES = 128 * 1024  # below the send buffer of any kernel


@dataclass(frozen=True, slots=True)
class Request:
    """One encoded message; `tolerated` are the errors with which it counts as done."""

    what: str
    data: bytes
    tolerated: frozenset[int] = frozenset()


class Requests:
    """A queue of requests and the socket through which they go. One thread only."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._socket.settimeout(TIMEOUT_S)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)  # a refusal need not quote the request
        self._encoded: dict[str, bytes] = {}
        self._queue: list[Request] = []
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def add(
        self,
        what: str,
        key: str,
        ifindex: int,
        encode: Callable[[], bytes],
        *,
        place: tuple[int, int] | None = None,
        tolerated: frozenset[int] = frozenset(),
    ) -> None:
        """Queue a request. `key` says all that it says, but for the link that it is for, and the handle and the parent
        of a qdisc or class if these are given as its `place`."""
        data = self._encoded.get(key)
        if data is None:
            if len(self._encoded) >= KEPT:
                self._encoded.clear()
            data = self._encoded[key] = encode()
        data = data[:_IFINDEX_AT] + struct.pack("=i", ifindex) + data[_IFINDEX_AT + 4 :]
        if place is not None:
            data = data[:_PLACE_AT] + struct.pack("=II", *place) + data[_PLACE_AT + 8 :]
        self._queue.append(Request(what, data, tolerated))

    def drop(self) -> None:
        """Forget what is queued: the one who asked has given up."""
        self._queue.clear()

    def send(self) -> None:
        """Send all that is queued and have every answer. KernelError for the first refusal; the others were done."""
        queued, self._queue = self._queue, []
        refusals: list[KernelError] = []
        while queued:
            count = _fitting(queued)
            refusals += self._exchange(queued[:count])
            queued = queued[count:]
        if refusals:
            raise refusals[0]

    def _exchange(self, requests: list[Request]) -> list[KernelError]:
        first = self._sequence + 1
        self._sequence += len(requests)
        self._socket.sendall(b"".join(_numbered(r.data, first + n) for n, r in enumerate(requests)))
        answers = self._answers(first, len(requests))
        return [
            KernelError(request.what, code, os.strerror(code))
            for request, code in zip(requests, answers, strict=True)
            if code and code not in request.tolerated
        ]

    def _answers(self, first: int, count: int) -> list[int]:
        """The errno of each request, 0 where it was done. What an earlier, given up exchange left is passed over."""
        codes: dict[int, int] = {}
        while len(codes) < count:
            data = self._socket.recv(1 << 16)
            place = 0
            while place + _HEADER.size <= len(data):
                length, kind, _, sequence, _ = _HEADER.unpack_from(data, place)
                if kind == NLMSG_ERROR and first <= sequence < first + count:
                    codes[sequence] = -struct.unpack_from("=i", data, place + _HEADER.size)[0]
                if length < _HEADER.size:
                    raise KernelError("netlink", errno.EBADMSG, "an answer of no length")
                place += (length + 3) & ~3
        return [codes[first + n] for n in range(count)]


def _fitting(requests: list[Request]) -> int:
    """How many of them go into one datagram; one at least."""
    room = DATAGRAM_BYTES
    for count, request in enumerate(requests):
        room -= len(request.data)
        if room < 0:
            return max(1, count)
    return len(requests)


def _numbered(data: bytes, sequence: int) -> bytes:
    """The message under another number, and without the port of the socket for which it was encoded."""
    _, kind, flags, _, _ = _HEADER.unpack_from(data)
    return _HEADER.pack(len(data), kind, flags, sequence, 0) + data[_HEADER.size :]
