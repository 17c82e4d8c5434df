"""The shaper: wanted rates in, the kernel's true state out. A reconciliation, never an edge.

The daemon awaits `reconcile` at every tick and link event. It never raises on account of the kernel: what cannot be
done is a state with a reason and an advice, is tried again with growing pauses, and leaves everything else going on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from agent import system
from agent.backoff import Backoff
from agent.config import ShaperSettings
from agent.errors import KernelError
from agent.plan import Rates
from agent.traffic import advice, probe
from agent.traffic.enforce import Foreign, Wish, rehearse, shape, step, tidy, unshape
from agent.traffic.model import UNSHAPED, Capabilities, Endpoint, Link, ShaperState
from agent.traffic.netlink.thread import Kernel, boot_id, boot_s
from agent.traffic.offload import MARKER, OffloadGuard
from agent.traffic.tree import KINDS, NEEDS

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
VERIFY_S = 300.0  # the kernel is read again after this time even if it told of no change: it costs 20 ms


@dataclass(slots=True)
class _Pause:
    """After a failure: for what it failed, and from when on it may be tried again."""

    subject: tuple[object, ...]
    until_s: float
    backoff: Backoff
    foreign_at: int | None = None  # the generation at which a stranger's qdisc was in the way: when it goes, at once

    def holds(self, subject: tuple[object, ...], now_s: float, generation: int) -> bool:
        moved = self.foreign_at is not None and self.foreign_at != generation
        return self.subject == subject and now_s < self.until_s and not moved


class Shaper:
    """Shapes the WAN links, both directions, with the best qdisc that the kernel has."""

    def __init__(
        self,
        kernel: Kernel,
        settings: ShaperSettings,
        *,
        cache: Path | None = None,  # where the probe's result is kept for the boot, and beside it the guard's marker
        memory: Path | None = None,  # and where for later boots of the same kernel
        now: Callable[[], float] = boot_s,
    ) -> None:
        self._kernel, self._settings, self._now = kernel, settings, now
        self._cache, self._memory = cache, memory
        self._capabilities = probe.load(cache, boot_id()) if cache else None
        self._recalled = probe.load(memory, probe.kernel_build()) if memory and not self._capabilities else None
        self._endpoints: tuple[Endpoint, ...] = ()
        self._name_servers: tuple[str, ...] = ()
        self._expected: tuple[Rates, ...] = ()
        self._rehearsed: set[tuple[str, int, int]] = set()
        self._pause: _Pause | None = None
        self._verified: tuple[tuple[object, ...], int, float] | None = None
        self._stands: tuple[tuple[Link, ...], Wish] | None = None  # what `_verified` has read back
        self._remaking = False
        self._tidied: int | None = None  # the generation at which nothing was found to remove
        self._state = ShaperState("off")
        self._system = system.find()
        marker = cache.with_name(MARKER.name) if cache else MARKER
        self._guard = OffloadGuard(marker, may_act=settings.offload_guard)

    @property
    def state(self) -> ShaperState:
        """The outcome of the latest reconcile."""
        return self._state

    def manage(self, endpoints: Sequence[Endpoint], name_servers: Sequence[str] = ()) -> None:
        """Whose traffic is management, from the next reconcile on: the broker as the session reached it, and the
        addresses of the name servers that the device asks."""
        self._endpoints, self._name_servers = tuple(endpoints), tuple(name_servers)

    def remake(self) -> None:
        """What stands lets nothing pass, though it reads as it should: the next reconcile makes all of it anew."""
        self._remaking = True

    def expect(self, rates: Iterable[Rates]) -> None:
        """The rates that the plan may come to want. From the next reconcile on, a shaper that is off says with what it
        would shape, or why it could not, and has what it needs for them ready."""
        self._expected = tuple(dict.fromkeys(r for r in rates if r != UNSHAPED))

    async def probe(self) -> Capabilities:
        """What the kernel can do; tried once a boot."""
        if self._capabilities is not None and not self._capabilities.problem:
            return self._capabilities
        found = self._capabilities = await self._kernel.call(probe.probe)
        for place, of in ((self._cache, boot_id()), (self._memory, probe.kernel_build())):
            if place and not found.problem:
                probe.save(place, of, found)
        return found

    async def reconcile(self, links: Sequence[Link], wanted: Rates) -> ShaperState:
        """Compare the kernel with what is wanted and make it so; says what is true afterwards."""
        subject, generation = (tuple(links), wanted, self._endpoints, self._name_servers), -1
        try:
            generation = await self._kernel.generation()
            if self._remaking:
                await self._kernel.call(lambda route: unshape(route, links))
                self._remaking, self._pause, self._verified = False, None, None
            if self._pause and self._pause.holds(subject, self._now(), generation):
                return replace(self._state, changed=await self._tidy(links, wanted, generation))
            untouched = self._verified is not None and self._verified[1] == generation and self._fresh()
            untouched = untouched and not self._guard.overtaken
            if untouched and self._verified and self._verified[0] == subject:
                return replace(self._state, changed=False)
            if not untouched:
                self._stands = None
            state = await (self._shape(links, wanted) if wanted != UNSHAPED else self._unshape(links))
        except KernelError as error:
            state = self._failed(error, wanted)
        # What we changed counts as seen only once it has been read back: the next call, which our own change wakes.
        settled = state.state in ("off", "enforced") and not state.changed
        self._verified = (subject, generation, self._now()) if settled else None
        self._remember(subject, state, generation)
        return state

    def _fresh(self) -> bool:
        return self._verified is not None and self._now() - self._verified[2] < VERIFY_S

    async def remove(self, links: Sequence[Link]) -> ShaperState:
        """Take all shaping away, as on uninstall. Stopping the agent does not: a crash must not give free speed."""
        return await self.reconcile(links, UNSHAPED)

    # -- one attempt -----------------------------------------------------------------------------------------------

    def _able(self, capabilities: Capabilities) -> tuple[str, str, str]:
        """With which qdisc a kernel of these capabilities shapes; or why it cannot, and what to do about that."""
        if capabilities.problem:
            return "", capabilities.problem, advice.NO_PRIVILEGE if "permitted" in capabilities.problem else ""
        kind = self._best(capabilities)
        missing = capabilities.missing()
        if kind is None or missing:
            lacks = missing or tuple(sorted(NEEDS.get(self._settings.qdisc, NEEDS["tbf"]) - capabilities.qdiscs))
            return "", f"the kernel lacks {', '.join(lacks)}", advice.for_missing(lacks, self._system)
        return kind, "", ""

    async def _shape(self, links: Sequence[Link], wanted: Rates) -> ShaperState:
        """Once by what an earlier boot has found out: to probe takes longer than to shape. A refusal has it probed at
        once, and what was shaped so is looked at again by the next reconcile, which knows the kernel as it is now."""
        recalled, self._recalled = self._recalled, None
        if recalled and links and self._able(recalled)[0]:
            try:
                return await self._shape_as(recalled, links, wanted)
            except KernelError as error:
                log.debug("shaping as in an earlier boot: %s; probing the kernel", error)
        return await self._shape_as(await self.probe(), links, wanted)

    async def _shape_as(self, capabilities: Capabilities, links: Sequence[Link], wanted: Rates) -> ShaperState:
        kind, reason, hint = self._able(capabilities)
        if not kind or not links:
            await self._tidy(links, wanted)
            reason = reason or "no WAN interface is there"
            return ShaperState("unenforced", kind, wanted, reason, hint)
        changed = await self._enforce(tuple(links), self._wish(kind, capabilities, wanted))
        warning = (await self._guard.engage()).warning
        return ShaperState("enforced", kind, wanted, reason=warning, changed=changed)

    async def _tidy(self, links: Sequence[Link], wanted: Rates, generation: int | None = None) -> bool:
        """Where the line cannot be shaped, or not yet: nothing of ours may cut it meanwhile. At a `generation` at which
        it was done already there is nothing to do."""
        if generation is not None and generation == self._tidied:
            return False
        changed = await self._kernel.call(lambda route: tidy(route, links, wanted))
        self._tidied = None if changed else generation
        return changed

    def _wish(self, kind: str, capabilities: Capabilities, wanted: Rates) -> Wish:
        classifier = "matchall" if "matchall" in capabilities.classifiers else "u32"
        return Wish(kind, classifier, wanted, self._endpoints, self._name_servers, self._settings.replace_foreign)

    async def _enforce(self, links: tuple[Link, ...], wish: Wish) -> bool:
        """By a mere change of rates if all else stands, else by reading everything."""
        stands, self._stands = self._stands, (links, wish)
        if stands and stands[0] == links and replace(stands[1], rates=wish.rates) == wish:
            try:
                await self._kernel.call(lambda route: step(route, links, stands[1], wish))
            except KernelError as error:
                log.debug("step: %s; reading the kernel", error)
            else:
                return True
        return await self._kernel.call(lambda route: shape(route, links, wish))

    async def _unshape(self, links: Sequence[Link]) -> ShaperState:
        changed = await self._kernel.call(lambda route: unshape(route, links))
        await self._guard.release()
        if not self._expected:
            return ShaperState("off", changed=changed)
        capabilities = await self.probe()
        kind, reason, hint = self._able(capabilities)
        if kind:
            await self._rehearse(links, kind, capabilities)
        return ShaperState("off", kind, reason=reason, advice=hint, changed=changed)

    async def _rehearse(self, links: Sequence[Link], kind: str, capabilities: Capabilities) -> None:
        """Have the requests ready that the plan's rates will need: encoding them is most of what it takes to apply."""
        shapes = {(kind, link.mtu, link.header_bytes): link for link in links}
        for shape_of, link in shapes.items():
            if shape_of not in self._rehearsed:
                wishes = [self._wish(kind, capabilities, rates) for rates in self._expected]
                await self._kernel.call(partial(rehearse, link=link, wishes=wishes))
                self._rehearsed.add(shape_of)

    def _best(self, capabilities: Capabilities) -> str | None:
        kinds = KINDS if self._settings.qdisc == "auto" else (self._settings.qdisc,)
        return next((kind for kind in kinds if NEEDS[kind] <= capabilities.qdiscs), None)

    # -- after it --------------------------------------------------------------------------------------------------

    def _failed(self, error: KernelError, wanted: Rates) -> ShaperState:
        if isinstance(error, Foreign):
            return ShaperState("foreign", rates=wanted, reason=str(error), advice=advice.FOREIGN)
        hint = advice.for_error(error.code, self._capabilities, self._system)
        return ShaperState("unenforced", rates=wanted, reason=str(error), advice=hint)

    def _remember(self, subject: tuple[object, ...], state: ShaperState, generation: int) -> None:
        if (state.state, state.reason, state.rates) != (self._state.state, self._state.reason, self._state.rates):
            level = logging.INFO if state.state in ("off", "enforced") else logging.WARNING
            log.log(level, "shaping %s: %s %s", state.state, state.qdisc or "no qdisc", state.reason or state.rates)
        self._state = state
        if state.state in ("off", "enforced"):
            self._pause = None
            return
        again = self._pause is not None and self._pause.subject == subject
        backoff = self._pause.backoff if again and self._pause else Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        self._pause = _Pause(
            subject, self._now() + backoff.next_s(), backoff, generation if state.state == "foreign" else None
        )
