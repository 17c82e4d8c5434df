"""Reports on their way to the broker: what is in memory, what reaches the flash, in which order they go.

Lives on the loop. Events, alarms and results are on the flash before they are sent (lane URGENT); measurements stay in
memory and reach the flash only when they could not be delivered (lane ROUTINE). Each report bears `(boot, seq)`, seq
rising by exactly one; a report keeps its key for ever, however often it is sent. Urgent reports overtake routine ones;
within a lane the order of numbers is the order on the wire.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from agent.config import OperatorSettings
from agent.keeper import Change, Event, Keeper, Report, Store, Upkeep
from agent.mqtt.batch import Batch, encode
from agent.mqtt.reports import envelope
from agent.mqtt.spool import HEAD_ROWS, Lane
from agent.mqtt.topics import Topics
from agent.plan.model import Moment
from agent.store.outbox import ROUTINE, URGENT, Gap, Mark, Row, ranges

T = TypeVar("T")

RESERVE = 64  # sequence numbers taken at once: one flash write for so many measurements
RESERVE_SESSIONS = 32
UNSAVED_ROWS = 12  # measurements that could not be delivered and are worth a flash write together
UNSAVED_S = 3600.0  # or after so long: what a power cut may take
DELETE_ROWS = 32  # acknowledged rows deleted together
GAPS_A_REPORT = 40
MEASUREMENT_EXPIRY_S = 7 * 86_400


class Outbox:
    """All reports not yet acknowledged. `wake` is set whenever there may be something to send.

    It reads the store by itself and writes through the keeper alone, which seals one transaction after the other.
    """

    def __init__(
        self,
        keeper: Keeper,
        store: Store,
        settings: OperatorSettings,
        topics: Topics,
        *,
        boot: str,
        now: Callable[[], Moment],
    ) -> None:
        self._keeper, self._store, self._settings, self._now = keeper, store, settings, now
        self.topics, self.boot = topics, boot.replace("-", "")[:8]
        self.wake = asyncio.Event()
        self._lanes = {URGENT: Lane(URGENT), ROUTINE: Lane(ROUTINE)}
        self._flying: dict[int, Row] = {}  # by id(row): sent, not acknowledged, in the order of sending
        self._void: list[int] = []  # numbers of this boot that will never be sent, not yet on the flash
        self._void_before: list[Gap] = []  # the same of earlier boots
        self._done: list[int] = []  # ids acknowledged and to be deleted
        self._next = 1
        self._mark = Mark(self.boot, 0, 0, 0)  # as it is on the flash
        self._session = 0
        self._oldest_unsaved_s: float | None = None
        self._gaps = False
        self._stored_rows = 0
        self._opened = False
        self.dropped = 0  # reports given up since the start

    async def open(self) -> None:
        """Read what the last run left. Raises StoreError."""
        if self._opened:
            return
        self._mark, self._gaps, self._stored_rows = await self._store.run(
            lambda db: (db.outbox.begin(self.boot), bool(db.outbox.gaps(1)), db.outbox.size()[0])
        )
        self._next = self._mark.accounted + 1
        self._session = self._mark.session
        for lane in self._lanes.values():
            lane.disk = True
        self._opened = True
        self._keeper.outbox = self
        self.wake.set()

    async def next_session(self) -> int:
        """A session number that no earlier session of this device had."""
        if self._session >= self._mark.session:
            await self._keeper.do(Change(upkeep=Upkeep(session=self._session + RESERVE_SESSIONS)))
        self._session += 1
        return self._session

    # -- new reports -------------------------------------------------------------------------------------------------

    def event(self, event: Event) -> Report:
        """How an event of the local log is reported."""
        return Report(self.topics.event(event.name), event.details)

    async def add(self, *reports: Report) -> None:
        """Urgent reports: on the flash when this returns. Raises StoreError; nothing is reported then."""
        await self._keeper.do(Change(reports=reports))

    async def measure(self, topic: str, body: Mapping[str, object]) -> None:
        """One measurement: in memory, on its way at once if there is a session."""
        while self._next > self._mark.reserved:
            await self._keeper.do(Change(upkeep=Upkeep(reserve=True)))
        moment = self._now()
        row = self._row(ROUTINE, topic, moment)
        assert row.seq is not None
        row.payload = encode(envelope(dict(body), moment, boot=self.boot, seq=row.seq))
        row.expiry_s = MEASUREMENT_EXPIRY_S
        self._lanes[ROUTINE].append(row)
        if self._oldest_unsaved_s is None:
            self._oldest_unsaved_s = moment.boot_s
        self.wake.set()

    def _row(self, lane: int, topic: str, moment: Moment) -> Row:
        """A report that is about to be made, with the next number."""
        seq = self._next
        self._next += 1
        created = int(moment.wall.timestamp()) if moment.trusted else 0
        return Row(lane, self.boot, seq, topic, b"", created=created)

    # -- one transaction of the keeper -------------------------------------------------------------------------------

    def seal(self, reports: Sequence[Report], upkeep: Upkeep, moment: Moment) -> Batch:
        """The outbox's part of the next transaction. On the loop, right before it is asked for."""
        unsaved = self._unsaved()
        urgent = [self._urgent(report, moment) for report in reports]
        measured = sorted(unsaved, key=lambda row: row.seq or 0) if upkeep.flush else []
        open_numbers = [] if upkeep.flush else [row.seq for row in unsaved if row.seq is not None]
        reserved = self._mark.reserved
        if upkeep.last:
            reserved = self._next - 1
        elif upkeep.reserve or self._next - 1 > reserved:
            reserved = self._next - 1 + RESERVE
        accounted = min(open_numbers, default=self._next) - 1
        mark = Mark(self.boot, accounted, reserved, max(upkeep.session, self._mark.session))
        void = [*ranges(self.boot, sorted(self._void)), *self._void_before]
        batch = Batch(moment, self._settings, mark, urgent, measured, void, self._done, self)
        self._void, self._void_before, self._done = [], [], []
        return batch

    def _urgent(self, report: Report, moment: Moment) -> Row:
        if report.body is None:
            return Row(URGENT, self.boot, None, report.topic, b"", retain=True)
        row = self._row(URGENT, report.topic, moment)
        row.retain, row.correlation, row.expiry_s = report.retain, report.correlation, report.expiry_s
        return row

    def committed(self, batch: Batch) -> None:
        """The transaction is on the flash."""
        self._mark = batch.mark
        self._gaps = self._gaps or bool(batch.void or batch.trimmed)
        self._stored_rows = batch.stored_rows
        self.dropped += len(batch.trimmed)
        for row, number in zip(batch.rows, batch.ids, strict=True):
            row.id = number
        for row in batch.urgent:
            self._lanes[URGENT].append(row)
        self._done += [row.id for row in batch.measured if row.acknowledged]  # while they were being written
        self._lanes[ROUTINE].saved(batch.measured)
        if batch.measured:
            self._oldest_unsaved_s = self._now().boot_s if self._unsaved() else None
        if batch.trimmed:
            for lane in self._lanes.values():
                lane.forget(set(batch.trimmed))
        self.wake.set()

    def abandoned(self, batch: Batch, *, sure: bool) -> None:
        """The transaction failed: the next one takes what it had. Its numbers are used again, unless it may yet be
        found on the disk or a measurement took the number after them: then they are a gap."""
        self._void += [seq for gap in batch.void if gap.boot == self.boot for seq in range(gap.first, gap.last + 1)]
        self._void_before += [gap for gap in batch.void if gap.boot != self.boot]
        numbers = [row.seq for row in batch.urgent if row.seq is not None]
        if sure and numbers and self._next == numbers[-1] + 1:
            self._next = numbers[0]
        else:
            self._void += numbers
        self._done += batch.done

    def _unsaved(self) -> list[Row]:
        rows = [row for row in self._flying.values() if not row.id]
        return rows + [row for lane in self._lanes.values() for row in lane.unsaved()]

    def flush_due(self) -> bool:
        """Whether a flash write is worth it now."""
        return self.flush_in_s() <= 0

    def flush_in_s(self) -> float:
        """How long until measurements have waited long enough, or rows are many enough, for a flash write."""
        unsaved = len(self._unsaved())
        if not unsaved:
            self._oldest_unsaved_s = None
        if unsaved >= UNSAVED_ROWS or len(self._done) >= DELETE_ROWS:
            return 0.0
        if self._oldest_unsaved_s is None:
            return math.inf
        return self._oldest_unsaved_s + UNSAVED_S - self._now().boot_s

    async def flush(self, *, last: bool = False) -> None:
        """Put what memory alone holds on the flash, and take off it what was delivered. Raises StoreError.

        `last` gives back the numbers that were reserved and not used: an orderly end leaves no gap.
        """
        await self._keeper.do(Change(upkeep=Upkeep(flush=True, last=last)))

    # -- towards the broker ------------------------------------------------------------------------------------------

    async def take(self) -> Row | None:
        """The next report to send; None when there is nothing to send now. It then counts as sent."""
        if self._gaps:
            await self._report_gaps()
        for lane in self._lanes.values():
            if not lane.head and lane.disk:
                await self._load(lane)
            if lane.head:
                row = lane.head.popleft()
                self._flying[id(row)] = row
                return row
        return None

    async def _load(self, lane: Lane) -> None:
        after = lane.loaded_id
        rows = await self._store.run(lambda db: db.outbox.head(lane.number, after=after, limit=HEAD_ROWS))
        lane.load(rows, HEAD_ROWS)

    async def _report_gaps(self) -> None:
        """Tell the operator which numbers will never come."""
        gaps: list[Gap] = await self._store.run(lambda db: db.outbox.gaps(GAPS_A_REPORT))
        self._gaps = len(gaps) == GAPS_A_REPORT
        if not gaps:
            return
        body = {"ranges": [[gap.boot, gap.first, gap.last] for gap in gaps]}
        lost = Report(self.topics.event("lost"), body)
        try:
            await self._keeper.do(Change(reports=(lost,), tables=lambda db: db.outbox.forget_gaps(gaps)))
        except BaseException:
            self._gaps = True
            raise

    def acknowledged(self, row: Row) -> None:
        """The broker has it."""
        self._flying.pop(id(row), None)
        row.acknowledged = True
        if row.id:
            self._done.append(row.id)

    def refused(self, row: Row) -> None:
        """The broker will never take it: given up, and told as a gap."""
        self.acknowledged(row)
        self.dropped += 1
        if row.seq is not None and row.boot == self.boot:
            self._void.append(row.seq)
        elif row.seq is not None:
            self._void_before.append(Gap(row.boot, row.seq, row.seq))

    def returned(self) -> None:
        """The session is over: what was not acknowledged is to be sent again."""
        flying = list(self._flying.values())
        self._flying.clear()
        for lane in self._lanes.values():
            lane.give_back(flying)
        self.wake.set()

    @property
    def flying(self) -> int:
        """How many reports were sent and not acknowledged yet."""
        return len(self._flying)

    @property
    def numbered(self) -> int:
        """The number of the newest report."""
        return self._next - 1

    @property
    def rows(self) -> int:
        """How many reports are not acknowledged yet."""
        return max(0, self._stored_rows - len(self._done)) + len(self._unsaved())
