"""What netlink messages say, as plain values: links, their counters, qdiscs and classes, filters. PURE.

Used by route.py, which hands in what pyroute2 has decoded; every supported release decodes alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from agent.traffic.model import ETHERNET_HEADER_BYTES, ETHERNET_TYPES, Link

if TYPE_CHECKING:

    class Message(Protocol):
        """A message, or a nest of attributes, that pyroute2 has decoded. It has no types: what a field is, the kernel's
        header of its name says."""

        def get_attr(self, name: str) -> Any: ...
        def __getitem__(self, key: str) -> Any: ...


IFF_UP = 0x1


@dataclass(frozen=True, slots=True)
class Counters:
    """64-bit link counters, seen from the interface."""

    received_bytes: int
    sent_bytes: int
    received_packets: int
    sent_packets: int


@dataclass(frozen=True, slots=True)
class LinkRow:
    """One link message: the link, its counters if the message had them, and whether the link is gone."""

    link: Link
    counters: Counters | None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """One qdisc or class as read back from the kernel; `values` are its options by pyroute2's names in lower case."""

    kind: str
    handle: int
    parent: int
    values: Mapping[str, Any] = field(default_factory=dict)
    ifindex: int = 0
    sent_bytes: int = 0
    sent_packets: int = 0
    drops: int = 0
    backlog_bytes: int = 0

    def ip_bytes(self, header_bytes: int) -> int:
        """What has left it, without the link headers of that length."""
        return self.sent_bytes - header_bytes * self.sent_packets


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter as read back: where it hangs and where it sends the packet. What it matches is not read back, as
    pyroute2 decodes the keys of u32 four bytes too early."""

    kind: str
    parent: int
    prio: int
    protocol: int
    handle: int
    target: int = 0  # class
    mirred: bool = False  # it leads packets to another device
    redirect: int = 0  # the ifindex of that device; 0: it is gone, and the packets are lost
    matched_bytes: int = 0  # counted by the filter's action
    matched_packets: int = 0


def link_row(message: Message) -> LinkRow:
    stats = message.get_attr("IFLA_STATS64")
    info = message.get_attr("IFLA_LINKINFO")
    kind = (info.get_attr("IFLA_INFO_KIND") if info else None) or ""
    counters = None
    if stats:
        counters = Counters(stats["rx_bytes"], stats["tx_bytes"], stats["rx_packets"], stats["tx_packets"])
    link = Link(
        ifindex=message["index"],
        ifname=message.get_attr("IFLA_IFNAME") or "",
        kind=kind,
        up=bool(message["flags"] & IFF_UP),
        header_bytes=ETHERNET_HEADER_BYTES if message["ifi_type"] in ETHERNET_TYPES else 0,
        mtu=message.get_attr("IFLA_MTU") or 0,
        master=message.get_attr("IFLA_MASTER") or 0,
        gso_max_segs=message.get_attr("IFLA_GSO_MAX_SEGS") or 0,
        lower=_lower(message, kind),
    )
    return LinkRow(link, counters)


def _lower(message: Message, kind: str) -> int:
    """IFLA_LINK, unless it is an ifindex of another network namespace, or the other end of a veth."""
    abroad = message.get_attr("IFLA_LINK_NETNSID") is not None
    lower = 0 if abroad or kind == "veth" else message.get_attr("IFLA_LINK") or 0
    return int(lower) if lower != message["index"] else 0


def _flat(value: object, kind: str) -> dict[str, object]:
    """Options as one flat dictionary: TCA_TBF_PARMS and the like are opened, prefixes such as TCA_TBF_ cut off."""
    flat: dict[str, object] = {}
    if not isinstance(value, dict):
        return flat
    for key, item in value.items():
        if key not in ("attrs", "header"):
            flat[str(key).lower()] = item
    for name, item in ((a[0], a[1]) for a in value.get("attrs", ())):
        if isinstance(item, dict):
            flat.update(_flat(item, kind))
        else:
            flat[str(name).removeprefix(f"TCA_{kind.upper()}_").lower()] = item
    return flat


def node_of(message: Message) -> Node:
    stats = message.get_attr("TCA_STATS2")
    basic = stats.get_attr("TCA_STATS_BASIC") if stats else None
    kind = message.get_attr("TCA_KIND") or ""
    queue = stats.get_attr("TCA_STATS_QUEUE") if stats else None
    return Node(
        kind=kind,
        handle=message["handle"],
        parent=message["parent"],
        ifindex=message["index"],
        values=_flat(message.get_attr("TCA_OPTIONS"), kind),
        sent_bytes=basic["bytes"] if basic else 0,
        sent_packets=basic["packets"] if basic else 0,
        drops=queue["drops"] if queue else 0,
        backlog_bytes=queue["backlog"] if queue else 0,
    )


def filter_of(message: Message) -> Filter:
    options = message.get_attr("TCA_OPTIONS")
    kind = message.get_attr("TCA_KIND") or ""
    protocol = message["info"] & 0xFFFF
    mirred, redirect, octets, packets = _action(options, kind)
    return Filter(
        kind=kind,
        parent=message["parent"],
        prio=message["info"] >> 16,
        protocol=((protocol & 0xFF) << 8) | (protocol >> 8),
        handle=message["handle"],
        target=(options.get_attr(f"TCA_{kind.upper()}_CLASSID") or 0) if options else 0,
        mirred=mirred,
        redirect=redirect,
        matched_bytes=octets,
        matched_packets=packets,
    )


def _action(options: Message | None, kind: str) -> tuple[bool, int, int, int]:
    """Whether a filter has a mirred action, the target of the first, and the bytes and packets it has counted."""
    actions = options.get_attr(f"TCA_{kind.upper()}_ACT") if options else None
    for _, action in actions["attrs"] if actions else ():
        inner = action.get_attr("TCA_ACT_OPTIONS")
        if action.get_attr("TCA_ACT_KIND") != "mirred" or inner is None:
            continue
        parameters = inner.get_attr("TCA_MIRRED_PARMS")
        stats = action.get_attr("TCA_ACT_STATS")
        basic = stats.get_attr("TCA_STATS_BASIC") if stats and hasattr(stats, "get_attr") else None
        octets, packets = (basic["bytes"], basic["packets"]) if basic else (0, 0)
        return True, (parameters["ifindex"] if parameters else 0), octets, packets
    return False, 0, 0, 0
