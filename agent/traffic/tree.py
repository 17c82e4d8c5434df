"""PURE. Which qdiscs, classes and filters make a rate, and whether those that were read back are the ones.

Called by the shaper, for the WAN (upload) and for its ifb (download) alike. Must not talk to the kernel.

The numbers, from the measurements with 4 TCP flows at 512 kbit/s:

- cake (no `ingress` keyword: it charges dropped packets to the household and leaves 361 of 512 kbit/s).
- tbf + fq_codel: same latency, no fairness among hosts. CoDel's target must pass one packet, which takes 24 ms here.
- htb + fq_codel: htb does not split super-packets, so the shaper forbids them on the link (`gso_max_segs 1`).
- tbf alone: its queue would make everything wait behind a download. So an htb inside it, whose parent class never runs
  out of rate, serves as a scheduler: management first, then the device's names and time (DNS, NTP), then small packets
  (acknowledgements, calls, games), each up to a share of the line and beyond it when the line has room; then the rest.
  prio would do nearly the same and is missing from more kernels. Small packets have a queue for each protocol, and
  those of UDP four, by their far ports: a flood of one delays no other. Beside 2 Mbit/s of 100-byte datagrams up, four
  times the line, a ping takes 4 ms and none is lost, and no query to another port is. With one queue for all small
  packets the ping took 249 ms, and 60 % were lost; with a queue of a tenth of that length 26 ms, and 52 % were lost;
  with one queue for each protocol 4 ms and none, but three of four queries were lost (each the p95).
"""

from __future__ import annotations

import ipaddress
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any

from agent.traffic.model import Endpoint
from agent.traffic.netlink.messages import Filter, Node
from agent.traffic.netlink.route import ETH_P_ARP, ETH_P_IP, ETH_P_IPV6, ROOT

MAJOR = 0x1FA0
TOP = MAJOR << 16  # the root qdisc, whatever its kind
INNER = (MAJOR + 1) << 16  # what hangs below it
CLASS_ONLY = TOP | 0x10  # htb + fq_codel: its one class
CLASS_ALL = INNER | 0x1  # tbf alone: what those below borrow from
CLASS_MANAGEMENT = INNER | 0x10
CLASS_NAMES = INNER | 0x18
CLASS_SMALL_TCP = INNER | 0x21
CLASS_SMALL_OTHER = INNER | 0x22  # ping, ARP
CLASSES_SMALL_UDP = tuple(INNER | 0x28 + n for n in range(4))  # by the last bits of the far port: calls beside queries
CLASS_REST = INNER | 0x30
QUEUES = {
    CLASS_MANAGEMENT: (MAJOR + 2) << 16,
    CLASS_REST: (MAJOR + 4) << 16,  # 3 was the one queue of all small packets, in earlier releases
    CLASS_NAMES: (MAJOR + 5) << 16,
    CLASS_SMALL_TCP: (MAJOR + 6) << 16,
    CLASS_SMALL_OTHER: (MAJOR + 7) << 16,
    **{handle: (MAJOR + 8 + n) << 16 for n, handle in enumerate(CLASSES_SMALL_UDP)},
}
LAST_MAJOR = MAJOR + 11
REDIRECT_PRIO = MAJOR  # by which our filter on the ingress qdisc is known

KINDS = ("cake", "tbf+fq_codel", "htb+fq_codel", "tbf")  # best first
NEEDS: Mapping[str, frozenset[str]] = {
    "cake": frozenset({"cake"}),
    "tbf+fq_codel": frozenset({"tbf", "fq_codel"}),
    "htb+fq_codel": frozenset({"htb", "fq_codel"}),
    "tbf": frozenset({"tbf"}),
}

# Of large packets where no fq_codel is. With 0.15 s four flows lose so much that 3 % of what arrives comes twice; small
# packets do not wait in it.
QUEUE_S = 0.25
BURST_S = 0.025  # what may pass when the timer comes late: a tbf that may not make up for it loses a tenth of its rate
PEAK = 4  # times the rate, while it makes up for that
PACKET_BYTES = 1514
SMALL_BYTES = 256  # what is shorter is a small packet
# What each class may send before the others; beyond it they borrow in the order of their priority, and those of one
# priority in turn. The same at every line rate, so that a step has nothing to change here: at 512 kbit/s a flood of
# small packets leaves the large ones a quarter.
ASSURED_BPS = {
    CLASS_MANAGEMENT: 160_000,
    CLASS_NAMES: 32_000,
    CLASS_SMALL_TCP: 96_000,
    CLASS_SMALL_OTHER: 32_000,
    **dict.fromkeys(CLASSES_SMALL_UDP, 16_000),
    CLASS_REST: 128_000,
}
SMALL = frozenset({CLASS_SMALL_TCP, CLASS_SMALL_OTHER, *CLASSES_SMALL_UDP})
PRIORITY = {CLASS_MANAGEMENT: 0, CLASS_NAMES: 1, **dict.fromkeys(SMALL, 2), CLASS_REST: 3}
SMALL_QUEUE_BYTES = 16_000
UNLIMITED = 125_000_000  # bytes/s: a rate that no class inside a tbf ever reaches


