"""Counts what the WAN links carried, keeps the ledger, and decides at which rate the line runs.

The only owner of the ledger. All changes happen on the loop; what was changed reaches the disk by bytes and not by
time (`agent.plan.commit_due`), and together with what belongs to it in one transaction. A fault of the disk never
stops the counting: the ledger goes on in memory and is saved when the disk is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from agent.clock import ClockLike
from agent.daemon.wait import Wake
from agent.errors import StoreError
from agent.plan import (
    LATENCY_S,
    BillingPeriod,
    Decision,
    Ledger,
    Moment,
    Notice,
    Plan,
    Sample,
    Usage,
    bytes_to_next,
    commit_due,
    commit_latency_s,
    committed,
    compare,
    decide,
    notices,
    observe,
    read_card,
    sample_interval_s,
    settle,
    unwritten_bytes,
    usage,
)
from agent.store import Database, Store

log = logging.getLogger(__name__)

RETRY_S = 30.0  # a disk that refused is asked again after so long
AFTER_BOUNDARY_S = 0.01  # a sample meant for the new period is not taken a rounding error too early

Also = Callable[[Database], Any]


class Companion(Protocol):
    """What is saved in the same transaction as the ledger, because one is not true without the other."""

    def save(self, database: Database) -> None:
        """On the store's thread, inside the transaction."""
        ...

    def committed(self) -> None:
        """On the loop: it is on the disk."""
        ...

    def abandoned(self) -> None:
        """On the loop: the disk refused; nothing was kept."""
        ...


