"""Link and tc messages of the kernel's event groups, read by hand: some 20 us each where pyroute2 takes 1 ms. PURE.

Every link of the device sends them (a LAN port that flaps, containers that come and go), and nearly all are of no
interest. Layouts: linux/rtnetlink.h, linux/if_link.h. Used by kernel.py only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from agent.errors import KernelError
from agent.traffic.model import ETHERNET_HEADER_BYTES, ETHERNET_TYPES, Link
from agent.traffic.netlink.messages import IFF_UP, Counters, LinkRow

RTM_NEWLINK, RTM_DELLINK = 16, 17
RTM_NEWQDISC, RTM_GETTFILTER = 36, 46  # the message types of tc lie from one to the other
AF_UNSPEC = 0  # a bridge speaks of its ports as AF_BRIDGE
IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_WIRELESS, IFLA_LINKINFO, IFLA_STATS64, IFLA_LINK_NETNSID = (
    3, 4, 5, 10, 11, 18, 23, 37,
)  # fmt: skip
IFLA_GSO_MAX_SEGS = 40
IFLA_INFO_KIND = 1
NLA_TYPE_MASK = 0x3FFF

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, change
_TC = struct.Struct("=BxxxiIII")  # tcmsg: family, ifindex, handle, parent, info
_ATTRIBUTE = struct.Struct("=HH")
_U32 = struct.Struct("=I")
_STATS64 = struct.Struct("=4Q")  # rtnl_link_stats64 begins: rx_packets, tx_packets, rx_bytes, tx_bytes


@dataclass(frozen=True, slots=True)
class TcRow:
    """One message of a qdisc, class or filter; `prio` is a filter's."""

    ifindex: int
    handle: int
    parent: int
    prio: int


def rows(data: bytes) -> Iterator[LinkRow | TcRow]:
    """What a datagram of events tells. Raises KernelError on one that is cut short."""
    place = 0
    try:
        while place < len(data):
            length, kind, _, _, _ = _HEADER.unpack_from(data, place)
            if length < _HEADER.size or place + length > len(data):
                raise KernelError("reading an event", None, f"a message of {length} bytes in {len(data) - place}")
            row = _row(kind, data[place + _HEADER.size : place + length])
            if row is not None:
                yield row
            place += (length + 3) & ~3
    except (struct.error, UnicodeDecodeError) as error:
        raise KernelError("reading an event", None, str(error)) from error


def _row(kind: int, body: bytes) -> LinkRow | TcRow | None:
    if kind in (RTM_NEWLINK, RTM_DELLINK):
        return _link_row(body, deleted=kind == RTM_DELLINK)
    if RTM_NEWQDISC <= kind <= RTM_GETTFILTER:
        _, ifindex, handle, parent, info = _TC.unpack_from(body)
        return TcRow(ifindex, handle, parent, info >> 16)
    return None


def _link_row(body: bytes, *, deleted: bool) -> LinkRow | None:
    """None for what is not about the link itself: a bridge's port, an event of a wireless card."""
    family, hardware, ifindex, flags, _ = _LINK.unpack_from(body)
    found = dict(_attributes(body[_LINK.size :]))
    if family != AF_UNSPEC or IFLA_WIRELESS in found or IFLA_IFNAME not in found:
        return None
    info = dict(_attributes(found.get(IFLA_LINKINFO, b"")))
    kind = _text(info.get(IFLA_INFO_KIND, b""))
    link = Link(
        ifindex=ifindex,
        ifname=_text(found[IFLA_IFNAME]),
        kind=kind,
        up=bool(flags & IFF_UP),
        header_bytes=ETHERNET_HEADER_BYTES if hardware in ETHERNET_TYPES else 0,
        mtu=_number(found, IFLA_MTU),
        master=_number(found, IFLA_MASTER),
        gso_max_segs=_number(found, IFLA_GSO_MAX_SEGS),
        lower=_lower(found, kind, ifindex),
    )
    counters = None
    if IFLA_STATS64 in found:
        received_packets, sent_packets, received, sent = _STATS64.unpack_from(found[IFLA_STATS64])
        counters = Counters(received, sent, received_packets, sent_packets)
    return LinkRow(link, counters, deleted)


def _lower(found: dict[int, bytes], kind: str, ifindex: int) -> int:
    """As messages.py reads it: a number of another network namespace is none of ours, a veth names its peer."""
    lower = 0 if IFLA_LINK_NETNSID in found or kind == "veth" else _number(found, IFLA_LINK)
    return lower if lower != ifindex else 0


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, place)
        if length < _ATTRIBUTE.size:
            return
        yield kind & NLA_TYPE_MASK, data[place + _ATTRIBUTE.size : place + length]
        place += (length + 3) & ~3


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode("utf-8", "surrogateescape")


def _number(found: dict[int, bytes], kind: int) -> int:
    return int(_U32.unpack(found[kind])[0]) if kind in found else 0