@dataclass(frozen=True, slots=True)
class Want:
    """One qdisc or class to be, with the options to make it and the values it must read back with."""

    kind: str
    handle: int
    parent: int
    options: Mapping[str, Any]
    values: Mapping[str, int] = field(default_factory=dict)
    is_class: bool = False

    def is_met_by(self, node: Node) -> bool:
        if (node.kind, node.handle) != (self.kind, self.handle):
            return False
        if not self.is_class and node.parent != self.parent:
            return False
        return all(_near(node.values.get(name), value) for name, value in self.values.items())


@dataclass(frozen=True, slots=True)
class WantFilter:
    """One u32 filter. Its priority is made from what it matches, so that it is known again when read back."""

    parent: int
    protocol: int
    keys: tuple[str, ...]
    target: int
    after: int = 0  # numbers that were taken: the kernel has one protocol a priority

    @property
    def prio(self) -> int:
        base, count = _PRIORITIES.get(self.target, (1, 0x7FF0))
        return base + (zlib.crc32(repr((self.protocol, self.keys)).encode()) + self.after) % count

    def is_met_by(self, found: Filter) -> bool:
        return (found.prio, found.protocol, found.target) == (self.prio, self.protocol, self.target)


def _near(found: object, wanted: int) -> bool:
    """fq_codel keeps its times in units of 1.024 us and reads them back a little lower."""
    return isinstance(found, int) and abs(found - wanted) <= max(1, wanted // 1000)


# -- numbers -------------------------------------------------------------------------------------------------------


def with_headers(rate_bps: int, mtu: int, header_bytes: int) -> int:
    """The rate at which whole packets carry `rate_bps` of IP bytes over a link with such a header.

    tbf and htb reckon with the link header (cake need not), 14 bytes on Ethernet types. Smaller packets get less than
    the rate, never more. A size table (tc's stab) would be exact for them, but a tbf measures anew, without it, the
    pieces of each super-packet that it takes apart, and no qdisc below the root may have one.
    """
    return rate_bps * (mtu + header_bytes) // mtu if header_bytes and mtu else rate_bps


def packet_bytes(mtu: int = 1500) -> int:
    """One packet in ATM-like cells, as sqm has it (1749 for an MTU of 1500): tbf drops what is longer."""
    return ceil((mtu + 14 + 34) / 48) * 53


def burst_bytes(rate_bps: int, mtu: int = 1500) -> int:
    """A packet, and what may be made up for."""
    return packet_bytes(mtu) + int(rate_bps / 8 * BURST_S)


def queue_bytes(rate_bps: int, mtu: int = 1500) -> int:
    """Of a plain queue: QUEUE_S, and never less than a few packets."""
    return max(4 * (mtu + 14), int(rate_bps / 8 * QUEUE_S))


def codel_us(rate_bps: int) -> tuple[int, int]:
    """Target and interval: 5 and 100 ms, unless a packet and a half takes longer than the target."""
    target = max(5_000, int(1_000_000 * 33 * 53 * 8 / rate_bps))
    return target, 95_000 + target


# -- trees ---------------------------------------------------------------------------------------------------------


def tree(kind: str, rate_bps: int, *, mtu: int = 1500, upload: bool = False, header_bytes: int = 0) -> tuple[Want, ...]:
    """The qdiscs and classes that shape to `rate_bps` of IP bytes, parents first."""
    if kind == "cake":
        return (_cake(rate_bps, upload=upload),)
    link_bps = with_headers(rate_bps, mtu, header_bytes)
    if kind == "htb+fq_codel":
        return (*_htb(link_bps, mtu), _fq_codel(rate_bps, CLASS_ONLY))
    top = _tbf(link_bps, mtu)
    if kind == "tbf+fq_codel":
        return (top, _fq_codel(rate_bps, TOP | 1))
    return (top, *_classes(rate_bps, mtu))


def _cake(rate_bps: int, *, upload: bool) -> Want:
    """Even shares for the hosts of the household: by source on the way up, by destination on the way down.

    triple-isolate, the default, takes the greater of both ends' flows: with one server at the other end, a host with 20
    flows gets 96 % beside a host with one (measured).
    """
    options = {
        "bandwidth": rate_bps,
        "diffserv_mode": "besteffort",  # no host of the household may claim priority by DSCP
        "flow_mode": "dual-srchost" if upload else "dual-dsthost",
        "nat": True,
        "split_gso": True,
        "ack_filter": upload,
        "memlimit": max(500_000, rate_bps // 8),  # 4 MB by default: much on a board of 64
        "overhead": 0,  # said at all, it makes cake reckon from the IP header on, whatever the link
    }
    values = {"base_rate64": rate_bps // 8, "ack_filter": int(upload), "diffserv_mode": 3, "nat": 1}
    values["flow_mode"] = 5 if upload else 6  # CAKE_FLOW_DUAL_SRC, CAKE_FLOW_DUAL_DST
    return Want("cake", TOP, ROOT, options, values)


def _tbf(rate_bps: int, mtu: int) -> Want:
    """At most one packet at a time, by the second bucket, so that a super-packet is taken apart at every rate. With one
    bucket, what fits into the burst of 5 Mbit/s stays whole, and after a step to 512 kbit/s can never leave again."""
    rate, peak = rate_bps // 8, rate_bps // 8 * PEAK
    burst, packet = burst_bytes(rate_bps, mtu), packet_bytes(mtu)
    limit = queue_bytes(rate_bps, mtu) + burst  # only until the inner qdisc stands, which has a limit of its own
    options = {"rate": rate, "burst": burst, "peak": peak, "mtu": packet, "limit": limit}
    return Want("tbf", TOP, ROOT, options, {"rate": rate, "peak": peak, "limit": limit})


def _fq_codel(rate_bps: int, parent: int) -> Want:
    target, interval = codel_us(rate_bps)
    options = {"fqc_limit": 1001, "fqc_quantum": 300, "fqc_target": target, "fqc_interval": interval, "fqc_ecn": 1}
    return Want("fq_codel", INNER, parent, options, {"target": target, "interval": interval, "quantum": 300})


def _htb(rate_bps: int, mtu: int) -> tuple[Want, Want]:
    return (
        Want("htb", TOP, ROOT, {"default": 0x10}, {"defcls": 0x10}),
        _htb_class(CLASS_ONLY, TOP, rate_bps // 8, burst_bytes(rate_bps, mtu), prio=0),
    )


def _classes(rate_bps: int, mtu: int) -> Iterator[Want]:
    yield Want("htb", INNER, TOP | 1, {"default": CLASS_REST & 0xFFFF}, {"defcls": CLASS_REST & 0xFFFF})
    yield _htb_class(CLASS_ALL, INNER, UNLIMITED, 10_000, prio=0)
    for handle, assured in ASSURED_BPS.items():
        yield _htb_class(
            handle, CLASS_ALL, assured // 8, 2 * burst_bytes(assured, mtu),
            prio=PRIORITY[handle], ceil=UNLIMITED, quantum=SMALL_BYTES if handle in SMALL else PACKET_BYTES,
        )  # fmt: skip
        limit = queue_bytes(rate_bps, mtu) if handle == CLASS_REST else SMALL_QUEUE_BYTES
        yield Want("bfifo", QUEUES[handle], handle, {"limit": limit}, {"limit": limit})


def _htb_class(
    handle: int, parent: int, rate: int, burst: int, *, prio: int, ceil: int = 0, quantum: int = PACKET_BYTES
) -> Want:
    most = ceil or rate
    # Quantum by hand: rate / r2q is far off for both the slow and the unlimited ones, and the kernel complains.
    options = {"rate": rate, "ceil": most, "burst": burst, "cburst": 10_000, "quantum": quantum, "prio": prio}
    return Want("htb", handle, parent, options, {"rate": rate, "ceil": most, "prio": prio}, is_class=True)


# -- filters -------------------------------------------------------------------------------------------------------

_PROTOCOL_OFFSET = {ETH_P_IP: 9, ETH_P_IPV6: 6}
_HEADER_BYTES = {ETH_P_IP: 20, ETH_P_IPV6: 40}
_ADDRESS_OFFSET = {(ETH_P_IP, False): 12, (ETH_P_IP, True): 16, (ETH_P_IPV6, False): 8, (ETH_P_IPV6, True): 24}
_TCP, _UDP = 6, 17
DNS_PORT, NTP_PORT = 53, 123
_NTP_LENGTH = {ETH_P_IP: "0x4c/0xffff+2", ETH_P_IPV6: "0x38/0xffff+4"}  # 48 bytes of NTP, and nothing more
_SMALL_LENGTH = {ETH_P_IP: "0x0/0xff+2", ETH_P_IPV6: "0x0/0xff+4"}  # the upper byte: SMALL_BYTES or more
# What is the device's own is tried first, and what is small whatever its protocol last.
_PRIORITIES = {**dict.fromkeys(SMALL, (0x8000, 0x3FF0)), CLASS_SMALL_OTHER: (0xC000, 0x3FF0)}


def filters(
    kind: str, endpoints: Sequence[Endpoint], *, upload: bool, name_servers: Sequence[str] = ()
) -> tuple[WantFilter, ...]:
    """What goes first where the qdisc does not see to sparse flows by itself.

    Management by far address and port (an IPv4 packet with options, which it never has, takes the common way), DNS by
    the address of the name servers, NTP by port and length, small packets by the upper byte of their length.
    """
    if kind != "tbf":
        return ()
    management = [_far_end(e.address, _TCP, e.port, upload, CLASS_MANAGEMENT) for e in endpoints]
    names = [
        _far_end(server, protocol, DNS_PORT, upload, CLASS_NAMES)
        for server in name_servers
        for protocol in (_UDP, _TCP)
    ]
    return tuple(_apart((*filter(None, management), *filter(None, names), *_time(upload), *_small(upload))))


def _apart(wants: Sequence[WantFilter]) -> Iterator[WantFilter]:
    """Each match once, and each with a priority of its own: among ten, two meet by chance once in 700 devices."""
    matches, taken = set[tuple[int, tuple[str, ...]]](), set[int]()
    for want in wants:
        if (want.protocol, want.keys) in matches:
            continue
        while want.prio in taken:
            want = replace(want, after=want.after + 1)
        matches.add((want.protocol, want.keys))
        taken.add(want.prio)
        yield want


def _time(upload: bool) -> Iterator[WantFilter]:
    for family, length in _NTP_LENGTH.items():
        yield WantFilter(INNER, family, (length, _protocol(family, _UDP), _port(family, NTP_PORT, upload)), CLASS_NAMES)


def _small(upload: bool) -> Iterator[WantFilter]:
    for family, length in _SMALL_LENGTH.items():
        yield WantFilter(INNER, family, (length, _protocol(family, _TCP)), CLASS_SMALL_TCP)
        for n, target in enumerate(CLASSES_SMALL_UDP):
            last_bits = f"{n:#x}/{len(CLASSES_SMALL_UDP) - 1:#x}+{_port_offset(family, upload) + 1}"
            yield WantFilter(INNER, family, (length, _protocol(family, _UDP), last_bits), target)
        yield WantFilter(INNER, family, (length,), CLASS_SMALL_OTHER)
    yield WantFilter(INNER, ETH_P_ARP, ("0x0/0x0+0",), CLASS_SMALL_OTHER)


def _far_end(text: str, protocol: int, port: int, upload: bool, target: int) -> WantFilter | None:
    """Packets to (on the way up) or from (down) an address and port; None if the text is no address."""
    address = _plain(text)
    if address is None:
        return None
    family = ETH_P_IP if address.version == 4 else ETH_P_IPV6
    keys = (*_address(family, address.packed, upload), _protocol(family, protocol), _port(family, port, upload))
    return WantFilter(INNER, family, keys, target)


def _plain(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address as it stands in packets: a socket of both families tells IPv4 as ::ffff:192.0.2.1. None: no address"""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, ipaddress.IPv6Address) else address


def _protocol(family: int, number: int) -> str:
    return f"{number:#x}/0xff+{_PROTOCOL_OFFSET[family]}"


def _port(family: int, port: int, upload: bool) -> str:
    return f"{port:#x}/0xffff+{_port_offset(family, upload)}"


def _port_offset(family: int, upload: bool) -> int:
    """Of the far port: the destination's on the way up, the source's on the way down."""
    return _HEADER_BYTES[family] + (2 if upload else 0)


def _address(family: int, packed: bytes, upload: bool) -> list[str]:
    start = _ADDRESS_OFFSET[family, upload]
    words = range(0, len(packed), 4)
    return [f"{int.from_bytes(packed[i : i + 4], 'big'):#x}/0xffffffff+{start + i}" for i in words]
