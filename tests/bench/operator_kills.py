"""Real cuts: whole agents as processes that die by kill -9, a real mosquitto that is killed, and a link cut mid-packet.

Called by tests/bench/operator_cuts.py. Several agents live at once, each forked from a warm parent
(operator_nursery.py), each behind a proxy of its own (operator_ear.py). A kill leaves what the kernel holds, as a crash
of the daemon does; what a power cut takes from the disk is the matter of ledger_cuts.py. So the stores lie in memory.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.keeper import Report
from agent.mqtt import Outbox
from agent.mqtt.batch import Batch
from tests.bench.operator_ear import Ear, Proxy
from tests.bench.operator_ledger import Received
from tests.bench.operator_nursery import STEPS, Life, Mortal, Nursery, device_id, say
from tests.mqtt.broker import Mosquitto

DEVICES = 6
PACE_S = 0.004  # between two reports of an agent
LIFE_S = 3.0  # an agent that has not come to the step of its death by then is killed where it is
BROKER = "allow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\n"
QUIET_LOOKS = 10


# -- the agents ------------------------------------------------------------------------------------------------------


async def reporting(life: Life) -> None:
    """Records reports as fast as PACE_S until killed; says what it begins, and what it has recorded."""
    agent = Mortal(life)
    outbox, dice, made = agent.outbox, random.Random(life.seed), _numbered(agent.outbox)
    await outbox.open()
    session = asyncio.create_task(agent.session.run())
    number = life.seed * 10_000  # of no other life
    while not session.done():
        number += 1
        say("begun", life.device, number)
        if dice.random() < 0.3:
            await outbox.add(Report(agent.topics.event("test"), {"number": number}))
            say("event", life.device, outbox.boot, made.pop(number), number)
        else:
            await outbox.measure(agent.topics.measurement("test"), {"number": number})
            say("measurement", life.device, outbox.boot, outbox._next - 1, number)
        if outbox.flush_due() or dice.random() < 0.05:
            await outbox.flush()
        await asyncio.sleep(dice.expovariate(1 / PACE_S))
    raise AssertionError("the session ended by itself")


def _numbered(outbox: Outbox) -> dict[int, int]:
    """Number of a test's event: its place in the sequence, once it is on the flash; the session has events too."""
    made: dict[int, int] = {}
    committed = outbox.committed

    def noted(batch: Batch) -> None:
        for row in batch.urgent:
            number = json.loads(row.payload).get("number") if row.payload else None
            if number is not None and row.seq is not None:
                made[number] = row.seq
        committed(batch)

    outbox.committed = noted  # type: ignore[method-assign]  # listens in, and passes on
    return made


async def draining(life: Life) -> None:
    """A last life in peace: everything that is left goes out."""
    agent = Mortal(life)
    await agent.outbox.open()
    session = asyncio.create_task(agent.session.run())
    quiet = 0
    while quiet < QUIET_LOOKS:
        await asyncio.sleep(0.05)
        quiet = quiet + 1 if agent.outbox.rows == 0 and agent.session.state.connected else 0
        if agent.outbox.flush_due():
            await agent.outbox.flush()
    await agent.session.stop()
    await session
    await agent.outbox.flush(last=True)
    agent.store.close()


KINDS = {"reporting": reporting, "draining": draining}


# -- the bench -------------------------------------------------------------------------------------------------------


@dataclass
class Household:
    """One device: where it keeps its things, what was heard of it, which boot it is in."""

    number: int
    folder: Path
    received: Received = field(default_factory=Received)
    boot: int = 1


