"""Cuts at every step of a report's life: what the operator received equals what the agent recorded.

    python -m tests.bench.operator_cuts [CUTS] [MORE_CUTS]

First part (operator_kills.py): real agents with a real mosquitto. The agent is killed by kill -9 before, in and after
every transaction, after insert, after delete, before and after publish, at a PUBACK and after it, and anywhere; the
broker is killed or ended; the link is cut mid-packet; a tenth of the kills is a reboot. Second part, in one process and
on the disk: the store and the outbox alone, with transactions that fail and are rolled back as well.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

from agent.config import OperatorSettings
from agent.keeper import Keeper, Report
from agent.mqtt.outbox import Outbox
from agent.mqtt.topics import Topics
from agent.plan import Ledger, Moment, Plan, Trust
from agent.store import Store
from tests.bench.operator_kills import real_cuts
from tests.bench.operator_ledger import Received
from tests.bench.operator_nursery import memory
from tests.bench.rows import Bench

T = TypeVar("T")
TOPICS = Topics("modem-agent", "cut")


class Cut(BaseException):
    """The power is gone."""


class CutStore:
    """The real store, which dies before or after a transaction when its time has come."""

    def __init__(self, path: Path, dice: random.Random, chance: float) -> None:
        self._store, self._dice, self._chance = Store(path), dice, chance

    async def run(self, fn: Callable[[Any], T]) -> T:
        fate = self._dice.random()
        if fate < self._chance:
            raise Cut

        def inside(db: Any) -> T:
            made = fn(db)
            if fate < 2 * self._chance:
                raise Cut  # in the transaction: rolled back
            return made

        made = await self._store.run(inside)
        if fate < 3 * self._chance:
            raise Cut  # committed, and nobody was told
        return made

    def die(self) -> None:
        """What a kill leaves: nothing is checkpointed or written at the end."""
        self._store._thread.submit(self._store._database.connection.close).result()
        self._store._thread.shutdown()


class Life:
    """One run of the agent until it is cut."""

    def __init__(self, store: CutStore, boot: str, dice: random.Random, received: Received) -> None:
        clock = StillClock(boot)
        self.keeper = Keeper(store, clock, Plan(), Ledger.new(Plan(), clock.now()), Counter())
        self.outbox = Outbox(self.keeper, store, OperatorSettings(), TOPICS, boot=boot, now=clock.now)
        self.dice, self.received = dice, received
        self.flying: list[Any] = []

    async def live(self, steps: int) -> None:
        await self.outbox.open()
        for _ in range(steps):
            await self.dice.choices(
                (self.event, self.measurement, self.send, self.puback, self.link_cut, self.outbox.flush),
                (20, 30, 80, 80, 5, 4),
            )[0]()

    async def event(self) -> None:
        number = self.received.next_number()
        seq = self.outbox._next
        await self.outbox.add(Report(TOPICS.event("test"), {"number": number}))
        self.received.recorded_event(self.outbox.boot, seq, number)

    async def measurement(self) -> None:
        number = self.received.next_number()
        await self.outbox.measure(TOPICS.measurement("traffic"), {"number": number})
        self.received.recorded_measurement(self.outbox.boot, self.outbox._next - 1, number)

    async def send(self) -> None:
        row = await self.outbox.take()
        if row is not None:
            self.flying.append(row)
            if self.dice.random() < 0.02:
                raise Cut  # taken, not sent
            self.received.message(row.topic, row.payload)
            if self.dice.random() < 0.02:
                raise Cut  # sent, no PUBACK

    async def puback(self) -> None:
        if self.flying:
            self.outbox.acknowledged(self.flying.pop(0))

    async def link_cut(self) -> None:
        """The broker has what was sent; the PUBACKs of it never come."""
        self.received.cuts += 1
        self.flying.clear()
        self.outbox.returned()

    async def drain(self) -> None:
        """At last a quiet session: everything is sent and acknowledged."""
        await self.outbox.open()
        while (row := await self.outbox.take()) is not None:
            self.received.message(row.topic, row.payload)
            self.outbox.acknowledged(row)
        await self.outbox.flush(last=True)


class StillClock:
    """One moment of a boot."""

    def __init__(self, boot: str) -> None:
        self._boot = boot

    def now(self) -> Moment:
        return Moment(datetime(2026, 11, 22, tzinfo=timezone.utc), 1000.0, self._boot, Trust.SYNC)


async def simulated(cuts: int, seed: int, folder: Path) -> Received:
    dice, received = random.Random(seed), Received()
    boot_number = 1
    while received.cuts < cuts:
        store = CutStore(folder / "agent.db", dice, 0.01)
        life = Life(store, f"{boot_number:08x}", dice, received)
        try:
            await life.live(dice.randrange(1, 60))
        except Cut:
            pass
        finally:
            # What was handed to the store before the cut may still be on its way: a write in the kernel.
            if life.keeper._working is not None:
                await asyncio.gather(life.keeper._working, return_exceptions=True)
            store.die()
        received.cuts += 1
        boot_number += dice.random() < 0.1
    store = CutStore(folder / "agent.db", dice, 0.0)
    await Life(store, f"{boot_number:08x}", dice, received).drain()
    store.die()
    return received


def main() -> int:
    kills, cuts = (int(sys.argv[n]) if len(sys.argv) > n else default for n, default in ((1, 10_000), (2, 10_000)))
    bench = Bench("operator_cuts", 6)
    seed = int(time.time())
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        real, took_s = real_cuts(kills, seed, Path(folder))
    print(json.dumps(real.problems[:5]))
    bench.row(
        f"{real.total} real cuts: kill -9 of the agent at every step, mosquitto killed, link cut (seed {seed})",
        "received = recorded, in order, every gap reported",
        f"{real.summary()}; {len(real.problems)} violations; {took_s:.0f} s",
        not real.problems and real.total >= kills,
        exact=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        received = asyncio.run(simulated(cuts, seed, Path(folder)))
    problems = received.problems()
    print(json.dumps(problems[:5]))
    bench.row(
        f"{received.cuts} cuts in one process, transactions that fail included (seed {seed})",
        "received = recorded, in order, every gap reported",
        f"{received.summary()}; {len(problems)} violations; {time.monotonic() - began:.0f} s",
        not problems,
        exact=True,
    )
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
