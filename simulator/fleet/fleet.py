"""The story of a fleet: connect, report, gaps, commands sent twice, and a storm in which the broker goes and comes."""

from __future__ import annotations

import asyncio
import contextlib
import random
import resource
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from agent.config import Config
from agent.mqtt import Timing
from agent.mqtt.target import split_url
from simulator.errors import SimulatorError
from simulator.fleet.broker import Mosquitto, raise_file_limit
from simulator.fleet.connection import LoopConnection
from simulator.fleet.desk import DROPPED_EVERY_S, Desk
from simulator.fleet.device import Device
from simulator.fleet.report import Report, percentile

_DESCRIPTORS_A_DEVICE = 3
_TOPUP_BYTES = 5_000_000_000
_HOUSEHOLD_S = 60.0


@dataclass(frozen=True)
class Plan:
    """How a run goes."""

    devices: int = 200
    ramp_s: float = 10.0  # the starts are spread over this
    steady_s: float = 30.0
    beat_s: int = 15
    tick_s: float = 10.0  # how often a session looks after its connection, and counts its bytes (the agent's: 5 s)
    gap_share: float = 0.05
    command_share: float = 0.1
    outage_s: float = 5.0  # how long the broker is away in the storm; 0: every line is cut instead
    patience_s: float = 180.0
    seed: int = 1


def _broker_at(url: str) -> tuple[str, int]:
    try:
        host, port, secure = split_url(url)
    except ValueError as error:
        raise SimulatorError(f"--broker {url}: is no mqtt://HOST:PORT ({error})") from error
    if secure or not host or not 0 < port < 65_536:
        raise SimulatorError(f"--broker {url}: is no mqtt://HOST:PORT")
    return host, port


