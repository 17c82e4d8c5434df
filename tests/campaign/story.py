"""The campaign itself: life goes on, faults fall, the oracle looks at every step.

A restart asked for by a fault ends the present run at the next turn; what the disk holds is all that the next one has.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from unittest import mock

from simulator.modem import SimModem
from simulator.scenarios.observer import Observer
from tests.bench.operator_ledger import Received
from tests.campaign.life import Life, campaign_config
from tests.campaign.oracle import Oracle
from tests.campaign.weather import DISK_WELL_S, RATES_BPS, WEATHER, command, request
from tests.campaign.world import Broker, Cut, Disk, SimulatedLoop, World

QUIET_S = 5400.0
FAST_S = 120.0  # a line was faster than its plan says: what a cut so soon costs is not promised


class Story:
    """`run(faults)` until so many faults fell; then a quiet while, and the final comparison."""

    def __init__(self, seed: int, folder: Path, loop: asyncio.AbstractEventLoop) -> None:
        self.seed, self.dice = seed, random.Random(seed)
        began = datetime(2026, 1, 5, tzinfo=timezone.utc) + timedelta(days=self.dice.randrange(400))
        self.world = World(self.dice, began, loop)
        self.disk, self.broker, self.received = Disk(folder / "agent.db"), Broker(), Received()
        self.oracle = Oracle(self.world, self.received)
        self.broker.heard = self.oracle.heard
        self.config = campaign_config(self.dice.randrange(1, 32))
        self.faults: Counter[str] = Counter()
        self.sent: list[Any] = []
        self.numbers = itertools.count()  # of the commands
        self.doomed = "kill"
        self.usage: list[tuple[float, int, int]] = []
        self.module = SimModem("quectel-ec25", seed=seed)
        self.observer = Observer(self.module)
        self._wanted: tuple[str, float] | None = None
        self._disk_trouble_s = -1e9
        self.life = self._new_life()

    def _new_life(self) -> Life:
        life = Life(self.world, self.disk, self.broker, self.config, self.received, self.oracle.ran)
        life.changed = self.oracle.changed
        return life

    # -- what the weather uses

    def later(self, seconds: float, action: Callable[[], Any]) -> None:
        self.world.loop.call_later(seconds, action)

    def calm(self) -> None:
        self.world.flow()
        self.world.down_bps = self.dice.choice(RATES_BPS[:4])

    def disk_well(self) -> None:
        self.disk.full, self._disk_trouble_s = False, self.world.loop.time()

    def disk_troubled(self) -> bool:
        return self.disk.full or self.world.loop.time() - self._disk_trouble_s < DISK_WELL_S

    def synchronised(self) -> None:
        self.world.wall_error, self.world.disciplined = timedelta(0), True

    def restart(self, kind: str, *, away_s: float) -> None:
        self._wanted = (kind, away_s)

    def send(self, type: str, args: dict[str, object] | None = None) -> None:
        id = f"c{next(self.numbers)}"
        self.oracle.issued[id] = type
        self.oracle.checks["command"] += 1
        if type == "plan.topup":
            args = {"bytes": self.dice.randrange(1, 60_000_000)}
        if type == "plan.reconcile":
            difference = self.dice.randrange(-500_000_000, 500_000_000)
            args = self.oracle.operators_count(self.life.config.plan, difference, self.dice.choice(("tell", "follow")))
        self.sent.append(request(id, type, args or {}))
        self.broker.waiting.append(self.sent[-1])

    # -- the loop of the campaign

    async def run(self, faults: int) -> None:
        self.world.boot_up()
        await self.life.start()
        await self.life.turn()  # installed: before the first ledger is on the disk there is nothing to lose
        while sum(self.faults.values()) < faults:
            self.oracle.step += 1
            self._fall()
            await self._live(self.dice.uniform(0, 120))
        self.broker.up, self.world.down_bps, self.world.silent_since_s = True, 50_000.0, None
        self.disk_well()
        self.synchronised()
        for _ in range(3):  # whatever was doomed to fall falls, and then it is quiet
            await self._live(QUIET_S / 3)
            self.disk.doom, self._wanted = None, None
        self.oracle.promised.update(self.life.promised)
        await self.life.end(orderly=True)
        self.oracle.final()

    def _fall(self) -> None:
        if self.dice.random() < 0.5:
            command(self)
        if self.dice.random() < 0.5:
            self.life.tell()
        kinds = list(WEATHER)
        kind = self.dice.choices(kinds, [WEATHER[kind].weight for kind in kinds])[0]
        self.faults[WEATHER[kind].strike(self) or kind] += 1

    async def _live(self, seconds: float) -> None:
        """The agent's life for so long, restarts included."""
        until = self.world.loop.time() + seconds
        while self.world.loop.time() < until or self._wanted:
            if self.disk.full:
                self._disk_trouble_s = self.world.loop.time()
            began = self.world.loop.time()
            try:
                if self.life.wants_restart and self._wanted is None:
                    self._wanted = ("orderly", 2.0)
                if self._wanted is not None:
                    await self._restart(*self._wanted)
                    began = self.world.loop.time()  # time without power is no agent's time
                if self.dice.random() < 0.05:
                    await self.life.measure()
                await self.life.turn(max(0.3, until - self.world.loop.time()))
                await self._look(began)
            except Cut:
                self._wanted = (self.doomed, self.dice.uniform(1, 30))

    async def _look(self, began: float) -> None:
        world, life = self.world, self.life
        await life.read()
        await life.shaping.reconcile()
        self.oracle.counted(life)
        self.oracle.passes(life)
        self.oracle.month(life)
        self.oracle.meters(life)
        self.oracle.configuration(life, world.loop.time() - began)
        if not self.usage or world.loop.time() - self.usage[-1][0] * 86_400 > 3600:
            self.usage.append((world.loop.time() / 86_400, world.truth_bytes, self.oracle.total(life)))

    def _deletion_not_on_disk(self) -> bool:
        """A link went, and the kill came before its last word was written: it costs what a power cut may cost."""
        ledger, link = self.disk.look(lambda database: database.load_ledger()), self.world.link
        links = (
            [] if ledger is None else [one for one in ledger.links if one.sample.epoch.boot_id == self.world.boot_id]
        )
        if link is None:
            return not all(one.closed for one in links)
        return link.ifindex not in [one.sample.epoch.ifindex for one in links]

    async def _restart(self, kind: str, away_s: float) -> None:
        """This run ends; after a while the next one begins from what the disk holds."""
        self._wanted = None
        world, life, before = self.world, self.life, self.world.loop.time()
        fast = before - world.fast_s < FAST_S
        excused = kind == "empty" or fast or self.disk_troubled()
        await life.end(orderly=kind in ("orderly", "reboot"))
        self.oracle.promised.update(life.promised)
        boot = kind in ("power", "reboot", "empty")
        world.flow()
        if boot:
            world.link, world.powered = None, False
        if kind == "empty":
            self.disk.empty(self.dice.choice(("file", "ledger")))
            self.oracle.emptied()
            self.sent.clear()
            self.broker.waiting.clear()
        gone = not boot and self._deletion_not_on_disk()
        none, passed = world.link is None, world.passed_bytes
        await asyncio.sleep(away_s)
        world.flow()
        if none and world.link is not None:  # it came while nobody ran: whoever counts it next counts it from its start
            world.truth_bytes += world.passed_bytes - passed
        if boot:
            world.power_on(away_s=away_s)
            self.later(self.dice.uniform(20, 1500), self.synchronised)
        self.life = self._new_life()
        while True:
            try:
                await self.life.start()
                break
            except Exception:
                if not self.disk.full:
                    raise
                await self.life.end(orderly=False)
                await asyncio.sleep(10)
                world.flow()
                self.disk_well()
        await self.life.read()
        self.oracle.restarted(self.life, boot=boot or gone or not world.counted, excused=excused)


def campaign(seed: int, faults: int) -> Story:
    """One campaign from a seed, on a loop of its own."""
    loop = SimulatedLoop()
    loop.set_exception_handler(_unless_cut)
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        try:
            story = loop.run_until_complete(_told(seed, faults, Path(folder), loop))
        finally:
            loop.close()
    return story


def _unless_cut(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A task that the cut ended has nobody to tell; any other exception that nobody took is a fault of ours."""
    if not isinstance(context.get("exception"), Cut):
        loop.default_exception_handler(context)


async def _told(seed: int, faults: int, folder: Path, loop: asyncio.AbstractEventLoop) -> Story:
    story = Story(seed, folder, loop)
    at = story.world.boot_s
    with (
        mock.patch("agent.traffic.netlink.thread.boot_s", at),
        mock.patch("agent.daemon.tasks.shaping.RESOLV_CONFS", ()),
    ):
        await story.run(faults)
    return story
