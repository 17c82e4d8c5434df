"""Keeps the kernel as the plan wants it: compares and mends at every tick, every link event and every decision.

Shaping is a reconciliation, not an edge: it survives a crash, an interface that is made anew, a modem reset and a
stranger's `tc qdisc del`. A kernel that refuses is reported as `unenforced`; how soon it is asked again is the
shaper's own matter.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from pathlib import Path

from agent.errors import KernelError
from agent.events import Charged, Emit, Progressed, Shaped, unheard
from agent.net import resolv
from agent.plan import Rates
from agent.traffic import Endpoint, Kernel, Link, LinkEvent, Management, NamesMeter, Shaper, ShaperState, matches
from agent.traffic.netlink.thread import boot_s
from agent.wake import Wake

TICK_S = 30.0
RETRY_S = 1.0
# The servers that are asked over the WAN: where dnsmasq or resolved stands before them, it keeps them in its own file.
RESOLV_CONFS = (
    Path("/tmp/resolv.conf.d/resolv.conf.auto"),
    Path("/run/systemd/resolve/resolv.conf"),
    resolv.RESOLV_CONF,
)


class Shaping:
    """The wanted rates, and what became of them."""

    def __init__(
        self, kernel: Kernel, shaper: Shaper, patterns: Sequence[str], wanted: Rates, emit: Emit = unheard
    ) -> None:
        self._kernel, self._shaper, self._patterns = kernel, shaper, tuple(patterns)
        self._wanted, self._emit = wanted, emit
        self.links: tuple[Link, ...] = ()
        self._endpoints: tuple[Endpoint, ...] = ()
        self._names = NamesMeter(kernel)
        self.state = ShaperState("off")
        self.wake = Wake()

    def want(self, rates: Rates) -> None:
        """The plan has decided."""
        self._wanted = rates
        self.wake.set()

    def manage(self, peer: tuple[str, int] | None) -> None:
        """The broker's address: what goes there is management, and first on a full line."""
        endpoints = (Endpoint(*peer),) if peer else ()
        if endpoints != self._endpoints:
            self._endpoints = endpoints
            self.wake.set()

    def link_event(self, event: LinkEvent) -> None:
        """Look at once when it is about a WAN link, under its old name too, or about something of ours. What happens to
        other links is seen at the next tick: they may flap all day."""
        known = event.link.ifindex in [link.ifindex for link in self.links]
        if known or event.ours or matches(self._patterns, event.link.ifname):
            self.wake.set()

    def remake(self) -> None:
        """Our objects let nothing pass: they are taken away and made anew."""
        self._shaper.remake()
        self.wake.set()

    async def run(self) -> None:
        """Reconcile for ever."""
        while True:
            await self.reconcile()
            await self.count_names()
            self._emit(Progressed("shaping", TICK_S * 4))
            await self.wake.wait(TICK_S if self.state.state in ("off", "enforced") else RETRY_S)

    async def reconcile(self) -> None:
        """Make the kernel as the plan wants it, once."""
        wanted, links = self._wanted, self.links
        try:
            links = tuple(await self._kernel.links(self._patterns))
            self._shaper.manage(self._endpoints, upstream_name_servers(RESOLV_CONFS))
            state = await self._shaper.reconcile(links, wanted)
        except KernelError as error:
            state = ShaperState("unenforced", rates=wanted, reason=str(error))
        changed = _essence(state) != _essence(self.state) or links != self.links
        self.state, self.links = state, links
        if changed:
            self._emit(Shaped(links, state))

    async def count_names(self) -> None:
        """What the device's names and time have cost since the last look."""
        more = await self._names.read(self.links, boot_s())
        if more != Management():
            self._emit(Charged(more.received_bytes, more.sent_bytes))


def upstream_name_servers(files: Iterable[Path]) -> tuple[str, ...]:
    """The name servers of the first of these resolv.conf files that has any beyond the device itself."""
    for file in files:
        servers = tuple(s for s in resolv.name_servers(file) or () if not _is_loopback(s))
        if servers:
            return servers
    return ()


def _is_loopback(server: str) -> bool:
    try:
        return ipaddress.ip_address(server.partition("%")[0]).is_loopback
    except ValueError:
        return True  # no address: nothing that could be told by it


def _essence(state: ShaperState) -> tuple[object, ...]:
    return state.state, state.qdisc, state.rates, state.reason
