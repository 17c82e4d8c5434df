"""The device's own traffic as tc saw it: bytes of a class of its own, both directions, on kernels where it has one.

Read by the daemon while the line is shaped with tbf alone: names and time (DNS, NTP) are entered in the ledger as the
device's, beside what the session counts on its own socket. With cake and fq_codel there is no such class, since sparse
flows come first by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.traffic.kernel import Kernel
from agent.traffic.messages import Node
from agent.traffic.model import Link, ifb_name
from agent.traffic.netlink import Route
from agent.traffic.tree import CLASS_MANAGEMENT, CLASS_NAMES

FREE_BYTES, FREE_BYTES_PER_S = 100_000, 20.0


@dataclass(frozen=True, slots=True)
class Management:
    """IP bytes since the agent started."""

    received_bytes: int = 0
    sent_bytes: int = 0


class ManagementMeter:
    """Adds up the counters of one class over re-created links and qdiscs, which begin again at zero."""

    def __init__(self, kernel: Kernel, handle: int = CLASS_MANAGEMENT) -> None:
        self._kernel, self._handle = kernel, handle
        self._last: dict[tuple[int, str], int] = {}
        self._total = Management()

    async def read(self, links: Sequence[Link]) -> Management | None:
        """The totals until now; None where the kernel keeps no such class."""
        counts: dict[tuple[int, str], int] = {}
        for link in links:
            counts.update(await self._kernel.call(lambda route, link=link: self._read(route, link)))  # type: ignore[misc]
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

    def _read(self, route: Route, link: Link) -> dict[tuple[int, str], int]:
        found: dict[tuple[int, str], int] = {}
        for device, direction in ((link, "sent"), (route.link(ifb_name(link.ifname)), "received")):
            node = self._class(route.classes(device.ifindex)) if device else None
            if node is not None:
                found[link.ifindex, direction] = node.ip_bytes(link.header_bytes)
        return found

    def _class(self, nodes: Sequence[Node]) -> Node | None:
        return next((n for n in nodes if n.handle == self._handle and n.kind == "htb"), None)


class NamesMeter:
    """What names and time have cost since the last look, as far as the household is not to pay for it.

    Whoever sits behind the modem can speak to the name server too, and lead a tunnel through it. So no more is free
    than a device needs by far: 100 kB, and 20 bytes a second.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._meter = ManagementMeter(kernel, CLASS_NAMES)
        self._told = Management()
        self._free, self._at_s = float(FREE_BYTES), 0.0

    async def read(self, links: Sequence[Link], now_s: float) -> Management:
        """Bytes since the last call."""
        total = await self._meter.read(links) or self._told
        received = total.received_bytes - self._told.received_bytes
        sent = total.sent_bytes - self._told.sent_bytes
        self._told = total
        return self.free_of(Management(received, sent), now_s)

    def free_of(self, more: Management, now_s: float) -> Management:
        """The part of it that is free, and is taken off what may be free from now on."""
        self._free = min(FREE_BYTES, self._free + (now_s - self._at_s) * FREE_BYTES_PER_S)
        self._at_s = now_s
        received = min(more.received_bytes, int(self._free))
        sent = min(more.sent_bytes, int(self._free) - received)
        self._free -= received + sent
        return Management(received, sent)
