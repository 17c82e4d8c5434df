"""The agent's own traffic as tc saw it: bytes of the management class, both directions, on kernels where it has one.

Asked by the daemon for `status`, beside what the session counts on its socket. With cake and fq_codel there is no such
class, since sparse flows come first by themselves: the session's own count is then the only one, and is the one that is
not charged to the household in any case. DNS and NTP go first as small packets, but are charged: they could not be told
from a household's tunnel through the same ports.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.traffic.kernel import Kernel
from agent.traffic.messages import Node
from agent.traffic.model import Link, ifb_name
from agent.traffic.netlink import Route
from agent.traffic.tree import CLASS_MANAGEMENT


@dataclass(frozen=True, slots=True)
class Management:
    """IP bytes since the agent started."""

    received_bytes: int = 0
    sent_bytes: int = 0


class ManagementMeter:
    """Adds up the class counters over re-created links and qdiscs, which begin again at zero."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._last: dict[tuple[int, str], int] = {}
        self._total = Management()

    async def read(self, links: Sequence[Link]) -> Management | None:
        """The totals until now; None where the kernel keeps no such class."""
        counts: dict[tuple[int, str], int] = {}
        for link in links:
            counts.update(await self._kernel.call(lambda route, link=link: _read(route, link)))  # type: ignore[misc]
        if not counts:
            return None
        received = sum(self._more(key, value) for key, value in counts.items() if key[1] == "received")
        sent = sum(self._more(key, value) for key, value in counts.items() if key[1] == "sent")
        self._total = Management(self._total.received_bytes + received, self._total.sent_bytes + sent)
        self._last = counts
        return self._total

    def _more(self, key: tuple[int, str], value: int) -> int:
        last = self._last.get(key, 0)
        return value - last if value >= last else value


def _read(route: Route, link: Link) -> dict[tuple[int, str], int]:
    found: dict[tuple[int, str], int] = {}
    for device, direction in ((link, "sent"), (route.link(ifb_name(link.ifname)), "received")):
        node = _management(route.classes(device.ifindex)) if device else None
        if node is not None:
            found[link.ifindex, direction] = node.sent_bytes - link.header_bytes * node.sent_packets
    return found


def _management(nodes: Sequence[Node]) -> Node | None:
    return next((n for n in nodes if n.handle == CLASS_MANAGEMENT and n.kind == "htb"), None)
