"""Counts what the WAN links carried, and decides at which rate the line runs.

What was counted reaches the disk by bytes and not by time (`agent.plan.commit_due`). A fault of the disk never stops
the counting: the keeper's ledger goes on in memory and is saved when the disk is back.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from agent.clock import ClockLike
from agent.daemon.line_speed import LineSpeed
from agent.events import Decided, Emit, Noticed, Reviewed, unheard
from agent.keeper import Keeper
from agent.plan import (
    BillingPeriod,
    Ledger,
    Moment,
    Plan,
    Sample,
    Survey,
    Usage,
    charge_management,
    compare,
    decide,
    notices,
    observe,
    passed_over,
    read_card,
    sample_interval_s,
    settle,
    survey,
    usage,
)
from agent.wake import Wake

log = logging.getLogger(__name__)

AFTER_BOUNDARY_S = 0.01  # a sample meant for the new period is not taken a rounding error too early


class Accounting:
    """From samples to the keeper's ledger and the plan's decision."""

    def __init__(
        self, plan: Plan, clock: ClockLike, keeper: Keeper, faults: Counter[str], emit: Emit = unheard
    ) -> None:
        self.plan, self.keeper, ledger = plan, keeper, keeper.ledger
        # As the first review will find it: a month that ended while the power was off slows nobody for an instant.
        self.decision = decide(settle(ledger, clock.now(), plan), plan, clock.now())
        self._until_next_bytes = usage(ledger, plan).until_next_bytes  # at the last decision, which works it out anyway
        self._label = ledger.period.label  # as it was when the last decision was made
        self.drifting = False  # the module's own counters tell another story
        self._testimony: tuple[int, int, float] | None = None
        self.speed = LineSpeed(plan, faults, emit)
        self.wake = Wake()  # ends the pause between two samples
        self._clock, self._faults, self._emit = clock, faults, emit

    @property
    def ledger(self) -> Ledger:
        return self.keeper.ledger

    # -- what was counted

    def take(self, samples: Sequence[Sample]) -> None:
        """Enter samples into the ledger; decide anew."""
        moment, ledger = self._clock.now(), self.ledger
        for sample in samples:
            ledger, delta = observe(ledger, sample, moment, self.plan)
            self.speed.note(sample, delta)
        self.keeper.count(ledger)
        if samples:
            self._hear_witness(moment)
        self._decide(moment)

    def take_all(self, found: Survey) -> None:
        """Enter a reading of all links; decide anew."""
        moment = self._clock.now()
        ledger, deltas = survey(self.ledger, found, moment, self.plan)
        self.keeper.count(ledger)
        for sample, delta in deltas:
            self.speed.note(sample, delta)
        if deltas:
            self.speed.measure(self.ledger.total_received_bytes + self.ledger.total_sent_bytes, moment.boot_s)
            self._hear_witness(moment)
        self._decide(moment)

    def counts(self, ifindex: int) -> bool:
        """Whether a link of that number is being counted."""
        return any(link.sample.epoch.ifindex == ifindex and not link.closed for link in self.ledger.links)

    def notice(self, ifindex: int) -> None:
        """A link of that number has come, whether it counts or not."""
        moment = self._clock.now()
        self.keeper.count(passed_over(self.ledger, moment.boot_id, moment.boot_s, ifindex))

    def review(self) -> None:
        """Roll the period if it is time, decide, and emit what changed."""
        moment = self._clock.now()
        self.keeper.count(settle(self.ledger, moment, self.plan))
        self._decide(moment)

    def _decide(self, moment: Moment) -> None:
        """The ledger is settled."""
        before, label = self.decision, self._label
        used = usage(self.ledger, self.plan)
        decision = decide(self.ledger, self.plan, moment, used)
        ledger, told = notices(self.ledger, decision, used, self.plan, moment)
        self._until_next_bytes = used.until_next_bytes
        if decision.since != ledger.told_since:
            decision = replace(decision, since=ledger.told_since)
        self.decision, self._label = decision, ledger.period.label
        self.keeper.count(ledger)
        for notice in told:
            log.warning("plan: %s (%d %% of %d bytes)", notice.kind, notice.percent, notice.limit_bytes)
            self._emit(Noticed(notice))
        decided = (self.decision.state, self.decision.rates) != (before.state, before.rates)
        if decided:
            log.warning("plan: %s, %s", self.decision.state, self.decision.reason)
        if decided or ledger.period.label != label:
            self._emit(Decided(self.decision))
        self._emit(Reviewed())

    def changed(self) -> None:
        """The ledger was changed by somebody else: a top-up, the operator's word."""
        self.review()
        self.wake.set()

    def witness(self, received_bytes: int, sent_bytes: int, read_at_s: float) -> None:
        """The module's own counters; compared once the kernel was read after them."""
        self._testimony = (received_bytes, sent_bytes, read_at_s)

    def _hear_witness(self, moment: Moment) -> None:
        if self._testimony is None:
            return
        received_bytes, sent_bytes, read_at_s = self._testimony
        self._testimony = None
        ledger, found = compare(self.ledger, received_bytes, sent_bytes, read_at_s, moment, self.plan)
        self.keeper.count(ledger)
        if found.refused_bytes:
            self._faults["witness.refused"] += 1
            log.error("the module counted %d bytes more than a power cut can have cost: refused", found.refused_bytes)
        if found.recovered_bytes:
            log.warning("%d bytes lost in a power cut recovered from the module's counters", found.recovered_bytes)
        if found.drifting and not self.drifting:
            log.warning("module and kernel count differently by %d bytes", found.drift_bytes)
        self.drifting = found.drifting

    def charge(self, received_bytes: int, sent_bytes: int) -> None:
        """What the device itself costs the line is the operator's traffic, unless the plan says otherwise."""
        self.keeper.count(charge_management(self.ledger, received_bytes, sent_bytes))

    def card(self, iccid: str | None, imsi: str | None) -> str | None:
        """A card was read in the module; the label of the card before it where it was another. What was counted until
        now is the other's."""
        ledger, before = read_card(self.ledger, self.plan, self._clock.now(), iccid, imsi)
        self.keeper.count(ledger)
        return before

    def usage(self) -> Usage:
        return usage(self.ledger, self.plan)

    @property
    def period(self) -> BillingPeriod:
        return self.ledger.period

    def interval_s(self) -> float:
        """Seconds to the next sample: short before a threshold, never past the end of anything that ends by time."""
        moment = self._clock.now()
        pause_s = sample_interval_s(
            self._until_next_bytes, self.plan.max_bps, self.keeper.unwritten_bytes, self.keeper.latency_s
        )
        if moment.trusted:
            ends = [self.ledger.period.end, *(t.expires for t in self.ledger.topups if t.expires)]
            if self.ledger.override and self.ledger.override.expires:
                ends.append(self.ledger.override.expires)
            lefts_s = [(end - moment.wall).total_seconds() + AFTER_BOUNDARY_S for end in ends]
            pause_s = min([pause_s, *(left_s for left_s in lefts_s if left_s > 0)])
        return pause_s