class Accounting:
    """The ledger and everything that changes it."""

    def __init__(self, plan: Plan, clock: ClockLike, store: Store, ledger: Ledger, faults: Counter[str]) -> None:
        self.plan, self.ledger = plan, ledger
        # As the first review will find it: a month that ended while the power was off slows nobody for an instant.
        self.decision = decide(settle(ledger, clock.now(), plan), plan, clock.now())
        self.drifting = False  # the module's own counters tell another story
        self._testimony: tuple[int, int, float] | None = None
        self.wake = Wake()  # ends the pause between two samples
        self.on_decision: Callable[[Decision], None] = lambda decision: None
        self.on_notice: Callable[[Notice], None] = lambda notice: None
        self._clock, self._store, self._faults = clock, store, faults
        self._saving = asyncio.Lock()
        self._saved: Ledger | None = None  # what the disk holds
        self._changed_s: float | None = None  # when the ledger first differed from it
        self._retry_at_s = 0.0
        self._latency_s = LATENCY_S  # what a commit takes on this disk
        self._told = False  # something waits to be saved with the ledger
        self.companion: Callable[[], Companion | None] = lambda: None
        self.on_saved: Callable[[], None] = lambda: None  # or refused: what the store says of the disk may be another

    # -- what was counted

    def take(self, samples: Sequence[Sample]) -> None:
        """Enter samples into the ledger; decide anew."""
        moment = self._clock.now()
        for sample in samples:
            self.ledger, delta = observe(self.ledger, sample, moment, self.plan)
            if delta.refused_bytes:
                self._faults["counter.refused"] += 1
                log.error("%s: jump of %d bytes refused", sample.epoch.ifname, delta.refused_bytes)
        if samples:
            self._hear_witness(moment)
        self.review(moment)

    def review(self, moment: Moment | None = None) -> None:
        """Roll the period if it is time, decide, and tell who listens what changed."""
        moment = moment or self._clock.now()
        before = self.decision
        self.ledger = settle(self.ledger, moment, self.plan)
        self.ledger, told = notices(self.ledger, self.plan, moment)
        self.decision = decide(self.ledger, self.plan, moment)
        if self._changed_s is None and self.ledger != self._saved:
            self._changed_s = moment.boot_s
        for notice in told:
            log.warning("plan: %s (%d %% of %d bytes)", notice.kind, notice.percent, notice.limit_bytes)
            self.on_notice(notice)
        if (self.decision.state, self.decision.rates) != (before.state, before.rates):
            log.warning("plan: %s, %s", self.decision.state, self.decision.reason)
            self.on_decision(self.decision)

    def witness(self, received_bytes: int, sent_bytes: int, read_at_s: float) -> None:
        """The module's own counters; compared once the kernel was read after them."""
        self._testimony = (received_bytes, sent_bytes, read_at_s)

    def _hear_witness(self, moment: Moment) -> None:
        if self._testimony is None:
            return
        received_bytes, sent_bytes, read_at_s = self._testimony
        self._testimony = None
        self.ledger, found = compare(self.ledger, received_bytes, sent_bytes, read_at_s, moment, self.plan)
        if found.refused_bytes:
            self._faults["witness.refused"] += 1
            log.error("the module counted %d bytes more than a power cut can have cost: refused", found.refused_bytes)
        if found.recovered_bytes:
            log.warning("%d bytes lost in a power cut recovered from the module's counters", found.recovered_bytes)
        if found.drifting and not self.drifting:
            log.warning("module and kernel count differently by %d bytes", found.drift_bytes)
        self.drifting = found.drifting

    def card(self, iccid: str | None, imsi: str | None) -> str | None:
        """A card was read in the module; the label of the card before it where it was another. What was counted until
        now is the other's."""
        self.ledger, before = read_card(self.ledger, self.plan, self._clock.now(), iccid, imsi)
        return before

    def usage(self) -> Usage:
        return usage(self.ledger, self.plan)

    @property
    def period(self) -> BillingPeriod:
        return self.ledger.period

    def interval_s(self) -> float:
        """Seconds to the next sample: short before a threshold, never past the end of anything that ends by time."""
        moment = self._clock.now()
        unwritten = unwritten_bytes(self.ledger, self._saved) if self._saved else 0
        pause_s = sample_interval_s(
            bytes_to_next(self.ledger, self.plan), self.plan.max_bps, unwritten, self._latency_s
        )
        if moment.trusted:
            ends = [self.ledger.period.end, *(t.expires for t in self.ledger.topups if t.expires)]
            if self.ledger.override and self.ledger.override.expires:
                ends.append(self.ledger.override.expires)
            lefts_s = [(end - moment.wall).total_seconds() + AFTER_BOUNDARY_S for end in ends]
            pause_s = min([pause_s, *(left_s for left_s in lefts_s if left_s > 0)])
        return pause_s

    # -- what is on disk

    def save_soon(self) -> None:
        """Something was told that belongs into the transaction of the ledger: save both at the next turn."""
        self._told = True
        self.wake.set()

    def commit_due(self) -> bool:
        """Whether the ledger must go to the flash now; never while a disk that refused is left alone."""
        moment = self._clock.now()
        if moment.boot_s < self._retry_at_s:
            return False
        if self._told:
            return True
        ledger, saved = self.ledger, self._saved
        return commit_due(ledger, saved, self._changed_s, moment, self.plan, latency_s=self._latency_s) is not None

    async def commit(self) -> None:
        """Save the ledger as it stands, and what waits to be saved with it. A refusing disk is noted, not raised."""
        async with self._saving:
            written, companion, self._told = self.ledger, self.companion(), False
            began_s = self._clock.now().boot_s
            try:
                await self._store.run(lambda database: _save(database, written, companion.save if companion else None))
            except StoreError as error:
                self._faults["store"] += 1
                log.error("ledger not saved, counting goes on in memory: %s", error)
                self._told, self._retry_at_s = companion is not None, self._clock.now().boot_s + RETRY_S
                if companion:
                    companion.abandoned()
            else:
                self._latency_s = commit_latency_s(self._latency_s, self._clock.now().boot_s - began_s)
                self._now_on_disk(written)
                if companion:
                    companion.committed()
        self.on_saved()

    async def change(self, change: Callable[[Ledger, Moment], Ledger], also: Also | None = None) -> Ledger:
        """Change the ledger by a pure function and save it with `also` in one transaction, or do neither.

        The function may run twice: traffic goes on being counted while the disk is written, so it is applied to
        what is saved, and then to what has become of the ledger meanwhile.
        """
        async with self._saving:
            moment = self._clock.now()
            written = change(self.ledger, moment)
            try:
                await self._store.run(lambda database: _save(database, written, also))
            except StoreError:
                self._faults["store"] += 1
                raise
            finally:
                self.on_saved()
            self.ledger = change(self.ledger, moment)
            self._now_on_disk(written)
        self.review()
        self.wake.set()
        return self.ledger

    def _now_on_disk(self, written: Ledger) -> None:
        self.ledger = committed(self.ledger, written)
        self._saved = committed(written, written)
        self._changed_s = None if self.ledger == self._saved else self._clock.now().boot_s


def _save(database: Database, ledger: Ledger, also: Also | None) -> None:
    database.keep(ledger)
    if also:
        also(database)
