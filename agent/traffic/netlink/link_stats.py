"""Link counters by one small netlink request of our own, for the one thing that is asked thousands of times a day.

RTM_GETSTATS with IFLA_STATS_LINK_64 answers with 64-bit counters of one link, all read at one moment: 5 us against 300
us for the same through pyroute2, and sysfs, which gives four values at four moments. Used by thread.py only.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

from agent.errors import KernelError
from agent.traffic.netlink.messages import Counters

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_STATS = struct.Struct("=BBHII")  # if_stats_msg: family, pad, pad, ifindex, filter mask
_ATTRIBUTE = struct.Struct("=HH")
_LINK_64 = struct.Struct("=4Q")  # rtnl_link_stats64 begins: rx_packets, tx_packets, rx_bytes, tx_bytes

NLMSG_ERROR = 2
RTM_NEWSTATS, RTM_GETSTATS = 92, 94
NLM_F_REQUEST = 1
IFLA_STATS_LINK_64 = 1


def request(ifindex: int, sequence: int) -> bytes:
    """The request for one link's counters."""
    body = _STATS.pack(0, 0, 0, ifindex, 1 << (IFLA_STATS_LINK_64 - 1))
    return _HEADER.pack(_HEADER.size + len(body), RTM_GETSTATS, NLM_F_REQUEST, sequence, 0) + body


def answer(data: bytes, sequence: int) -> Counters | None:
    """The counters in an answer; None if there is no such link. Raises KernelError on any other refusal."""
    length, kind, _, number, _ = _HEADER.unpack_from(data)
    if number != sequence or length > len(data):
        raise KernelError("reading link counters", None, "an answer to another question")
    if kind == NLMSG_ERROR:
        (code,) = struct.unpack_from("=i", data, _HEADER.size)
        if -code in (errno.ENODEV, errno.EINVAL):
            return None
        raise KernelError("reading link counters", -code, os.strerror(-code))
    place = _HEADER.size + _STATS.size
    while place + _ATTRIBUTE.size <= length:
        size, attribute = _ATTRIBUTE.unpack_from(data, place)
        if attribute == IFLA_STATS_LINK_64:
            received_packets, sent_packets, received, sent = _LINK_64.unpack_from(data, place + _ATTRIBUTE.size)
            return Counters(received, sent, received_packets, sent_packets)
        if size < _ATTRIBUTE.size:
            break
        place += (size + 3) & ~3
    raise KernelError("reading link counters", None, "an answer without counters")


class StatsSocket:
    """One blocking netlink socket for counters; closed with its owner."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.settimeout(2)
        self._socket.bind((0, 0))
        self._sequence = 0

    def read(self, ifindex: int) -> Counters | None:
        """Counters of a link, or None if it is gone."""
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        try:
            self._socket.send(request(ifindex, self._sequence))
            return answer(self._socket.recv(4096), self._sequence)
        except OSError as error:
            raise KernelError("reading link counters", error.errno, error.strerror or str(error)) from error

    def close(self) -> None:
        self._socket.close()
