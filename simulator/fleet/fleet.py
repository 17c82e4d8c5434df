"""The story of a fleet: connect, report, gaps, commands sent twice, and a storm in which the broker goes and comes.

The devices are in processes of their own; the back office that hears them all is in this one.
"""

from __future__ import annotations

import asyncio
import random
import resource
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from typing import Concatenate, ParamSpec, TypeVar

from agent.config import Config
from simulator.errors import SimulatorError
from simulator.fleet.broker import Mosquitto, raise_file_limit
from simulator.fleet.desk import DROPPED_EVERY_S, Desk
from simulator.fleet.device import device_name
from simulator.fleet.plan import Plan, broker_at
from simulator.fleet.report import Report, percentile
from simulator.fleet.worker import Share, Summary, Worker

P = ParamSpec("P")
T = TypeVar("T")
_DESCRIPTORS_A_DEVICE = 3
_TOPUP_BYTES = 5_000_000_000
_LOOK_S = 0.05


class Fleet:
    """run() once. `broker` None: the fleet does not own the broker at `url` and cuts lines instead of restarting it."""

    def __init__(
        self, plan: Plan, url: str, broker: Mosquitto | None = None, tell: Callable[[str], None] = lambda text: None
    ) -> None:
        self.plan, self.url, self.broker, self._tell = plan, url, broker, tell
        self._dice = random.Random(plan.seed)
        host, port = broker_at(url)
        self.desk = Desk(host, port, Config().operator.root)
        self.report = Report(devices=plan.devices, processes=plan.processes)
        self._workers: list[Worker] = []
        self._summaries: list[Summary] = []

    async def run(self) -> Report:
        share = -(-self.plan.devices // self.plan.processes)
        have = raise_file_limit(self.plan.devices * _DESCRIPTORS_A_DEVICE + 200)
        if have < max(share * 2 + 100, self.plan.devices + 200):  # a process of the devices; the broker
            raise SimulatorError(
                f"{self.plan.devices} devices need more than the {have} open files allowed (ulimit -n)"
            )
        try:
            await self.desk.start()
        except (OSError, asyncio.TimeoutError) as error:
            raise SimulatorError(f"{self.url}: no broker answers there ({error or 'nothing came in 30 s'})") from error
        shares = (range(first, self.plan.devices, self.plan.processes) for first in range(self.plan.processes))
        try:
            self._workers = [Worker(self.plan, self.url, numbers) for numbers in shares]
            await self._connect()
            await self._steady()
            await self._gaps()
            await self._commands()
            await self._storm()
            await self._settle()
            self._sum_up()
            await self._ask(Share.stop)
        finally:
            for worker in self._workers:
                worker.end()
            await self.desk.stop()
        return self.report

    async def _ask(
        self, what: Callable[Concatenate[Share, P], Awaitable[T]], *args: P.args, **named: P.kwargs
    ) -> list[T]:
        """The answers of all processes."""
        return await asyncio.gather(*(worker.ask(what, *args, **named) for worker in self._workers))

    async def _connected(self, numbers: Collection[int] | None = None) -> int:
        return sum(await self._ask(Share.connected, numbers))

    async def _until(self, done: Callable[[], Awaitable[bool]], what: str) -> None:
        deadline = time.monotonic() + self.plan.patience_s
        while not await done():
            if time.monotonic() > deadline:
                self._tell(f"{what}: not within {self.plan.patience_s:.0f} s")
                return
            await asyncio.sleep(_LOOK_S)

    async def _until_connected(self, what: str, numbers: Collection[int] | None = None) -> None:
        wanted = self.plan.devices if numbers is None else len(numbers)

        async def done() -> bool:
            return await self._connected(numbers) == wanted

        await self._until(done, what)

    # -- the story -------------------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        await self._connected()  # answered once all devices are made
        began = time.monotonic()
        await self._ask(Share.start)
        await self._until_connected("connecting")
        self.report.connected, self.report.connect_s = await self._connected(), time.monotonic() - began
        self._tell(f"{self.report.connected} connected after {self.report.connect_s:.1f} s")

    async def _steady(self) -> None:
        await asyncio.sleep(self.plan.tick_s + 1.0)
        before = await self._wire_bytes()
        self.report.birth_bytes = before / self.plan.devices
        began = time.monotonic()
        await asyncio.sleep(self.plan.steady_s)
        spent = await self._wire_bytes() - before
        beats = (time.monotonic() - began) / self.plan.beat_s
        self.report.beat_bytes = spent / self.plan.devices / beats
        self._tell(f"{self.desk.messages} messages heard")

    async def _wire_bytes(self) -> int:
        return sum(await self._ask(Share.wire_bytes))

    def _some(self, share: float) -> list[int]:
        """Numbers of devices, at least one."""
        return self._dice.sample(range(self.plan.devices), max(1, int(self.plan.devices * share)))

    async def _gaps(self) -> None:
        chosen = self._some(self.plan.gap_share)
        self.report.gap_devices = len(chosen)
        for _ in range(2):
            await self._ask(Share.cut, chosen)
            await asyncio.sleep(1.0)
        await self._until_connected("gaps", chosen)
        self._tell(f"{len(chosen)} devices were cut off twice and are back")

    async def _commands(self) -> None:
        chosen = self._some(self.plan.command_share)
        for place, number in enumerate(chosen):
            for _ in range(2 if place % 2 else 1):
                self.desk.send(device_name(number), "plan.topup", f"fleet-{number}", {"bytes": _TOPUP_BYTES})
            await asyncio.sleep(0.002)
        ids = [f"fleet-{number}" for number in chosen]

        async def answered() -> bool:
            return all(self.desk.finals.get(id) for id in ids)

        await self._until(answered, "commands")
        self.report.commands, self.report.commands_doubled = len(chosen), len(chosen) // 2
        self.report.commands_answered = sum(bool(self.desk.finals.get(id)) for id in ids)
        self.report.done_twice = sum(await self._ask(Share.charged_twice, chosen))
        self._tell(f"{self.report.commands_answered} of {len(chosen)} commands answered")

    async def _storm(self) -> None:
        """Everybody is thrown off in the same second and comes back spread by the agent's own jitter."""
        if self.broker is not None and self.plan.outage_s:
            self.report.broker_cpu_s += self.broker.cpu_s()
            await asyncio.to_thread(self.broker.stop)
            await asyncio.sleep(self.plan.outage_s)
            await asyncio.to_thread(self.broker.start)
            began = time.monotonic()
            desk = asyncio.create_task(self.desk.again())
        else:
            desk = None
            began = time.monotonic()
            await self._ask(Share.cut)
            await self._until(self._most_are_off, "storm")
        returns: Counter[int] = Counter()
        back = 0
        deadline = began + self.plan.patience_s
        marks = {"50 %": 0.5, "95 %": 0.95, "100 %": 1.0}
        while marks and time.monotonic() < deadline:
            now_back = await self._connected()
            returns[int(time.monotonic() - began)] += max(0, now_back - back)
            back = now_back
            for name, share in list(marks.items()):
                if back >= share * self.plan.devices:
                    self.report.storm_s[name] = time.monotonic() - began
                    del marks[name]
            await asyncio.sleep(_LOOK_S)
        if desk is not None:
            await desk
        self.report.storm_peak_per_s = max(returns.values(), default=0)
        self._tell(f"{back} back after {time.monotonic() - began:.1f} s")

    async def _most_are_off(self) -> bool:
        return await self._connected() < self.plan.devices / 2

    async def _settle(self) -> None:
        """Until every report that was made has come."""

        async def delivered() -> bool:
            return sum(await self._ask(Share.undelivered)) == 0

        await self._until(delivered, "delivering")
        self._summaries = await self._ask(Share.summary)
        asked_at = time.monotonic()

        async def heard() -> bool:
            nonlocal asked_at
            if self._missing() and time.monotonic() > asked_at + DROPPED_EVERY_S:
                asked_at = time.monotonic()
                self.desk.ask_dropped()
            # What the broker has thrown away will not come any more.
            return self._missing() <= (self.desk.dropped or 0)

        await self._until(heard, "hearing")

    def _missing(self) -> int:
        return sum(self.desk.missing(summary.delivered) for summary in self._summaries)

    def _sum_up(self) -> None:
        report, desk = self.report, self.desk
        report.messages, report.repeated_reports = desk.messages, desk.repeated
        report.missing_reports, report.broker_dropped = self._missing(), desk.dropped
        ends = [end for summary in self._summaries for end in summary.ends]
        report.tasks_ended, report.first_end = len(ends), ends[0] if ends else ""
        pubacks = [seconds for summary in self._summaries for seconds in summary.pubacks_s]
        report.puback_ms = {f"p{share}": percentile(pubacks, share / 100) * 1000 for share in (50, 95, 99)}
        if self.broker is not None:
            report.broker_cpu_s += self.broker.cpu_s()
        used = resource.getrusage(resource.RUSAGE_SELF)
        report.desk_cpu_s, report.fleet_cpu_s = used.ru_utime + used.ru_stime, sum(s.cpu_s for s in self._summaries)
        report.memory_mb = sum(summary.memory_mb for summary in self._summaries)
