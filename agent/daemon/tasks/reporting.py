"""Brings the operator's side to life once the device knows its own name, and hands it what the agent has to report.

A broker that is away, or was never configured, stops nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from agent import __version__, redact
from agent.commands.authority import authority_of
from agent.commands.runner import Runner
from agent.commands.table import COMMANDS
from agent.daemon.live_agent import LiveAgent
from agent.errors import StoreError
from agent.events import AlarmsChanged, Emit, Progressed, SessionChanged, unheard
from agent.mqtt import Outbox, Reporter, Session, Topics, Twins
from agent.mqtt.credentials import FOLDER, Credentials
from agent.plan import Notice
from agent.wake import Wake

IDENTITY_WAIT_S = 5.0
FAREWELL_S = 0.4
ALARMS_KEY = "alarms"
EVENT_NAMES = {"throttled": "throttle", "restored": "throttle", "warning": "warning"}


class Reporting:
    """Everything between the agent's state and the session with the broker."""

    def __init__(self, agent: LiveAgent, emit: Emit = unheard) -> None:
        self._agent, self._emit = agent, emit
        self._outbox: Outbox | None = None
        self._session: Session | None = None
        self._reporter: Reporter | None = None
        self._first_alarms: dict[str, Mapping[str, object] | None] = {}
        self._sessions_task: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self.wake = Wake()

    # -- what is told

    def notice(self, notice: Notice) -> None:
        """The plan told something."""
        details = {
            "kind": notice.kind, "percent": notice.percent, "UsedBytes": notice.charged_bytes,
            "LimitBytes": notice.limit_bytes, "PeriodStart": notice.period, "reason": notice.reason,
            "ShapingRate": notice.rates.down_bps or -1,
        }  # fmt: skip
        self._agent.event(EVENT_NAMES.get(notice.kind, notice.kind), details)

    def changed(self) -> None:
        """Something happened that a report may be due for."""
        self.wake.set()
        if self._reporter is not None:
            self._reporter.changed()

    def alarm(self, name: str, details: Mapping[str, object] | None) -> None:
        """Raise an alarm, or clear it with None; before the device has a name it waits."""
        before = set(self.alarms)
        if self._reporter is None:
            self._first_alarms[name] = details
        else:
            self._reporter.alarm(name, details)
        if set(self.alarms) == before:
            return
        self._emit(AlarmsChanged(tuple(sorted(self.alarms))))
        if self._reporter is not None:
            self._keeping = asyncio.create_task(self._keep_alarms())

    async def _keep_alarms(self) -> None:
        """Which alarms the broker holds. A restart clears them, such as the one that takes up a corrected file; what is
        still so is raised anew."""
        names = json.dumps(sorted(self.alarms))
        with contextlib.suppress(StoreError):  # told by the alarm `store`
            await self._agent.store.run(lambda database: database.meta.set(ALARMS_KEY, names))

    def rebirth(self) -> None:
        """Everything anew, at the operator's request."""
        if self._reporter is not None:
            self._reporter.rebirth()

    def renew_nonce(self) -> None:
        """Another nonce for the session that goes on."""
        if self._session is not None:
            self._session.renew_nonce()

    def raise_again(self) -> None:
        """The broker has lost what was retained."""
        if self._reporter is not None:
            self._reporter.raise_again()

    @property
    def alarms(self) -> Iterable[str]:
        """Names of the alarms that are raised, also where nobody hears of them."""
        if self._reporter is not None:
            return self._reporter.alarms
        return [name for name, details in self._first_alarms.items() if details is not None]

    # -- life

    async def run(self) -> None:
        """Wait until the device knows its name, then report for ever."""
        agent, settings = self._agent, self._agent.config.operator
        await self._named()
        # From here on it waits for the disk and the broker, which have judges of their own.
        self._emit(Progressed("operator", math.inf))
        if not settings.url:
            await asyncio.Event().wait()
        topics, now = Topics(settings.root, agent.device), agent.clock.now
        boot = await agent.store.run(lambda database: database.boot_name(now().boot_id))
        outbox = self._outbox = Outbox(agent.keeper, agent.store, settings, topics, boot=boot, now=now)
        await outbox.open()
        twins = Twins(agent.store, outbox.wake.set)
        runner = Runner(
            agent, outbox, authority_of(agent.config.commands, agent.device), device=agent.device,
            instance=secrets.token_hex(8), nonce=lambda: session.nonce, faults=agent.faults,
            emit=self._emit,
        )  # fmt: skip
        await runner.resume()
        pair = Credentials(settings, Path(agent.config.device.state_dir) / FOLDER)
        session = Session(
            settings, topics, outbox, twins, runner.deliver, version=__version__, now=now, credentials=pair,
            faults=agent.faults, emit=self._emit,
        )  # fmt: skip
        reporter = Reporter(
            outbox, twins, session, topics, config=lambda: agent.config, commands=sorted(COMMANDS), now=now,
            look=lambda: redact.located(agent.snapshot().to_dict(), agent.config.operator.location),
        )  # fmt: skip
        held = json.loads(await agent.store.run(lambda database: database.meta.get(ALARMS_KEY) or "[]"))
        stale = (
            dict.fromkeys(held) if self._reporter is None else {}
        )  # of an earlier process, not of this task's last run
        self._session, self._reporter = session, reporter
        self._emit(SessionChanged(session.state))
        reporter.alarms |= {name: {} for name in held}
        self._emit(AlarmsChanged(tuple(sorted(reporter.alarms))))
        for name, details in {**stale, **self._first_alarms}.items():
            self.alarm(name, details)
        self._first_alarms.clear()
        agent.accounting.wake.set()  # events that waited for the outbox may go
        tasks = [asyncio.create_task(session.run()), asyncio.create_task(reporter.run())]
        self._sessions_task = tasks[0]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            await runner.stop()  # what runs is left to the next start, which finds it in the journal
        for problem in ended:
            if isinstance(problem, Exception):
                raise problem

    async def _named(self) -> None:
        """The device's name: configured, remembered, or the module's IMEI once it is read."""
        agent = self._agent
        if not agent.device:
            agent.device = await agent.store.run(lambda database: database.meta.get("device") or "")
        while not agent.device:
            reading = agent.watching.reading
            if reading is not None and reading.identity.imei:
                agent.device = f"imei::{reading.identity.imei}"
                break
            self._emit(Progressed("operator", IDENTITY_WAIT_S * 4))
            await self.wake.wait(IDENTITY_WAIT_S)
        await agent.store.run(lambda database: database.meta.set("device", agent.device))

    async def stop(self, farewell: str) -> None:
        """Say goodbye, wait a little until the broker has heard it, and keep what is not delivered."""
        if self._session is not None and self._sessions_task is not None:
            await self._session.stop(farewell)
            await asyncio.wait([self._sessions_task], timeout=FAREWELL_S)
        if self._outbox is not None:
            await self._outbox.flush(last=True)