class Fleet:
    """run() once. `broker` None: the fleet does not own the broker at `url` and cuts lines instead of restarting it."""

    def __init__(
        self, plan: Plan, url: str, broker: Mosquitto | None = None, tell: Callable[[str], None] = lambda text: None
    ) -> None:
        self.plan, self.url, self.broker, self._tell = plan, url, broker, tell
        base = Config()
        settings = replace(base.operator, url=url, beat_s=plan.beat_s, budget_bytes_day=10**9, protocol="5")
        config = replace(base, operator=settings)
        dice = random.Random(plan.seed)
        self._dice = dice
        timing = Timing(tick_s=plan.tick_s)
        self.devices = [
            Device(n, config, random.Random(dice.random()), timing, plan.beat_s / 2) for n in range(plan.devices)
        ]
        host, port = _broker_at(url)
        self.desk = Desk(host, port, settings.root)
        self.report = Report(devices=plan.devices)
        self._pubacks: list[float] = []
        self._delivered: dict[tuple[str, str], int] = {}  # what each device had delivered at the end

    async def run(self) -> Report:
        LoopConnection.acknowledged = staticmethod(self._pubacks.append)
        have = raise_file_limit(self.plan.devices * _DESCRIPTORS_A_DEVICE + 200)
        if have < self.plan.devices * 2 + 100:
            raise SimulatorError(
                f"{self.plan.devices} devices need more than the {have} open files allowed (ulimit -n)"
            )
        try:
            await self.desk.start()
        except (OSError, asyncio.TimeoutError) as error:
            raise SimulatorError(f"{self.url}: no broker answers there ({error or 'nothing came in 30 s'})") from error
        household = asyncio.create_task(self._households())
        try:
            await self._connect()
            await self._steady()
            await self._gaps()
            await self._commands()
            await self._storm()
            await self._settle()
        finally:
            household.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await household
            self._sum_up()
            await self._stop()
        return self.report

    async def _households(self) -> None:
        """Every device's traffic moves every few seconds, not all in the same instant."""
        while True:
            for device in self.devices:
                device.household(_HOUSEHOLD_S)
                await asyncio.sleep(_HOUSEHOLD_S / len(self.devices))

    def _connected(self) -> int:
        return sum(device.connected for device in self.devices)

    async def _until(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + self.plan.patience_s
        while not done():
            if time.monotonic() > deadline:
                self._tell(f"{what}: not within {self.plan.patience_s:.0f} s")
                return
            await asyncio.sleep(0.05)

    # -- the story -------------------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        began = time.monotonic()

        async def later(device: Device) -> None:
            await asyncio.sleep(self._dice.uniform(0, self.plan.ramp_s))
            await device.start()

        await asyncio.gather(*(later(device) for device in self.devices))
        await self._until(lambda: self._connected() == len(self.devices), "connecting")
        self.report.connected, self.report.connect_s = self._connected(), time.monotonic() - began
        self._tell(f"{self.report.connected} connected after {self.report.connect_s:.1f} s")

    async def _steady(self) -> None:
        await asyncio.sleep(self.plan.tick_s + 1.0)
        before = self._wire_bytes()
        self.report.birth_bytes = before / len(self.devices)
        began = time.monotonic()
        await asyncio.sleep(self.plan.steady_s)
        spent = self._wire_bytes() - before
        beats = (time.monotonic() - began) / self.plan.beat_s
        self.report.beat_bytes = spent / len(self.devices) / beats
        self._tell(f"{self.desk.messages} messages heard, PUBACK p99 {percentile(self._pubacks, 0.99) * 1000:.1f} ms")

    def _wire_bytes(self) -> int:
        return sum(device.session.budget.today_bytes for device in self.devices)

    async def _gaps(self) -> None:
        chosen = self._dice.sample(self.devices, max(1, int(len(self.devices) * self.plan.gap_share)))
        self.report.gap_devices = len(chosen)
        for _ in range(2):
            for device in chosen:
                device.cut()
            await asyncio.sleep(1.0)
        await self._until(lambda: all(device.connected for device in chosen), "gaps")
        self._tell(f"{len(chosen)} devices were cut off twice and are back")

    async def _commands(self) -> None:
        chosen = self._dice.sample(self.devices, max(1, int(len(self.devices) * self.plan.command_share)))
        for number, device in enumerate(chosen):
            for _ in range(2 if number % 2 else 1):
                self.desk.send(device.device, "plan.topup", f"fleet-{device.number}", {"bytes": _TOPUP_BYTES})
            await asyncio.sleep(0.002)
        ids = [f"fleet-{device.number}" for device in chosen]
        await self._until(lambda: all(self.desk.finals.get(id) for id in ids), "commands")
        self.report.commands, self.report.commands_doubled = len(chosen), len(chosen) // 2
        self.report.commands_answered = sum(bool(self.desk.finals.get(id)) for id in ids)
        self.report.done_twice = sum(len(device.ledger.topup_ids) > 1 for device in chosen)
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
            for device in self.devices:
                device.cut()
            await self._until(lambda: self._connected() < len(self.devices) / 2, "storm")
        returns: Counter[int] = Counter()
        back = 0
        deadline = began + self.plan.patience_s
        marks = {"50 %": 0.5, "95 %": 0.95, "100 %": 1.0}
        while marks and time.monotonic() < deadline:
            now_back = self._connected()
            returns[int(time.monotonic() - began)] += max(0, now_back - back)
            back = now_back
            for name, share in list(marks.items()):
                if back >= share * len(self.devices):
                    self.report.storm_s[name] = time.monotonic() - began
                    del marks[name]
            await asyncio.sleep(0.05)
        if desk is not None:
            await desk
        self.report.storm_peak_per_s = max(returns.values(), default=0)
        self._tell(f"{back} back after {time.monotonic() - began:.1f} s")

    async def _settle(self) -> None:
        """Until every report that was made has come."""
        await self._until(lambda: all(device.outbox.rows == 0 for device in self.devices), "delivering")
        done = [device for device in self.devices if device.outbox.rows == 0]
        self._delivered = {(device.device, device.outbox.boot): device.outbox.numbered for device in done}
        asked_at = time.monotonic()

        def heard() -> bool:
            nonlocal asked_at
            if self._missing() and time.monotonic() > asked_at + DROPPED_EVERY_S:
                asked_at = time.monotonic()
                self.desk.ask_dropped()
            # What the broker has thrown away will not come any more.
            return self._missing() <= (self.desk.dropped or 0)

        await self._until(heard, "hearing")

    def _missing(self) -> int:
        return self.desk.missing(self._delivered)

    def _sum_up(self) -> None:
        report, desk = self.report, self.desk
        report.messages, report.repeated_reports = desk.messages, desk.repeated
        report.missing_reports, report.broker_dropped = self._missing(), desk.dropped
        ends = [repr(device.ended) for device in self.devices if device.ended is not None]
        report.tasks_ended, report.first_end = len(ends), ends[0] if ends else ""
        report.puback_ms = {f"p{share}": percentile(self._pubacks, share / 100) * 1000 for share in (50, 95, 99)}
        if self.broker is not None:
            report.broker_cpu_s += self.broker.cpu_s()
        used = resource.getrusage(resource.RUSAGE_SELF)
        report.fleet_cpu_s, report.memory_mb = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024

    async def _stop(self) -> None:
        for start in range(0, len(self.devices), 100):
            await asyncio.gather(*(device.stop() for device in self.devices[start : start + 100]))
        await self.desk.stop()
