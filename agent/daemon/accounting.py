"""Counts what the WAN links carried, keeps the ledger, and decides at which rate the line runs.

The only owner of the ledger. All changes happen on the loop; what was changed reaches the disk by bytes and not by
time (`agent.plan.COMMIT_BYTES`), at every change of state, and together with what belongs to it in one transaction.
A fault of the disk never stops the counting: the ledger goes on in memory and is saved when the disk is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

from agent.clock import Clock
from agent.daemon.pacing import Wake
from agent.errors import StoreError
from agent.plan import (
    COMMIT_BYTES,
    BillingPeriod,
    Decision,
    Delta,
    Ledger,
    Moment,
    Notice,
    Plan,
    Sample,
    Usage,
    decide,
    notices,
    observe,
    sample_interval_s,
    settle,
    usage,
)
from agent.store import Database, Store

log = logging.getLogger(__name__)

COMMIT_AFTER_S = 600.0  # a change is on disk at most so long after it happened
RETRY_S = 30.0  # a disk that refused is asked again after so long

Also = Callable[[Database], Any]


class Accounting:
    """The ledger and everything that changes it."""

    def __init__(self, plan: Plan, clock: Clock, store: Store, ledger: Ledger, faults: Counter[str]) -> None:
        self.plan, self.ledger = plan, ledger
        self._clock, self._store, self._faults = clock, store, faults
        self._saving = asyncio.Lock()
        self._unsaved_bytes = 0
        self._unsaved_since_s: float | None = None
        self._retry_at_s = 0.0
        self._urgent = False
        self._also: list[Also] = []
        self.wake = Wake()  # ends the pause between two samples
        self.on_decision: Callable[[Decision], None] = lambda decision: None
        self.on_notice: Callable[[Notice], None] = lambda notice: None
        self.decision = decide(ledger, plan, clock.now())
        self.store_fault = ""

    # -- what was counted

    def take(self, samples: list[Sample]) -> None:
        """Enter samples into the ledger; decide anew."""
        moment = self._clock.now()
        for sample in samples:
            self.ledger, delta = observe(self.ledger, sample, moment, self.plan)
            self._note(delta, sample, moment)
        self.review(moment)

    def _note(self, delta: Delta, sample: Sample, moment: Moment) -> None:
        moved = delta.received_bytes + delta.sent_bytes
        if delta.refused_bytes:
            self._faults["counter.refused"] += 1
            log.error("%s: jump of %d bytes refused", sample.epoch.ifname, delta.refused_bytes)
        if not moved:
            return
        self._unsaved_bytes += moved
        if self._unsaved_since_s is None:
            self._unsaved_since_s = moment.boot_s
        if sample.final:
            self._urgent = True

    def review(self, moment: Moment | None = None) -> None:
        """Roll the period if it is time, decide, and tell who listens what changed."""
        moment = moment or self._clock.now()
        before, period = self.decision, self.ledger.period
        self.ledger = settle(self.ledger, moment, self.plan)
        self.decision = decide(self.ledger, self.plan, moment)
        self.ledger, told = notices(self.ledger, self.plan, before, self.decision, moment)
        if self.ledger.period != period or self.decision != before or told:
            self._urgent = True
        for notice in told:
            log.warning("plan: %s", notice.text)
            self.on_notice(notice)
        if self.decision != before:
            log.warning("plan: %s, %s", self.decision.state, self.decision.reason)
            self.on_decision(self.decision)

    def usage(self) -> Usage:
        return usage(self.ledger, self.plan)

    @property
    def period(self) -> BillingPeriod:
        return self.ledger.period

    def interval_s(self) -> float:
        """Seconds to the next sample: short before a threshold, never past the end of the period."""
        moment = self._clock.now()
        pause_s = sample_interval_s(self.usage().until_next_bytes, self.plan.max_bps)
        if moment.trusted:
            left_s = (self.ledger.period.end - moment.wall).total_seconds()
            pause_s = min(pause_s, max(0.05, left_s + 0.01))
        return pause_s

    # -- what is on disk

    def with_next_commit(self, also: Also) -> None:
        """Run `also` in the transaction that saves the ledger next, and make that soon."""
        self._also.append(also)
        self._urgent = True
        self.wake.set()

    def commit_due(self) -> bool:
        now_s = self._clock.now().boot_s
        if now_s < self._retry_at_s:
            return False
        if self._urgent or self._unsaved_bytes >= COMMIT_BYTES:
            return True
        return self._unsaved_since_s is not None and now_s - self._unsaved_since_s >= COMMIT_AFTER_S

    async def commit(self) -> None:
        """Save the ledger as it stands, and what waits to be saved with it. A refusing disk is noted, not raised."""
        async with self._saving:
            ledger, also = self.ledger, self._also
            unsaved, since_s = self._unsaved_bytes, self._unsaved_since_s
            self._also, self._unsaved_bytes, self._unsaved_since_s, self._urgent = [], 0, None, False
            try:
                await self._store.run(lambda database: _save(database, ledger, also))
                self.store_fault = ""
            except StoreError as error:
                self._faults["store"] += 1
                self.store_fault = str(error)
                log.error("ledger not saved, counting goes on in memory: %s", error)
                self._also = also + self._also
                self._unsaved_bytes += unsaved
                self._unsaved_since_s, self._urgent = since_s, True
                self._retry_at_s = self._clock.now().boot_s + RETRY_S

    async def change(self, change: Callable[[Ledger, Moment], Ledger], also: Also | None = None) -> Ledger:
        """Change the ledger by a pure function and save it with `also` in one transaction, or do neither.

        The function may run twice: traffic goes on being counted while the disk is written, so it is applied to
        what is saved, and then to what has become of the ledger meanwhile.
        """
        async with self._saving:
            moment = self._clock.now()
            changed = change(self.ledger, moment)
            await self._store.run(lambda database: _save(database, changed, [also] if also else []))
            self.ledger = change(self.ledger, moment)
        self.review()
        self.wake.set()
        return self.ledger


def _save(database: Database, ledger: Ledger, also: list[Also]) -> None:
    database.ledger.save(ledger.to_dict())
    for write in also:
        write(database)
