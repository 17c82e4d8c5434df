"""The one owner of what must survive: ledger, numbers of the outbox, command journal, audit trail and events.

Others ask by `await keeper.do(Change(...))`. A change is a value: what happens to the ledger, which step of a command
it is, what is reported. Changes are carried out one after the other, each in one transaction, and memory follows the
disk in one place (`_carry_out`). Whoever waits for a change may be cancelled; the change is not. A disk that refuses
ends a change with StoreError, or delays one that insists. Lives on the loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from agent.errors import StoreError, StoreUnsure
from agent.events import Emit, LedgerChanged, Saved, unheard
from agent.plan import LATENCY_S, Ledger, Moment, Plan, commit_due, commit_latency_s, committed, unwritten_bytes

if TYPE_CHECKING:
    from agent.command_schema import AuditEntry
    from agent.store.database import Database
    from agent.store.journal import Entry

log = logging.getLogger(__name__)
T = TypeVar("T")

RETRY_S = 30.0  # the ledger is offered anew to a disk that refused it after so long
INSIST_S = 2.0  # and what insists after so long, or with the next change
EVENTS_WAITING = 200  # while the device has no name yet, or the disk refuses; the oldest go first
EVENT_EXPIRY_S = 30 * 86_400

Body = Mapping[str, object]
LedgerChange = Callable[[Ledger, Moment], Ledger]
Tables = Callable[["Database"], object]


class AlreadyFinished(Exception):
    """The command has its final answer (it timed out, or was cancelled): nothing may follow it."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: a row of the local log, and a report `e/{name}` where there is an operator."""

    name: str
    details: Body


@dataclass(frozen=True, slots=True)
class Report:
    """An urgent report of the outbox. Without a body it is an empty retained message, which bears no number."""

    topic: str
    body: Body | None
    retain: bool = False
    correlation: bytes = b""
    expiry_s: int = EVENT_EXPIRY_S


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What the outbox needs of a transaction for itself."""

    reserve: bool = False  # more numbers for measurements
    session: int = 0  # session numbers up to this one
    flush: bool = False  # measurements that memory alone holds
    last: bool = False  # an orderly end: numbers that were reserved and not used are given back


@dataclass(frozen=True, slots=True)
class Begun:
    """A command that acts: kept also beside the database, so that damage to it makes no command run twice."""

    id: str
    type: str
    issuer: str
    counter: int | None = None  # of a signed one: it is used up


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes true together, or not at all.

    `ledger` is pure and may be applied twice: to what is saved, and to what traffic has made of the ledger meanwhile.
    `entries` are steps of one command, each with its answer, which is reported; `out` completes the last answer from
    the ledger as it is saved. Whenever the ledger is saved, the events that wait are saved with it.
    """

    ledger: LedgerChange | None = None
    entries: tuple[Entry, ...] = ()
    out: Callable[[Ledger], Body] | None = None
    begun: Begun | None = None
    audit: AuditEntry | None = None
    reports: tuple[Report, ...] = ()
    tables: Tables | None = None  # the small tables, such as meta
    upkeep: Upkeep | None = None
    insists: bool = False


class Sealed(Protocol):
    """The outbox's part of one transaction."""

    def save(self, database: Database, bodies: Sequence[Body | None]) -> None:
        """On the store's thread, inside the transaction; the bodies of the reports, complete now."""
        ...

    def committed(self) -> None:
        """It is on the disk."""
        ...

    def abandoned(self, *, sure: bool) -> None:
        """It failed; `sure` when nothing of it can be on the disk."""
        ...


class Outbox(Protocol):
    """The reports on their way, as the keeper sees them. It calls `seal` for one transaction after the other."""

    dropped: int  # reports given up since the start

    @property
    def rows(self) -> int:
        """How many reports are not acknowledged yet."""
        ...

    def event(self, event: Event) -> Report: ...

    def seal(self, reports: Sequence[Report], upkeep: Upkeep, moment: Moment) -> Sealed: ...


class Store(Protocol):
    async def run(self, fn: Callable[[Database], T]) -> T: ...


