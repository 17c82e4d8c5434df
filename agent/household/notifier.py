"""A sign for the household, optional: a LED for ok, slow and no service, and an SMS when the plan's state changes.

Wired by the daemon: look() after each change of what `status` shows, notice() for each of the plan's notices, run() as
a supervised task. At most one SMS of a kind in a billing period (each warning mark is a kind of its own); what was told
and what waits stand in the store, so a restart tells nothing twice and forgets nothing. A module that cannot send now
is tried again, and what is still unsent when the period is over is dropped: yesterday's warning helps nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from agent.backoff import Backoff
from agent.config import Household as Settings
from agent.errors import AgentError
from agent.household.texts import KINDS, text_of
from agent.plan import BillingPeriod, Notice, Plan, period_at
from agent.plan.period import local_date

if TYPE_CHECKING:
    from agent.store.database import Database

log = logging.getLogger(__name__)
T = TypeVar("T")

LEDS = Path("/sys/class/leds")
TOLD_KEY, WAITING_KEY = "household.told", "household.waiting"
FIRST_RETRY_S, LONGEST_RETRY_S = 30.0, 3_600.0

OK, SLOW, NO_SERVICE = "ok", "slow", "no-service"
_BLINK = {SLOW: (1_000, 1_000), NO_SERVICE: (100, 400)}  # milliseconds on and off, for the kernel's timer trigger


class Store(Protocol):
    async def run(self, fn: Callable[[Database], T]) -> T: ...


@dataclass(frozen=True, slots=True)
class Message:
    """One SMS to be sent, and what makes it the only one of its kind in its period."""

    period: str
    kind: str
    text: str


class Led:
    """A LED by its name in /sys/class/leds; written only when what it shows changes. One that is not there, or may
    not be written, is logged once and let be."""

    def __init__(self, name: str, leds: Path = LEDS) -> None:
        self._folder = leds / name if name else None
        self._shown = ""
        self._complained = False

    def show(self, state: str) -> None:
        if self._folder is None or state == self._shown:
            return
        try:
            self._light(state)
            self._shown = state
        except OSError as error:
            if not self._complained:
                log.warning("LED %s: %s", self._folder.name, error.strerror or error)
            self._complained = True

    def _light(self, state: str) -> None:
        assert self._folder is not None
        if state in _BLINK and self._blink(*_BLINK[state]):
            return
        self._write("trigger", "none")
        # Without the timer trigger (kmod-ledtrig-timer) no service is dark, and slow shines like ok.
        self._write("brightness", "0" if state == NO_SERVICE else self._brightest())

    def _blink(self, on_ms: int, off_ms: int) -> bool:
        assert self._folder is not None
        if "timer" not in (self._folder / "trigger").read_text("ascii"):
            return False
        self._write("trigger", "timer")
        self._write("delay_on", str(on_ms))
        self._write("delay_off", str(off_ms))
        return True

    def _brightest(self) -> str:
        assert self._folder is not None
        with contextlib.suppress(OSError):
            return (self._folder / "max_brightness").read_text("ascii").strip()
        return "255"

    def _write(self, name: str, value: str) -> None:
        assert self._folder is not None
        (self._folder / name).write_text(value, "ascii")


class Household:
    """LED and SMS of one device; costs nothing when neither is configured. `period` gives the present period's label.

    What waits to be sent stands in the store, in the same transaction as what was told: a power cut between the two
    neither loses a message nor sends it again.
    """

    def __init__(
        self,
        settings: Settings,
        plan: Plan,
        store: Store,
        send: Callable[[str, str], Awaitable[object]],
        period: Callable[[], str],
        *,
        leds: Path = LEDS,
    ) -> None:
        self._settings, self._plan, self._store, self._send, self._period = settings, plan, store, send, period
        self._led = Led(settings.led, leds)
        self._news: deque[Message] = deque()
        self._arrived = asyncio.Event()
        self._told: dict[str, list[str]] = {}
        self._waiting: list[Message] = []
        self._recalled = False

    def look(self, *, online: bool, slow: bool) -> None:
        """Show how the line is now."""
        self._led.show(NO_SERVICE if not online else SLOW if slow else OK)

    def notice(self, notice: Notice) -> None:
        """Take one of the plan's notices; those that the household is not told are passed over."""
        if self._settings.sms_to and notice.kind in KINDS:
            self._news.append(message_of(notice, self._plan, self._settings.sms_language))
            self._arrived.set()

    async def run(self) -> None:
        """Send what is to be sent, for ever."""
        if self._settings.sms_to and not self._recalled:
            await self._recall()
        backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S)
        while True:
            if self._news:
                await self._take()
            if not self._waiting:
                await self._arrived.wait()
                continue
            if await self._deliver(self._waiting[0]):
                backoff.reset()
                continue
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), backoff.next_s())

    async def _take(self) -> None:
        """What is new is on the disk before it is tried."""
        self._arrived.clear()
        while self._news:
            message = self._news.popleft()
            known = [(kept.period, kept.kind) for kept in self._waiting]
            if message.kind not in self._told.get(message.period, []) and (message.period, message.kind) not in known:
                self._waiting.append(message)
        await self._keep()

    async def _deliver(self, message: Message) -> bool:
        """Whether it is done with: sent, or too late."""
        if message.period == self._period():
            try:
                await self._send(self._settings.sms_to, message.text)
            except AgentError as error:
                log.warning("SMS to the household (%s) not sent yet: %s", message.kind, error)
                return False
            log.info("SMS to the household: %s", message.kind)
            self._told = {message.period: [*self._told.get(message.period, []), message.kind]}  # earlier ones are over
        else:
            log.warning("SMS to the household (%s) dropped: its period is over", message.kind)
        self._waiting.remove(message)
        await self._keep()
        return True

    async def _recall(self) -> None:
        told, waiting = await self._store.run(lambda db: (db.meta.get(TOLD_KEY), db.meta.get(WAITING_KEY)))
        self._recalled = True
        self._told, self._waiting = _told_from(told), _waiting_from(waiting)

    async def _keep(self) -> None:
        told = json.dumps(self._told)
        waiting = json.dumps([[kept.period, kept.kind, kept.text] for kept in self._waiting])

        def write(database: Database) -> None:
            database.meta.set(TOLD_KEY, told)
            database.meta.set(WAITING_KEY, waiting)

        try:
            await self._store.run(write)
        except AgentError as error:  # a disk that refuses must not make us say the same thing again
            log.warning("SMS to the household: what was told is kept in memory only: %s", error)


