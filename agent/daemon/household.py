"""A sign for the household, optional: a LED for ok, slow and no service, and an SMS when the plan's state changes.

Wired by the daemon: look() after each change of what `status` shows, notice() for each of the plan's notices, run() as
a supervised task. At most one SMS of a kind in a billing period (each warning mark is a kind of its own); what was told
stands in the store, so a restart tells nothing twice. A module that cannot send now is tried again, and what is still
unsent when the period is over is dropped: yesterday's warning helps nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Protocol

from agent.config import Household as Settings
from agent.daemon.household_texts import KINDS, text_of
from agent.errors import AgentError
from agent.plan import BillingPeriod, Notice, Plan, period_at
from agent.plan.period import local_date

log = logging.getLogger(__name__)

LEDS = Path("/sys/class/leds")
META_KEY = "household.told"
FIRST_RETRY_S, LONGEST_RETRY_S = 30.0, 3_600.0

OK, SLOW, NO_SERVICE = "ok", "slow", "no-service"
_BLINK = {SLOW: (1_000, 1_000), NO_SERVICE: (100, 400)}  # milliseconds on and off, for the kernel's timer trigger


class Store(Protocol):
    async def run(self, fn: Callable[[Any], Any]) -> Any: ...


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
    """LED and SMS of one device; costs nothing when neither is configured."""

    def __init__(
        self,
        settings: Settings,
        plan: Plan,
        store: Store,
        send: Callable[[str, str], Awaitable[Any]],
        *,
        leds: Path = LEDS,
    ) -> None:
        self._settings, self._plan, self._store, self._send = settings, plan, store, send
        self._led = Led(settings.led, leds)
        self._queue: asyncio.Queue[Message] = asyncio.Queue()
        self._told: dict[str, list[str]] | None = None
        self._period = ""
        self.unsent = 0

    def look(self, *, online: bool, slow: bool) -> None:
        """Show how the line is now."""
        self._led.show(NO_SERVICE if not online else SLOW if slow else OK)

    def notice(self, notice: Notice) -> None:
        """Take one of the plan's notices; those that the household is not told are passed over."""
        self._period = notice.period
        if self._settings.sms_to and notice.kind in KINDS:
            self._queue.put_nowait(message_of(notice, self._plan, self._settings.sms_language))

    async def run(self) -> None:
        """Send what is to be sent, for ever."""
        while True:
            message = await self._queue.get()
            self.unsent = self._queue.qsize() + 1
            if not await self._was_told(message):
                await self._deliver(message)
            self.unsent = self._queue.qsize()

    async def _deliver(self, message: Message) -> None:
        pause_s = FIRST_RETRY_S
        while message.period == self._period:
            try:
                await self._send(self._settings.sms_to, message.text)
            except AgentError as error:
                log.warning("SMS to the household (%s) not sent yet: %s", message.kind, error)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_RETRY_S)
                continue
            log.info("SMS to the household: %s", message.kind)
            await self._remember(message)
            return
        log.warning("SMS to the household (%s) dropped: its period is over", message.kind)

    async def _was_told(self, message: Message) -> bool:
        if self._told is None:
            self._told = _told_from(await self._store.run(lambda db: db.meta.get(META_KEY)))
        return message.kind in self._told.get(message.period, [])

    async def _remember(self, message: Message) -> None:
        kinds = [*(self._told or {}).get(message.period, []), message.kind]
        self._told = {message.period: kinds}  # earlier periods are over
        text = json.dumps(self._told)
        await self._store.run(lambda db: db.meta.set(META_KEY, text))


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
