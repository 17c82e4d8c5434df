"""PURE. Where the trees stand that hold the WAN links to the wanted rates, and which links are led to each.

Called by enforce.py and by the proof. One link has a tree at its root for the upload, and one at an ifb for the
download. Several links that are up share one allowance, so they share one rate: their downloads are led to one ifb,
and each has an equal part of the upload, because a root qdisc serves one device alone. Must not talk to the kernel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from agent.plan import Rates
from agent.traffic.model import SHARED_IFB, Link, ifb_name
from agent.traffic.tree import Want, tree

# A WAN's MTU limits what is sent. What is received is as long as the far end and the path allow: 1500 bytes on the
# Internet (measured: a link with an MTU of 1280 receives them, and a tbf made for 1280 drops each one).
RECEIVED_MTU = 1500


@dataclass(frozen=True, slots=True)
class Place:
    """A device whose root holds a tree. `sources`: the links whose download is led to it, if it is an ifb."""

    device: str
    rate_bps: int
    mtu: int
    header_bytes: int
    sources: tuple[Link, ...] = ()

    def tree(self, kind: str) -> tuple[Want, ...]:
        upload = not self.sources
        return tree(kind, self.rate_bps, mtu=self.mtu, upload=upload, header_bytes=self.header_bytes)


def carriers(links: Sequence[Link]) -> tuple[Link, ...]:
    """The links without those that lie on another of them: what passes a bridge or a VLAN passes its port as well."""
    there = {link.ifindex for link in links}
    masters = {link.master for link in links}
    return tuple(link for link in links if link.ifindex not in masters and link.lower not in there)


def shares(links: Sequence[Link], rates: Rates) -> Rates:
    """The rates of each link, when all of them together are to have `rates`: the download is limited in common."""
    parts = sum(link.up for link in carriers(links))
    return replace(rates, up_bps=rates.up_bps // parts) if rates.up_bps and parts > 1 else rates


def places(links: Sequence[Link], rates: Rates) -> tuple[Place, ...]:
    """Every tree that is to stand, each link's upload before its download."""
    shaped, up_bps = carriers(links), shares(links, rates).up_bps
    common = sum(link.up for link in shaped) > 1
    return tuple(_uploads(shaped, up_bps)) + tuple(_downloads(shaped, rates.down_bps, common=common))


def _uploads(links: Sequence[Link], rate_bps: int | None) -> Iterator[Place]:
    if rate_bps is not None:
        yield from (Place(link.ifname, rate_bps, link.mtu, link.header_bytes) for link in links)


def _downloads(links: Sequence[Link], rate_bps: int | None, *, common: bool) -> Iterator[Place]:
    if rate_bps is None:
        return
    groups = [(SHARED_IFB, tuple(links))] if common else [(ifb_name(link.ifname), (link,)) for link in links]
    for device, sources in groups:
        mtu = max(RECEIVED_MTU, *(link.mtu for link in sources))
        # The shortest header of them: of the others the tree lets a little less pass, and of none more.
        yield Place(device, rate_bps, mtu, min(link.header_bytes for link in sources), sources)
