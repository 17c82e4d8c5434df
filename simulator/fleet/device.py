"""One virtual device: the agent's outbox, twins, session, reporter and command runner over a store in memory.

No modem and no kernel, but a household that downloads.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from agent.config import Config
from agent.modem import Identity, Operator, Reading, Registration, Signal, Sim
from agent.mqtt import Timing
from agent.plan import Epoch, Moment, Sample, Trust, observe
from agent.status import Snapshot
from agent.store import Database
from agent.store.schema import MIGRATIONS
from simulator.fleet.connection import LoopConnection
from simulator.fleet.virtual import VirtualAgent
from simulator.modem.identity import luhn

T = TypeVar("T")
_NOWHERE = Path("/dev/null/fleet")  # a place where no file can be


class MemoryStore:
    """agent.store's Database without disk and thread: the same tables and statements, for the fleet alone."""

    def __init__(self) -> None:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        for step in MIGRATIONS:
            for statement in step:
                connection.execute(statement)
        self._database = Database(connection, _NOWHERE)
        self._database.in_memory = True  # nothing beside it either: numbers and generations are files

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


def _imei(number: int) -> str:
    digits = f"00101799{number:06d}"
    return digits + luhn(digits)


def device_name(number: int) -> str:
    return f"imei::{_imei(number)}"


class Device(VirtualAgent):
    """Start with start(); `cut` takes the line away without a word."""

    clock: DeviceClock
    store: MemoryStore

    def __init__(self, number: int, config: Config, dice: Random, timing: Timing, look_s: float) -> None:
        self.number = number
        super().__init__(
            config, DeviceClock(number), MemoryStore(), device_name(number),
            timing=timing, version="fleet", dice=dice, connect=LoopConnection,
        )  # fmt: skip
        self._received = 0
        self._dice = dice
        self._reading = _reading(number, _imei(number), dice)
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

    def snapshot(self) -> Snapshot:
        return replace(super().snapshot(), modem_state="ready", reading=self._reading)


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