class Cuts:
    """See `run`; `by` counts the cuts by what was cut where."""

    def __init__(self, wanted: int, seed: int, folder: Path) -> None:
        self.wanted, self.dice, self.folder = wanted, random.Random(seed), folder
        self.by: Counter[str] = Counter()
        self.households: dict[str, Household] = {}
        self.problems: list[str] = []
        self._seed = 0
        self._gate = asyncio.Event()

    @property
    def total(self) -> int:
        return sum(self.by.values())

    async def run(self) -> None:
        """Cut until there were enough; then let every device drain, and compare."""
        broker_folder = self.folder / "broker"
        broker_folder.mkdir()
        for number in range(1, DEVICES + 1):
            home = self.folder / str(number)
            home.mkdir()
            self.households[device_id(number)] = Household(number, home)
        broker = Mosquitto(broker_folder, BROKER)
        broker.config.write_text(broker.config.read_text().replace("log_type all", "log_type error"))
        with broker:
            self.ear = Ear(broker.port, "modem-agent/v1/+/+/+", self._hear)
            listening = asyncio.create_task(self.ear.run())
            await self.ear.ready.wait()
            self._gate.set()
            async with Nursery(__name__, self._said) as self.nursery:
                breaking = asyncio.create_task(self._break(broker))
                await asyncio.gather(*(self._cut(h, broker.port) for h in self.households.values()))
                breaking.cancel()
                await asyncio.gather(breaking, return_exceptions=True)
                await asyncio.gather(*(self._drain(h, broker.port) for h in self.households.values()))
            await asyncio.sleep(0.2)  # the last bytes on their way to the ear
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        for device, household in self.households.items():
            self.problems += [f"{device}: {problem}" for problem in household.received.problems()]

    def _hear(self, topic: str, payload: bytes, retained: bool) -> None:
        _, _, device, below = topic.split("/", 3)
        received = self.households[device].received
        if below == "status":
            if not retained:
                received.presence(json.loads(payload))
        elif payload:
            received.message(topic, payload)

    def _said(self, device: int, words: list[str]) -> None:
        household = self.households[device_id(device)]
        match words:
            case ["begun", number]:
                household.received.begun(int(number))
            case ["event", boot, seq, number]:
                household.received.recorded_event(boot, int(seq), int(number))
            case ["measurement", boot, seq, number]:
                household.received.recorded_measurement(boot, int(seq), int(number))
            case ["cut", step]:
                self.by[f"kill -9 {step.replace('_', ' ')}"] += 1

    def _life(self, household: Household, kind: str, port: int, **more: Any) -> Life:
        self._seed += 1
        boot = f"{household.boot:08x}"
        return Life(household.number, kind, port, str(household.folder), boot, self._seed, **more)

    async def _cut(self, household: Household, port: int) -> None:
        """Life after life of one device, each cut at the link now and then, and ended by a kill."""
        dice = random.Random(self.dice.random())
        async with Proxy(port, dice, self._gate) as proxy:
            while self.total < self.wanted:
                step = dice.choice((*STEPS, ""))
                passes = 1 + int(dice.expovariate(1 / 12))
                ended = self.nursery.begin(self._life(household, "reporting", proxy.port, step=step, passes=passes))
                linked = asyncio.create_task(self._cut_link(proxy, dice))
                code = await self.nursery.end(household.number, ended, dice.uniform(0, 1) if not step else LIFE_S)
                linked.cancel()
                if not step:
                    self.by["kill -9 anywhere"] += 1
                if code != -9:
                    self.problems.append(f"agent {household.number} ended by itself: {code}")
                    return
                self.by["link"] += proxy.cuts
                proxy.cuts = 0
                household.boot += dice.random() < 0.1

    async def _cut_link(self, proxy: Proxy, dice: random.Random) -> None:
        while True:
            await asyncio.sleep(dice.expovariate(1 / 0.15))
            proxy.cut()

    async def _break(self, broker: Mosquitto) -> None:
        """The broker ends now and then, in order or by kill -9; agents reach it again once the ear listens."""
        while True:
            await asyncio.sleep(self.dice.expovariate(1 / 2.0))
            self._gate.clear()
            killed = self.dice.random() < 0.5
            await asyncio.to_thread(broker.stop, kill=killed)
            self.by["broker killed" if killed else "broker ended"] += 1
            while self.ear.ready.is_set():  # noqa: ASYNC110  # it reads to the end of what the old one wrote
                await asyncio.sleep(0.002)
            await asyncio.to_thread(broker.start)
            await self.ear.ready.wait()
            self._gate.set()

    async def _drain(self, household: Household, port: int) -> None:
        household.boot += 1
        code = await self.nursery.begin(self._life(household, "draining", port))
        if code:
            self.problems.append(f"agent {household.number} did not drain: {code}")

    def summary(self) -> str:
        received = [household.received for household in self.households.values()]
        return f"{Received.sum_up(received)}; " + ", ".join(f"{n} {what}" for what, n in sorted(self.by.items()))


def real_cuts(cuts: int, seed: int, folder: Path) -> tuple[Cuts, float]:
    """The bench, and the seconds it took."""

    async def run() -> Cuts:
        made = Cuts(cuts, seed, folder)
        await made.run()
        return made

    began = time.monotonic()
    return asyncio.run(run()), time.monotonic() - began