class Clock(Protocol):
    def now(self) -> Moment: ...


@dataclass(eq=False, slots=True)
class _Job:
    change: Change
    done: asyncio.Future[Ledger]

    def finish(self, made: Ledger) -> None:
        if not self.done.done():
            self.done.set_result(made)

    def refuse(self, error: BaseException) -> None:
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # whoever waited may be gone: then nobody need hear of it


def as_it_stands(ledger: Ledger, moment: Moment) -> Ledger:
    """The change of a ledger that is only to be saved."""
    return ledger


class Keeper:
    """See the module docstring. `ledger` is what was counted up to now, `saved` what the disk holds of it."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        plan: Plan,
        ledger: Ledger,
        faults: Counter[str],
        *,
        outbox_comes: bool = False,
        emit: Emit = unheard,
    ) -> None:
        self._store, self._clock, self._plan, self._faults, self._emit = store, clock, plan, faults, emit
        self.ledger = ledger
        self.saved: Ledger | None = None
        self.outbox: Outbox | None = None
        self._outbox_comes = outbox_comes  # events wait for it, so that each is reported
        self._events: deque[Event] = deque(maxlen=EVENTS_WAITING)
        self._soon = False  # something was counted that is not to wait
        self._changed_s: float | None = None  # when the ledger first differed from the disk's
        self._retry_at_s = 0.0
        self.latency_s = LATENCY_S  # what a commit takes on this disk
        self._jobs: deque[_Job] = deque()
        self._working: asyncio.Task[None] | None = None
        self._pause: asyncio.Future[None] | None = None
        self._ending = False

    # -- the ledger in memory ----------------------------------------------------------------------------------------

    def count(self, ledger: Ledger) -> None:
        """The ledger after more was counted; it reaches the disk when `commit_due`."""
        self.ledger = ledger
        if self._changed_s is None and ledger != self.saved:
            self._changed_s = self._clock.now().boot_s

    @property
    def unwritten_bytes(self) -> int:
        return unwritten_bytes(self.ledger, self.saved) if self.saved else 0

    def commit_due(self) -> bool:
        """Whether the ledger must go to the flash now; never while a disk that refused is left alone."""
        moment = self._clock.now()
        if moment.boot_s < self._retry_at_s:
            return False
        if self._soon or (self._events and self._events_may_go):
            return True
        due = commit_due(self.ledger, self.saved, self._changed_s, moment, self._plan, latency_s=self.latency_s)
        return due is not None

    # -- what is asked -----------------------------------------------------------------------------------------------

    def event(self, event: Event) -> None:
        """Something happened: it is saved with the ledger at the next turn, since one is not true without the other."""
        self._events.append(event)

    async def do(self, change: Change) -> Ledger:
        """Carry out a change; the ledger after it.

        Raises StoreError when the disk refuses, AlreadyFinished, and what `change.ledger` raises: nothing changes then.
        """
        return await asyncio.shield(self.put(change))

    def put(self, change: Change) -> asyncio.Future[Ledger]:
        """The same without waiting; the future need not be looked at."""
        job = _Job(change, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        if self._pause is not None and not self._pause.done():
            self._pause.set_result(None)
        if self._working is None or self._working.done():
            self._working = asyncio.ensure_future(self._work())
        return job.done

    def save_soon(self) -> None:
        """What was just counted is due at the next turn."""
        self._soon = True

    async def commit(self) -> None:
        """Save the ledger as it stands, and the events that wait. A refusing disk is noted, not raised."""
        self._soon = False
        try:
            await self.do(Change(ledger=as_it_stands))
        except StoreError as error:
            log.error("ledger not saved, counting goes on in memory: %s", error)
            self._retry_at_s = self._clock.now().boot_s + RETRY_S

    async def close(self) -> None:
        """Carry out what was asked; from now on nothing insists."""
        self._ending = True
        if self._pause is not None and not self._pause.done():
            self._pause.set_result(None)
        if self._working is not None:
            await asyncio.wait([self._working])

    # -- one change after the other ----------------------------------------------------------------------------------

    async def _work(self) -> None:
        while self._jobs:
            job = self._jobs[0]
            try:
                made = await self._carry_out(job.change)
            except StoreError as error:
                self._faults["store"] += 1
                if job.change.insists and not self._ending:
                    log.warning("journal: %s", error)
                    await self._insist(error)
                    continue
                job.refuse(error)
            except Exception as error:
                job.refuse(error)
            except BaseException as error:  # the loop ends, and all who wait with it
                for waiting in self._jobs:
                    waiting.refuse(error)
                self._jobs.clear()
                raise
            else:
                job.finish(made)
                if job.change.ledger not in (None, as_it_stands):
                    self._emit(LedgerChanged())
            self._jobs.popleft()
            self._emit(Saved())

    async def _insist(self, error: StoreError) -> None:
        """What waits behind is refused like the first, unless it insists too; then a pause, which the next one ends."""
        waiting = [job for job in self._jobs if job.change.insists]
        for job in self._jobs:
            if not job.change.insists:
                job.refuse(error)
        self._jobs = deque(waiting)
        self._emit(Saved())
        self._pause = asyncio.get_running_loop().create_future()
        await asyncio.wait([self._pause], timeout=INSIST_S)
        self._pause = None

    async def _carry_out(self, change: Change) -> Ledger:
        """One change: the transaction, and then memory, or neither."""
        moment = self._clock.now()
        written = change.ledger(self.ledger, moment) if change.ledger else self.ledger
        events = self._take_events() if change.ledger else []
        reports = [Report(entry.topic, entry.answer, correlation=entry.correlation) for entry in change.entries]
        reports += change.reports
        if self.outbox is not None:
            reports += map(self.outbox.event, events)
        sealed = None
        if self.outbox is not None and (reports or change.upkeep):
            sealed = self.outbox.seal(reports, change.upkeep or Upkeep(), moment)
        try:
            await self._store.run(partial(_save, change, moment, written, events, reports, sealed))
        except BaseException as error:
            self._events.extendleft(reversed(events))
            if sealed is not None:
                sealed.abandoned(sure=isinstance(error, Exception) and not isinstance(error, StoreUnsure))
            raise
        if sealed is not None:
            sealed.committed()
        if change.ledger:
            self._now_on_disk(change.ledger(self.ledger, moment), written)
            self.latency_s = commit_latency_s(self.latency_s, self._clock.now().boot_s - moment.boot_s)
        return self.ledger

    def _now_on_disk(self, ledger: Ledger, written: Ledger) -> None:
        self.ledger = committed(ledger, written)
        self.saved = committed(written, written)
        self._changed_s = None if self.ledger == self.saved else self._clock.now().boot_s

    @property
    def _events_may_go(self) -> bool:
        return self.outbox is not None or not self._outbox_comes

    def _take_events(self) -> list[Event]:
        if not self._events_may_go:
            return []
        events = list(self._events)
        self._events.clear()
        return events


def _save(
    change: Change, moment: Moment, written: Ledger, events: Sequence[Event], reports: Sequence[Report],
    sealed: Sealed | None, database: Database,
) -> None:  # fmt: skip
    """The transaction, on the store's thread."""
    if change.ledger:
        database.keep(written)
    for event in events:
        database.events.add(event.name, dict(event.details), moment)
    bodies = [report.body for report in reports]
    for number, entry in enumerate(change.entries):
        if change.out is not None and entry is change.entries[-1]:
            entry = replace(entry, answer={**entry.answer, "out": change.out(written)})
            bodies[number] = entry.answer
        stored = database.journal.get(entry.id)
        if stored is not None and (stored.finished or stored.n >= entry.n):
            raise AlreadyFinished(entry.id)
        database.journal.put(entry)
    if (begun := change.begun) is not None:
        database.begin_command(begun.id, begun.type, begun.issuer, begun.counter)
    if change.audit is not None:
        database.audit.add(change.audit)
    if sealed is not None:
        sealed.save(database, bodies)
    if change.tables is not None:
        change.tables(database)
