"""Reports on their way to the broker: what is in memory, what reaches the flash, in which order they go.

Lives on the loop. Events, alarms and results are on the flash before they are sent (lane URGENT); measurements stay in
memory and reach the flash only when they could not be delivered (lane ROUTINE). Each report bears `(boot, seq)`, seq
rising by exactly one; a report keeps its key for ever, however often it is sent. Urgent reports overtake routine ones;
within a lane the order of numbers is the order on the wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from agent.config import OperatorSettings
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


class Store(Protocol):
    async def run(self, fn: Callable[[Any], T]) -> T: ...


class Outbox:
    """All reports not yet acknowledged. `wake` is set whenever there may be something to send."""

    def __init__(
        self, store: Store, settings: OperatorSettings, topics: Topics, *, boot: str, now: Callable[[], Moment]
    ) -> None:
        self._store, self._settings, self._now = store, settings, now
        self.topics, self.boot = topics, boot.replace("-", "")[:8]
        self.wake = asyncio.Event()
        self._lanes = {URGENT: Lane(URGENT), ROUTINE: Lane(ROUTINE)}
        self._flying: dict[int, Row] = {}  # by id(row): sent, not acknowledged, in the order of sending
        self._pending: dict[int, None] = {}  # numbers given out whose transaction is under way
        self._void: list[int] = []  # numbers that will never be sent, not yet told to the flash
        self._void_before: list[Gap] = []  # the same of earlier boots
        self._void_open: set[int] = set()  # those of transactions under way
        self._done: list[int] = []  # ids acknowledged and to be deleted
        self._next = 1
        self._mark = Mark(self.boot, 0, 0, 0)  # as it is on the flash
        self._reserved = 0  # as it will be once the transactions under way are done
        self._session = 0
        self._oldest_unsaved_s: float | None = None
        self._flushing = asyncio.Lock()
        self._tasks: set[asyncio.Future[None]] = set()
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
        self._reserved = self._mark.reserved
        self._session = self._mark.session
        for lane in self._lanes.values():
            lane.disk = True
        self._opened = True
        self.wake.set()

    async def next_session(self) -> int:
        """A session number that no earlier session of this device had."""
        if self._session >= self._mark.session:
            await self.write(self.batch(), session=self._session + RESERVE_SESSIONS)
        self._session += 1
        return self._session

    # -- new reports -------------------------------------------------------------------------------------------------

    def batch(self) -> Batch:
        """An empty batch for urgent reports."""
        return Batch(self.number, self._now(), self._settings)

    async def add(self, topic: str, body: dict[str, Any], *, retain: bool = False) -> None:
        """One event: on the flash when this returns. Raises StoreError; nothing is reported then."""
        batch = self.batch()
        batch.add(topic, body, retain=retain)
        await self.write(batch)

    async def measure(self, topic: str, body: dict[str, Any]) -> None:
        """One measurement: in memory, on its way at once if there is a session."""
        if self._next > self._mark.reserved:
            await self.write(self.batch(), reserve=True)
        moment = self._now()
        row = self.number(ROUTINE, topic, moment)
        assert row.seq is not None
        self._pending.pop(row.seq)
        row.payload = encode(envelope(body, moment, boot=self.boot, seq=row.seq))
        row.expiry_s = MEASUREMENT_EXPIRY_S
        self._lanes[ROUTINE].append(row)
        if self._oldest_unsaved_s is None:
            self._oldest_unsaved_s = moment.boot_s
        self.wake.set()

    def number(self, lane: int, topic: str, moment: Moment) -> Row:
        """The next number, given to a report that is about to be made."""
        seq = self._next
        self._next += 1
        self._pending[seq] = None
        created = int(moment.wall.timestamp()) if moment.trusted else 0
        return Row(lane, self.boot, seq, topic, b"", created=created)

    # -- the flash ---------------------------------------------------------------------------------------------------

    def seal(self, batch: Batch, *, session: int = 0, reserve: bool = False) -> None:
        """Give a batch what else its transaction must say. On the loop, right before the transaction is asked for."""
        own = {row.seq for row in batch.rows}
        unsaved = (row.seq for row in self._unsaved() if row.seq is not None)
        open_numbers = [seq for seq in (*self._pending, *unsaved, *self._void_open) if seq not in own]
        if reserve or self._next - 1 > self._reserved:
            self._reserved = self._next - 1 + RESERVE
        accounted = min(open_numbers, default=self._next) - 1
        batch.mark = Mark(self.boot, accounted, self._reserved, max(session, self._mark.session))
        self._void_open.update(self._void)
        batch.void, self._void = ranges(self.boot, sorted(self._void)), []
        batch.void_before, self._void_before = self._void_before, []
        batch.done, self._done = self._done, []

    def committed(self, batch: Batch) -> None:
        """The transaction of a batch is on the flash."""
        assert batch.mark is not None
        self._mark = batch.mark if batch.last else batch.mark.merged(self._mark)
        self._void_open.difference_update(batch.void_numbers())
        self._gaps = self._gaps or bool(batch.void or batch.void_before or batch.trimmed)
        self._stored_rows = batch.stored_rows
        self.dropped += len(batch.trimmed)
        for row, number in zip(batch.rows, batch.ids, strict=True):
            row.id = number
            if row.lane == URGENT:
                self._pending.pop(row.seq or 0, None)
                self._lanes[URGENT].append(row)
            elif row.acknowledged:  # while it was being written
                self._done.append(number)
        self._lanes[ROUTINE].saved([row for row in batch.rows if row.lane == ROUTINE])
        if batch.trimmed:
            for lane in self._lanes.values():
                lane.forget(set(batch.trimmed))
        self.wake.set()

    def abandoned(self, batch: Batch) -> None:
        """The transaction of a batch failed: its own numbers become a gap, the rest goes with the next."""
        self._void += batch.void_numbers()
        self._void_before += batch.void_before
        self._void_open.difference_update(batch.void_numbers())
        self._done += batch.done
        for row in batch.rows:
            if row.seq is not None and row.lane == URGENT:
                self._pending.pop(row.seq, None)
                self._void.append(row.seq)

    async def write(
        self,
        batch: Batch,
        *,
        session: int = 0,
        reserve: bool = False,
        also: Callable[[Any], None] = lambda db: None,
    ) -> None:
        """A transaction of its own for a batch, and for `also`. Raises StoreError.

        The transaction goes on when the caller is cancelled: memory and flash must not part.
        """
        self.seal(batch, session=session, reserve=reserve)
        task = asyncio.ensure_future(self._transact(batch, also))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.shield(task)

    async def _transact(self, batch: Batch, also: Callable[[Any], None]) -> None:
        def save(db: Any) -> None:
            batch.save(db)
            also(db)

        try:
            await self._store.run(save)
        except BaseException:
            self.abandoned(batch)
            raise
        self.committed(batch)

    def _unsaved(self) -> list[Row]:
        rows = [row for row in self._flying.values() if not row.id]
        return rows + [row for lane in self._lanes.values() for row in lane.unsaved()]

    def flush_due(self) -> bool:
        """Whether measurements have waited long enough, or acknowledged rows are many enough, for a flash write."""
        unsaved = len(self._unsaved())
        if not unsaved:
            self._oldest_unsaved_s = None
        waited = self._now().boot_s - self._oldest_unsaved_s if self._oldest_unsaved_s is not None else 0.0
        return unsaved >= UNSAVED_ROWS or waited >= UNSAVED_S or len(self._done) >= DELETE_ROWS

    async def flush(self, *, last: bool = False) -> None:
        """Put what memory alone holds on the flash, and take off it what was delivered. Raises StoreError.

        `last` gives back the numbers that were reserved and not used: an orderly end leaves no gap.
        """
        async with self._flushing:
            batch = self.batch()
            for row in sorted(self._unsaved(), key=lambda row: row.seq or 0):
                batch.add_measurement(row)
            if last:
                self._reserved, batch.last = self._next - 1, True
            await self.write(batch)
            self._oldest_unsaved_s = None

    # -- towards the broker ------------------------------------------------------------------------------------------

    async def take(self) -> Row | None:
        """The next report to send; None when there is nothing to send now. It then counts as sent."""
        if self._gaps:
            await self._report_gaps()
        for lane in self._lanes.values():
            if not lane.head and lane.disk:
                await self._load(lane)
            if lane.head and not self._too_early(lane.head[0]):
                row = lane.head.popleft()
                self._flying[id(row)] = row
                return row
        return None

    def _too_early(self, row: Row) -> bool:
        """Whether a report with a lower number is still on its way to the flash."""
        return row.lane == URGENT and row.seq is not None and row.seq > min(self._pending, default=row.seq)

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
        batch = self.batch()
        batch.add(self.topics.event("lost"), {"ranges": [[gap.boot, gap.first, gap.last] for gap in gaps]})
        try:
            await self.write(batch, also=lambda db: db.outbox.forget_gaps(gaps))
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
    def rows(self) -> int:
        """How many reports are not acknowledged yet."""
        return max(0, self._stored_rows - len(self._done)) + len(self._unsaved())
