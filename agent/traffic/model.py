"""What the traffic room hands to others, as frozen values: links, their events, and what the shaper made of a wish.

Handles: every qdisc of ours has the major number 0x1fa0 or one of the few after it, so that a stranger's is told apart
by looking at it, after a restart too.
"""

from __future__ import annotations

import fnmatch
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from agent.plan import Rates, Sample

IFB_PREFIX = "ifb4"
SHARED_IFB = f"{IFB_PREFIX}-shared"  # to which the downloads of several WAN links are led
IFNAME_MAX = 15  # IFNAMSIZ less the closing NUL

UNSHAPED = Rates(None, None)

# if_arp.h: the types whose counters and packet lengths include a link header, which is 14 bytes on each of them.
ETHERNET_TYPES = frozenset({1, 772})  # ARPHRD_ETHER, ARPHRD_LOOPBACK
ETHERNET_HEADER_BYTES = 14


@dataclass(frozen=True, slots=True)
class Link:
    """One network interface as the kernel describes it."""

    ifindex: int
    ifname: str
    kind: str  # veth, ifb, wwan, …; empty for hardware
    up: bool
    header_bytes: int  # 14 on Ethernet types, 0 on raw IP and ppp
    mtu: int
    master: int = 0  # ifindex of the bridge or bond it is enslaved to
    gso_max_segs: int = 0  # packets in one super-packet; 1: none are made
    lower: int = 0  # ifindex of the link whose frames it takes its packets from, as a VLAN does


@dataclass(frozen=True, slots=True)
class LinkEvent:
    """A link came, changed or went; `sample` are its counters at that moment, for the last time when it went."""

    kind: str  # new, changed, deleted
    link: Link
    sample: Sample | None
    ours: bool = False  # of an ifb, or of a qdisc or filter by the agent's numbers, wherever it stands


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this kernel can do, found out by trying."""

    qdiscs: frozenset[str] = frozenset()  # of cake, fq_codel, htb, tbf, bfifo
    classifiers: frozenset[str] = frozenset()  # of matchall, u32
    ifb: bool = False
    ingress: bool = False
    mirred: bool = False
    problem: str = ""  # why nothing could be tried, such as a missing capability

    def missing(self) -> tuple[str, ...]:
        """What shaping in both directions needs and is not there."""
        lacks = [name for name in ("ifb", "ingress", "mirred") if not getattr(self, name)]
        if not self.classifiers:
            lacks.append("u32")
        if not self.qdiscs & {"cake", "tbf", "htb"}:
            lacks.append("tbf")
        return tuple(lacks)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The far end of management traffic, by address and port: the broker as the session reached it."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Management:
    """IP bytes of the device's own traffic."""

    received_bytes: int = 0
    sent_bytes: int = 0


@dataclass(frozen=True, slots=True)
class DeviceBytes:
    """IP bytes of the household's devices over the WAN links, since the last reading."""

    sent: Mapping[tuple[str, str], int] = field(default_factory=dict)  # by Ethernet and IP address
    received: Mapping[str, int] = field(default_factory=dict)  # by IP address


@dataclass(frozen=True, slots=True)
class ShaperState:
    """What is true in the kernel after a reconcile."""

    state: str  # off, enforced, unenforced, foreign
    qdisc: str = ""  # cake, tbf+fq_codel, htb+fq_codel, tbf; when off: with which it would shape
    rates: Rates = UNSHAPED
    reason: str = ""  # why it is not as wanted
    advice: str = ""  # what to install or to change
    changed: bool = False  # whether this reconcile had to do anything


def ifb_name(ifname: str) -> str:
    """The ifb through which the download of `ifname` is led. A name that does not fit ends in a number made from all of
    it: `wwp0s20f0u1i4` and `wwp0s20f0u1i8` are alike in what would be left of them."""
    name = IFB_PREFIX + ifname
    return name if len(name) <= IFNAME_MAX else f"{name[: IFNAME_MAX - 8]}{zlib.crc32(ifname.encode()):08x}"


def matches(patterns: Iterable[str], ifname: str) -> bool:
    """Whether a name is meant by the configured names and patterns; our own ifb devices never are."""
    return not ifname.startswith(IFB_PREFIX) and any(fnmatch.fnmatchcase(ifname, p) for p in patterns)
