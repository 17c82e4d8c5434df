"""Proof that the shaping bites: what the counters say against what was wanted.

For half a minute after each change and every hour, the bytes of the WAN link are compared with those that went through
our qdiscs. A rate that is exceeded, traffic that found a way around (flow offload, a vendor's fast path, a second
default route), or a direction in which our objects let nothing pass, is the alarm `throttle-ineffective`, with its
cause; a direction that is blocked has all of ours made anew. `judge` is PURE; `Proof` is run by the daemon.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from agent.errors import KernelError
from agent.events import Emit, ShapingJudged
from agent.plan import Rates
from agent.traffic.layout import carriers, shares
from agent.traffic.model import Link, ShaperState
from agent.traffic.netlink.messages import Node
from agent.traffic.netlink.route import INGRESS_SIDE, ROOT, Route
from agent.traffic.netlink.thread import Kernel, boot_s
from agent.traffic.tree import QUEUE_S, REDIRECT_PRIO, TOP

ALARM = "throttle-ineffective"
WINDOW_S = 30.0
EVERY_S = 3600.0
AGAIN_S = 60.0  # while it does not bite
SOONEST_S = 1.0  # between two looks, whatever the kernel says
TOO_FAST = 1.05  # above the wanted rate; the shapers themselves keep it within 1 %
SLACK_BYTES = 20_000  # what is under way when a counter is read: a burst, a queue
BLOCKED_BYTES = 3_000  # two large packets that came: the first leaves at once where all is well
BLOCKED_SHARE = 0.1  # of what came, or of one full queue, did not pass: ARP may, where nothing else does
DROPPED_BYTES = 100  # of a packet of which only that it was dropped is known: a short one
AROUND = 0.10  # of the WAN's bytes may miss our counters: GRO takes up to 4 % of headers away before they are counted


@dataclass(frozen=True, slots=True)
class Passed:
    """One direction of one link at one moment: the link's own bytes, and those that met our qdisc."""

    link_bytes: int  # of the link, without the link header
    caught_bytes: int  # that came to our qdisc, without the link header
    shaped_bytes: int  # that left it, without the link header
    dropped_packets: int = 0  # by it


