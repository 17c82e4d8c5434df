"""One virtual device: the agent's outbox, twins, session, reporter and command runner over a store in memory.

It stands in the daemon's place (agent.commands.Agent): no modem, no kernel, a household that downloads.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from agent.commands import COMMANDS, Snapshot
from agent.commands.authority import BrokerAuthority
from agent.commands.runner import Runner
from agent.config import Config
from agent.modem import Identity, Operator, Reading, Registration, Signal, Sim
from agent.operator import Outbox, Reporter, Session, Timing, Topics, Twins
from agent.plan import Epoch, Ledger, Moment, Sample, Trust, decide, observe, usage
from agent.store import Database
from agent.store.schema import MIGRATIONS
from simulator.fleet.connection import LoopConnection
from simulator.modem.identity import luhn

T = TypeVar("T")


class _InMemory(Database):
    def _renew_generation(self, ledger: Ledger) -> None:
        """No second file beside a database that has not even a first."""


class MemoryStore:
    """agent.store's Database without disk and thread: the same tables and statements, for the fleet alone."""

    def __init__(self) -> None:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        for step in MIGRATIONS:
            for statement in step:
                connection.execute(statement)
        self._database = _InMemory(connection, Path(":memory:"))

    async def run(self, fn: Callable[[Any], T]) -> T:
        with self._database.transaction():
            return fn(self._database)

    def close(self) -> None:
        self._database.connection.close()


class DeviceClock:
    """This machine's clock, with a boot of its own."""

    def __init__(self, number: int) -> None:
        self.boot_id = f"{number:08x}-0000-4000-8000-000000000001"

    def now(self) -> Moment:
        return Moment(datetime.now(timezone.utc), time.monotonic(), self.boot_id, Trust.SYNC)


class Device:
    """Start with run(); `cut` and `restore` take the line away and give it back."""

    def __init__(self, number: int, config: Config, dice: Random, timing: Timing, look_s: float) -> None:
        self.number, self.config, self.clock = number, config, DeviceClock(number)
        imei = f"00101799{number:06d}"
        self.name = f"imei::{imei}{luhn(imei)}"
        self.store, self.modem = MemoryStore(), None
        self.topics = Topics(config.operator.root, self.name)
        self.ledger = Ledger.new(config.plan, self.clock.now())
        now = self.clock.now
        self.outbox = Outbox(self.store, config.operator, self.topics, boot=self.clock.boot_id, now=now)
        self.twins = Twins(self.store, self.outbox.wake.set)
        self.runner = Runner(
            self, self.outbox, BrokerAuthority(), device=self.name, instance="1", nonce=lambda: self.session.nonce
        )
        self.session = Session(
            config.operator,
            self.topics,
            self.outbox,
            self.twins,
            self.runner.deliver,
            version="fleet",
            now=now,
            timing=timing,
            dice=dice,
            connect=LoopConnection,
        )
        self.reporter = Reporter(
            self.outbox,
            self.twins,
            self.session,
            self.topics,
            look=lambda: self.snapshot().to_dict(),
            config=lambda: self.config,
            commands=sorted(COMMANDS),
            now=now,
        )
        self._received = 0
        self._dice = dice
        self._reading = _reading(number, imei + luhn(imei), dice)
        self._tasks: list[asyncio.Task[None]] = []
        self._look_s = look_s  # Reporter.run looks every 5 s, which thousands of devices in one process cannot afford

    @property
    def connected(self) -> bool:
        return self.session.state.connected

    @property
    def ended(self) -> BaseException | None:
        """What ended the session's or the reporter's task, which should end for nothing."""
        return next((task.exception() for task in self._tasks if task.done() and not task.cancelled()), None)

    async def start(self) -> None:
        await self.outbox.open()
        await self.runner.resume()
        self._tasks = [asyncio.create_task(self.session.run()), asyncio.create_task(self._report())]

    async def _report(self) -> None:
        while True:
            await self.reporter.report()
            await asyncio.sleep(self._look_s)

    async def stop(self) -> None:
        await self.session.stop()
        if self._tasks:
            await asyncio.wait(self._tasks[:1], timeout=15)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.runner.stop()
        self.store.close()

    def cut(self) -> None:
        """The line goes away without a word."""
        if self.session._connection is not None:
            self.session._connection.drop()

    def household(self, seconds: float) -> None:
        """Some evening traffic."""
        self._received += int(self._dice.uniform(0, 8_000_000) / 8 * seconds)
        sample = Sample(Epoch(self.clock.boot_id, 3, "wwan0"), self.clock.now().boot_s, self._received, 0)
        self.ledger, _ = observe(self.ledger, sample, self.clock.now(), self.config.plan)

    # -- agent.commands.Agent ----------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        now = self.clock.now()
        return Snapshot(
            moment=now,
            device=self.name,
            version="fleet",
            started_boot_s=now.boot_s,
            modem_state="ready",
            reading=self._reading,
            usage=usage(self.ledger, self.config.plan),
            period=self.ledger.period,
            decision=decide(self.ledger, self.config.plan, now),
            session=self.session.state,
        )

    async def refresh(self) -> None:
        """The counters are always at hand."""

    async def change_ledger(
        self, change: Callable[[Any, Moment], Any], also: Callable[[Any], None] | None = None
    ) -> Any:
        made = change(self.ledger, self.clock.now())

        def save(db: Any) -> None:
            db.keep(made)
            if also is not None:
                also(db)

        await self.store.run(save)
        self.ledger = made
        return made

    def event(self, name: str, details: dict[str, Any]) -> None:
        self.reporter.event(name, details)

    async def rebirth(self) -> None:
        self.reporter.rebirth()

    async def restart(self) -> None:
        """There is no process to restart."""

    async def reboot(self, reason: str) -> None:
        """Nor a system to reboot."""

    async def reset_modem(self, level: str) -> dict[str, Any]:
        return {"done": level}

    async def send_sms(self, number: str, text: str) -> dict[str, Any]:
        return {"reference": 1}

    async def adopt(self, config: Config) -> None:
        self.config = config


def _reading(number: int, imei: str, dice: Random) -> Reading:
    rsrp = dice.uniform(-118, -78)
    return Reading(
        at_boot_s=time.monotonic(),
        profile="quectel",
        identity=Identity("Quectel", "EC25", "EC25EFAR06A06M4G", imei),
        sim=Sim("READY", "none", f"20601{number:010d}", f"8932010000{number:09d}", f"+3247{number:07d}"),
        registration=Registration(1, "home", False, "eps", tac=0x1A2B, ci=0x1F0C15 + number % 97, act=7),
        operator=Operator("20601", "Proximus"),
        signal=Signal(
            round(rsrp + 30), round(rsrp), -10.0, 12.0, band=3, earfcn=1850, pci=number % 504, source="+QENG"
        ),
        access_technology="LTE",
        attached=True,
        temperature_c=35.0,
    )
