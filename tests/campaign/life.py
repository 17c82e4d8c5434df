"""One run of the agent in the simulated world: the real accounting, counting, shaping, judgement of the line, clock,
outbox, reporting and command runner.

Built like the daemon builds it; what needs a radio, a kernel or a socket is the world's. A run ends by itself, or
when the power goes: then every task of it ends and nothing it held in memory survives.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

from agent.clock import Clock
from agent.commands import pushed_config
from agent.commands.authority import BrokerAuthority
from agent.commands.command import Command, Progress
from agent.commands.config_trial import ConfigTrials
from agent.commands.runner import Runner
from agent.config import Config
from agent.daemon.accounting import Accounting
from agent.daemon.instance_lock import NamespaceLock
from agent.daemon.live_agent import LiveAgent
from agent.daemon.tasks.counting import Counting
from agent.daemon.tasks.reporting import Reporting
from agent.daemon.tasks.shaping import Shaping
from agent.errors import StoreError
from agent.events import Decided, LedgerChanged, Noticed, Occurrence
from agent.keeper import Event, Keeper
from agent.mqtt import Outbox, SessionState, Topics
from agent.plan import Ledger, Sample
from agent.status import Snapshot
from agent.traffic import LinkEvent, Shaper
from tests.bench.operator_ledger import Received
from tests.campaign.line import READY, Line
from tests.campaign.netlink import CAN
from tests.campaign.world import Broker, Cut, Disk, Kernel, World
from tests.commands.standin import unlimited

DEVICE = "imei::990000862471854"
LONGEST_STEP_S = 30.0
SUPERVISED_S = 5.0
WAN = ("wwan*",)


class Life:
    """agent.commands.Agent, from a start to an end."""

    def __init__(self, world: World, disk: Disk, broker: Broker, config: Config, received: Received, ran: Counter[str]):
        self.world, self.disk, self.broker, self.received = world, disk, broker, received
        self.store, self.modem, self.file_config, self.config = disk, None, config, config
        self.ran, self.faults = ran, Counter[str]()
        self.promised: list[int] = []  # numbers of events that are on the disk
        self._numbers: dict[int, None] = {}
        self.device, self.watching = DEVICE, READY
        self.began_s = world.loop.time()
        self.connected_s: float | None = None
        self.heard_s: float | None = None  # when the broker's last bytes came
        self.wants_restart = False
        self.flying: list[Any] = []
        self._delivering: set[asyncio.Task[None]] = set()
        self._judging: set[asyncio.Task[None]] = set()
        self.changed: Callable[[Ledger], None] = lambda ledger: None

    @property
    def lock_name(self) -> str:
        """As agent.daemon.instance_lock.NAME, of this world alone."""
        return f"\0modem-agent-campaign-{os.getpid()}-{id(self.world)}"

    async def start(self) -> None:
        """As agent.daemon.main and assembly do it."""
        self.lock = NamespaceLock(self.lock_name)
        self.disk.power_on()
        database = self.disk._database
        assert database is not None
        world, ledger = self.world, database.load_ledger()
        with database.transaction():
            self.config = pushed_config.effective(self.file_config, database, world.boot_id, world.boot_s())
        self.clock = Clock(self.config.clock, floor=ledger.latest if ledger else None, system=Kernel(world))
        first = ledger or Ledger.new(self.config.plan, self.clock.now())
        plan, emit = self.config.plan, self.dispatch
        self.keeper = Keeper(self.disk, self.clock, plan, first, self.faults, outbox_comes=True, emit=emit)
        self.accounting = Accounting(plan, self.clock, self.keeper, self.faults, emit)
        self._open_line()
        self.topics = Topics(self.config.operator.root, DEVICE)
        now = self.clock.now
        self.box = Outbox(self.keeper, self.disk, self.config.operator, self.topics, boot=world.boot_id, now=now)
        self.reporting = Reporting(cast(LiveAgent, self))
        self.reporting._outbox = self.box
        self.runner = Runner(
            self, self.box, BrokerAuthority(), device=DEVICE, instance=f"{world.loop.time()}", nonce=lambda: "n",
            commands={"test.once": Command("test.once", "runs once", self._once, resource="once", repeatable=False)},
        )  # fmt: skip
        self.trials = ConfigTrials(self)
        await self.shaping.reconcile()
        await self.read()
        await self.box.open()
        await self.runner.resume()
        self._judging |= {asyncio.create_task(self._judge()), asyncio.create_task(self.trials.run())}

    def _open_line(self) -> None:
        """As agent.daemon.startup does it."""
        patterns = self.config.wan.interfaces
        self.world.watch(patterns)
        self.kernel = self.world.netlink()
        self.kernel.start(asyncio.get_running_loop(), self.link_event)
        shaper = Shaper(self.kernel, self.config.shaper, now=self.world.boot_s)
        shaper._capabilities = CAN
        self.shaping = Shaping(self.kernel, shaper, patterns, self.accounting.decision.rates)
        self.counting = Counting(self.kernel, patterns, self.accounting)
        self.recovering = Line(cast(LiveAgent, self), self.world)

    async def _judge(self) -> None:
        """Begun again after a fault of the disk, as the supervisor does."""
        while True:
            try:
                await self.recovering.run()
            except StoreError:
                self.faults["recovering"] += 1
                await asyncio.sleep(SUPERVISED_S)

    def link_event(self, event: LinkEvent) -> None:
        self.counting.link_event(event)
        self.accounting.wake.set()

    async def read(self) -> None:
        """The counters as they are now."""
        await self.counting.sample()
        self.world.truth_sampled = self.world.truth_bytes

    async def _once(self, agent: Any, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
        self.ran[progress.id] += 1
        await asyncio.sleep(self.world.dice.choice((0, 0, 1, 40)))
        return {"v": 1}

    # -- one turn of the loop

    async def turn(self, longest_s: float = LONGEST_STEP_S) -> None:
        """Sample, commit, shape, hear and tell the operator, and let time pass until the next sample."""
        await self.read()
        await self.commit_if_due()
        await self.shaping.reconcile()
        await self._converse()
        await self.accounting.wake.wait(min(longest_s, self.accounting.interval_s()))
        if self.disk.dead:
            raise Cut

    async def commit_if_due(self) -> None:
        if self.keeper.commit_due():
            before = self.keeper.saved
            await self.keeper.commit()
            if self.keeper.saved is not before and not self.keeper._events:
                self.promised += self._numbers
                self._numbers.clear()

    def tell(self) -> None:
        """An event of the household, by its number."""
        number = self.received.next_number()
        self._numbers[number] = None
        self.event("test", {"number": number})

    async def measure(self) -> None:
        number = self.received.next_number()
        try:
            await self.box.measure(self.topics.measurement("traffic"), {"number": number})
        except StoreError:
            return
        self.received.recorded_measurement(self.box.boot, self.box._next - 1, number)

    async def _converse(self) -> None:
        """The line to the broker, where it stands: commands in, reports out, acknowledged a turn later."""
        reachable = self.broker.up and not self.config.operator.url.endswith("away.test")
        if not reachable:
            if self.connected_s is not None:
                self.connected_s = None
                self.flying.clear()
                self.box.returned()
            return
        if self.world.silent_since_s is not None:
            return  # the connection stands, and nothing comes over it
        if self.connected_s is None:
            self.connected_s = self.heard_s = self.world.boot_s()
        for row in self.flying:
            self.box.acknowledged(row)
            self.heard_s = self.world.boot_s()
        self.flying.clear()
        if self.broker.waiting and not self._delivering:
            self.heard_s = self.world.boot_s()
            messages, self.broker.waiting[:] = list(self.broker.waiting), []
            task = asyncio.ensure_future(self._deliver(messages))
            self._delivering.add(task)
            task.add_done_callback(self._delivering.discard)
        try:
            while len(self.flying) < 20 and (row := await self.box.take()) is not None:
                self.flying.append(row)
                self.broker.heard(row.topic, row.payload)
            if self.box.flush_due():
                await self.box.flush()
        except StoreError:
            self.faults["outbox"] += 1

    async def _deliver(self, messages: list[Any]) -> None:
        """One after the other, as the session does; MQTT gives again what was not acknowledged."""
        while messages:
            try:
                await self.runner.deliver(messages[0])
            except StoreError:
                break
            except BaseException:
                self.broker.waiting[:0] = messages
                raise
            messages.pop(0)
        self.broker.waiting[:0] = messages

    # -- the end

    async def end(self, *, orderly: bool) -> None:
        """Everything of this run is over; an orderly end commits first."""
        if orderly and not self.disk.dead:
            try:
                await self._farewell()
            except (StoreError, Cut):
                self.faults["farewell"] += 1
        self.disk.dead = True
        tasks = self._tasks()
        for task in tasks:
            task.cancel()
        while tasks:
            await asyncio.gather(*tasks, return_exceptions=True)
            tasks = {task for task in self._tasks() if not task.done()}
        self.kernel.close()
        self.lock.close()
        self.disk.die()

    def _tasks(self) -> set[asyncio.Task[None]]:
        working = {self.keeper._working} if self.keeper._working else set()
        return {*self._delivering, *self.runner._tasks, *working, *self._judging}

    async def _farewell(self) -> None:
        await self.read()
        await self.keeper.commit()
        if not self.disk.full and not self.keeper._events:
            self.promised += self._numbers
            self._numbers.clear()
        await self.runner.stop()
        await self.box.flush(last=True)

    # -- agent.commands.Agent

    @property
    def session(self) -> SessionState:
        connected = self.connected_s is not None
        return SessionState(
            connected,
            proved=connected,
            since_boot_s=self.connected_s,
            broker="broker.test:1883",
            heard_boot_s=self.heard_s,
        )

    async def samples(self) -> Sequence[Sample]:
        return await self.kernel.samples(self.config.wan.interfaces)

    def snapshot(self) -> Snapshot:
        now = self.clock.now()
        return Snapshot(
            moment=now, device=DEVICE, version="0", started_boot_s=now.boot_s, usage=self.accounting.usage(),
            period=self.accounting.period, decision=self.accounting.decision, session=self.session,
        )  # fmt: skip

    async def refresh(self) -> None:
        await self.read()

    def dispatch(self, event: Occurrence) -> None:
        """As agent.daemon.app does it, of what is run here."""
        match event:
            case LedgerChanged():
                self.accounting.changed()
                self.changed(self.keeper.ledger)
            case Noticed(notice):
                self.reporting.notice(notice)
            case Decided(decision):
                self.shaping.want(decision.rates)

    def charge(self, received_bytes: int, sent_bytes: int) -> None:
        self.accounting.charge(received_bytes, sent_bytes)

    def event(self, name: str, details: dict[str, Any]) -> None:
        self.keeper.event(Event(name, details))

    async def rebirth(self) -> None:
        self.faults["rebirth"] += 1

    async def restart(self) -> None:
        self.wants_restart = True

    async def reboot(self, reason: str) -> None:
        self.wants_restart = True

    async def reset_modem(self, level: str) -> dict[str, Any]:
        return {"done": level}

    async def send_sms(self, number: str, text: str) -> dict[str, Any]:
        return {"parts": 1, "references": [1]}

    def trial_begun(self) -> None:
        self.trials.begun()


def campaign_config(billing_day: int) -> Config:
    base = Config()
    return replace(
        base,
        wan=replace(base.wan, interfaces=WAN),
        modem=replace(base.modem, recovery=False),  # no module to reset
        plan=replace(base.plan, allowance_bytes=4_000_000_000, max_bps=20_000_000, billing_day=billing_day),
        operator=replace(base.operator, url="mqtt://broker.test"),
        commands=unlimited(10_000),
    )