@dataclass(frozen=True, slots=True)
class Reading:
    """Both directions of one link, all of one moment. None: that direction is not shaped, or its qdisc is not there."""

    at_s: float
    ifindex: int
    down: Passed | None
    up: Passed | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a window of observation has shown."""

    effective: bool
    seconds: float
    down_bps: int | None  # what was let through; None: not shaped
    up_bps: int | None
    cause: str = ""  # exceeded, bypass or blocked
    text: str = ""


# -- pure ----------------------------------------------------------------------------------------------------------


def judge(before: Reading, after: Reading, wanted: Rates, ifname: str = "") -> Verdict | None:
    """What happened between two readings; None if they cannot be compared."""
    seconds = after.at_s - before.at_s
    if before.ifindex != after.ifindex or seconds <= 0:
        return None
    faults: list[tuple[str, str]] = []
    measured: dict[str, int | None] = {}
    for name, rate, first, last in (
        ("download", wanted.down_bps, before.down, after.down),
        ("upload", wanted.up_bps, before.up, after.up),
    ):
        measured[name] = None
        if rate is None:
            continue
        if first is None or last is None or last.shaped_bytes < first.shaped_bytes:
            return None  # made anew in between: the next window tells
        measured[name] = int((last.shaped_bytes - first.shaped_bytes) * 8 / seconds)
        fault = _fault(first, last, rate, seconds)
        if fault:
            faults.append((fault[0], f"{ifname} {name}: {fault[1]}".strip()))
    faults.sort(key=lambda fault: fault[0] != "blocked")  # the worst first
    cause = faults[0][0] if faults else ""
    text = "; ".join(text for _, text in faults)
    return Verdict(not faults, seconds, measured["download"], measured["upload"], cause, text)


def _fault(first: Passed, last: Passed, rate: int, seconds: float) -> tuple[str, str] | None:
    link = last.link_bytes - first.link_bytes
    around = link - (last.caught_bytes - first.caught_bytes)
    if around > link * AROUND + SLACK_BYTES:
        return "bypass", (
            f"{around * 100 // link} % of {link} bytes in {seconds:.0f} s went around the shaper "
            "(flow offload, a vendor's fast path, or a rule before ours)"
        )
    shaped = last.shaped_bytes - first.shaped_bytes
    came = last.caught_bytes - first.caught_bytes + DROPPED_BYTES * (last.dropped_packets - first.dropped_packets)
    if came > BLOCKED_BYTES and shaped < min(came, rate / 8 * QUEUE_S) * BLOCKED_SHARE:
        return "blocked", f"{shaped} bytes passed in {seconds:.0f} s of at least {came} that came"
    if shaped > rate / 8 * seconds * TOO_FAST + SLACK_BYTES:
        return "exceeded", f"{shaped * 8 / seconds / 1000:.0f} kbit/s passed where {rate / 1000:.0f} are wanted"
    return None


# -- reading -------------------------------------------------------------------------------------------------------


async def read(kernel: Kernel, link: Link) -> Reading | None:
    """Both directions of a link now; None if it is gone."""
    samples = await kernel.samples([link.ifname])
    sample = next((s for s in samples if s.epoch.ifindex == link.ifindex), None)
    if sample is None:
        return None
    received = sample.received_bytes - link.header_bytes * sample.received_packets
    sent = sample.sent_bytes - link.header_bytes * sample.sent_packets
    down, up = await kernel.call(lambda route: (_down(route, link, received), _up(route, link, sent)))
    return Reading(sample.boot_s, link.ifindex, down, up)


def _down(route: Route, link: Link, link_bytes: int) -> Passed | None:
    """What our redirect counts, and what leaves the device that it leads to. tc counts what comes in without its link
    header. The filter is read first: what it has counted by then has had its time to pass."""
    redirects = [f for f in route.filters(link.ifindex, INGRESS_SIDE) if f.prio == REDIRECT_PRIO and f.mirred]
    if not redirects:
        return None
    caught, root = sum(f.matched_bytes for f in redirects), _root(route.qdiscs(), redirects[0].redirect)
    if root is None:
        return Passed(link_bytes, caught, 0)
    return Passed(link_bytes, caught, root.ip_bytes(link.header_bytes), root.drops)


def _up(route: Route, link: Link, link_bytes: int) -> Passed | None:
    """What was dropped has not left the link either, so what left the qdisc is what came."""
    root = _root(route.qdiscs(), link.ifindex)
    if root is None:
        return None
    shaped = root.ip_bytes(link.header_bytes)
    return Passed(link_bytes, shaped, shaped, root.drops)


def _root(nodes: Sequence[Node], ifindex: int) -> Node | None:
    return next((n for n in nodes if n.ifindex == ifindex and n.parent == ROOT and n.handle == TOP), None)


# -- over time -----------------------------------------------------------------------------------------------------


class Proof:
    """Watches the links for a window after each change and every hour. `sleep` is a pause that a change may end early:
    a look every second would be a sixth of what the idle agent costs (measured: 0.03 % of a core)."""

    def __init__(
        self,
        kernel: Kernel,
        emit: Emit,
        *,
        sleep: Callable[[float], Awaitable[object]],
        now: Callable[[], float] = boot_s,
    ) -> None:
        self._kernel, self._emit, self._now, self._sleep = kernel, emit, now, sleep
        self._shaped: tuple[Sequence[Link], ShaperState] = (), ShaperState("off")
        self._subject: tuple[object, ...] | None = None
        self._due_s = 0.0
        self._window: dict[int, Reading] = {}
        self.latest: Verdict | None = None

    def shaped(self, links: Sequence[Link], state: ShaperState) -> None:
        """What is shaped now, and how."""
        self._shaped = links, state

    async def run(self) -> None:
        """Watch for ever; the daemon's task."""
        while True:
            await self.tick()
            await self._sleep(max(SOONEST_S, self.next_s() - self._now()))

    def next_s(self) -> float:
        """When there is something to look at again, by the boot clock, unless what is shaped changes before."""
        if self._subject is None:
            return self._now() + EVERY_S
        return min((r.at_s for r in self._window.values()), default=self._due_s - WINDOW_S) + WINDOW_S

    async def tick(self) -> None:
        """One look: begins a window when one is due, and judges it when it is over."""
        links, state = self._shaped
        links = carriers(links)
        subject = (tuple(link.ifindex for link in links), state.rates)
        if state.state != "enforced":
            self._subject, self._window = None, {}
            if self.latest is not None and not self.latest.effective:
                self._conclude(Verdict(True, 0.0, None, None))  # nothing is shaped, so nothing is ineffective
            return
        if subject != self._subject:
            self._subject, self._window, self._due_s = subject, {}, self._now()
        try:
            await self._advance(links, shares(links, state.rates))
        except KernelError:
            self._window = {}  # the shaper reports what is wrong with the kernel

    async def _advance(self, links: Sequence[Link], wanted: Rates) -> None:
        now = self._now()
        if not self._window:
            if now >= self._due_s:
                readings = [await read(self._kernel, link) for link in links]
                self._window = {r.ifindex: r for r in readings if r is not None}
            return
        if now - min(r.at_s for r in self._window.values()) < WINDOW_S:
            return
        begun, self._window = self._window, {}
        verdicts = [await self._verdict(begun.get(link.ifindex), link, wanted) for link in links]
        told = [verdict for verdict in verdicts if verdict is not None]
        bad = next((verdict for verdict in told if not verdict.effective), None)
        # What could not be compared is looked at again at once.
        self._due_s = now + (0.0 if None in verdicts else AGAIN_S if bad else EVERY_S)
        if told:
            self._conclude(bad or told[-1])

    async def _verdict(self, before: Reading | None, link: Link, wanted: Rates) -> Verdict | None:
        after = await read(self._kernel, link)
        return judge(before, after, wanted, link.ifname) if before and after else None

    def _conclude(self, verdict: Verdict) -> None:
        self.latest = verdict
        self._emit(ShapingJudged(verdict))


__all__ = ["ALARM", "Passed", "Proof", "Reading", "Verdict", "judge", "read"]