def message_of(notice: Notice, plan: Plan, language: str) -> Message:
    """The SMS for a notice. A warning's kind carries its mark: 80 % and 95 % are two warnings."""
    text = text_of(
        notice.kind,
        language,
        percent=notice.percent,
        used_bytes=notice.charged_bytes,
        limit_bytes=notice.limit_bytes,
        rate_bps=notice.rates.down_bps,
        until=_next_period(notice, plan),
    )
    kind = f"warning {notice.percent}" if notice.kind == "warning" else notice.kind
    return Message(notice.period, kind, text)


def _next_period(notice: Notice, plan: Plan) -> date:
    """The local day on which the period after the notice's begins."""
    if notice.period_end is not None:
        return local_date(notice.period_end, plan.timezone)
    start = date.fromisoformat(notice.period)
    wall = notice.wall
    period: BillingPeriod = period_at(wall, plan.billing_day, plan.timezone)
    if period.label != notice.period:  # told on a clock that was not yet right: reckon from the period's own start
        return (start.replace(day=1) + timedelta(days=32)).replace(day=min(plan.billing_day, 28))
    return local_date(period.end, plan.timezone)


def _told_from(text: str | None) -> dict[str, list[str]]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(period): [str(kind) for kind in kinds] for period, kinds in found.items() if isinstance(kinds, list)}


def _waiting_from(text: str | None) -> list[Message]:
    try:
        return [Message(str(period), str(kind), str(body)) for period, kind, body in json.loads(text or "[]")]
    except (TypeError, ValueError):
        return []
