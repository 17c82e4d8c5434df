"""A day of storms in minutes: the real Modem over real pseudo-terminals, in simulated time, on one loop.

Used by the test (an hour) and by tests/bench/at_storm.py (24 hours). The loop's clock jumps to the next timer whenever
nothing is ready to be read, so a timeout of ten seconds costs milliseconds and is still a timeout.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import selectors
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from agent.config import ModemSettings
from agent.errors import ModemError
from agent.modem import Modem
from simulator.modem import SimModem
from simulator.ports.host import Host
from simulator.ports.inotify import Opens
from simulator.ports.pty import PtyPort
from tests.modem.growth import Growth

T = TypeVar("T")
POLL_S = 60.0
LONGEST_RETRY_S = 15.0
SAMPLES = 48  # of memory, over the run
NEWS = (
    "+CREG: 2", '+CEREG: 1,"1A2B","1F0C25",7', '+CMTI: "ME",3', "RING", '+QIND: "csq",20,99', "+CTZV: +4", "^RSSI:17",
    "+CGEV: NW PDN DEACT 1", "NO CARRIER", "OK?", "+QENG: garbage", "\x00\xff+UNKNOWN: 1,2,3",
)  # fmt: skip


class _Jumping(selectors.DefaultSelector):
    """Waits a moment for real bytes; when none come, time jumps to the next timer instead of passing."""

    def __init__(self, real_wait_s: float) -> None:
        super().__init__()
        self.now_s, self._real_wait_s = 0.0, real_wait_s

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return super().select(0)
        # A pseudo-terminal hands its bytes over by a kernel worker, a moment after the write.
        ready = super().select(self._real_wait_s)
        if not ready and timeout is not None:
            self.now_s += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, real_wait_s: float) -> None:
        self._jumping = _Jumping(real_wait_s)
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


class _OneLoop(Host):
    """The simulator's host on the loop that runs already, instead of on a thread of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._alarms: dict[SimModem, asyncio.TimerHandle] = {}
        self.opens = Opens()
        loop.add_reader(self.opens.descriptor, self.opens.readable)

    def close(self) -> None:
        self._loop.remove_reader(self.opens.descriptor)
        self.opens.close()

    def clock(self) -> float:
        return self._loop.time()

    @property
    def inside(self) -> bool:
        return True

    def soon(self, action: Callable[[], None]) -> None:
        self._loop.call_soon(action)

    def call(self, action: Callable[[], T]) -> T:
        return action()


@dataclass
class Result:
    """What a storm came to."""

    simulated_s: float = 0.0
    events: Counter[str] = field(default_factory=Counter)
    readings: int = 0
    failures: int = 0
    worst_gap_s: float = 0.0  # from the module being back to the next reading
    descriptors_before: int = 0
    descriptors_after: int = 0
    growth: Growth = field(default_factory=Growth)
    faults: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def storm(hours: float, seed: int = 1, real_wait_s: float = 0.004, *, traced: bool = False) -> Result:
    """Run it on a loop of its own; `traced` tells who holds the memory that grew, at some cost of time."""
    loop = _Loop(real_wait_s)
    try:
        return loop.run_until_complete(_Story(loop, hours * 3600, seed, traced).run())
    finally:
        loop.close()


class _Story:
    def __init__(self, loop: asyncio.AbstractEventLoop, length_s: float, seed: int, traced: bool) -> None:
        self._loop, self._length_s = loop, length_s
        self._chance = random.Random(seed)
        self._result = Result(growth=Growth(traced=traced))
        self._sample_at_s = 0.0
        self._well_since: float | None = 0.0  # the module is there and answers; None: it is not
        self._read_since_well = True
        self._imei = ""

    async def run(self) -> Result:
        self._result.descriptors_before = _descriptors()
        with tempfile.TemporaryDirectory() as scratch:
            host = _OneLoop(self._loop)
            module = SimModem("quectel-ec25", seed=3, clock=host.clock)
            self._imei = module.state.imei
            port = PtyPort(host, module.at, Path(scratch) / "modem0")
            module.on_presence.append(lambda present: port.open() if present else port.close())
            port.open()
            host.adopt(module)
            modem = Modem(ModemSettings(port=port.path), boot_clock=self._loop.time, lock_directory=Path(scratch))
            weather = self._loop.create_task(self._weather(module))
            try:
                await self._attend(modem)
            finally:
                weather.cancel()
                await asyncio.gather(weather, return_exceptions=True)
                modem.close()
                host.release(module)
                port.close()
                host.close()
        self._result.faults = Counter(modem.faults)
        self._result.simulated_s = self._loop.time()
        self._result.growth.finish()
        gc.collect()
        self._result.descriptors_after = _descriptors()
        return self._result

    async def _attend(self, modem: Modem) -> None:
        """As the daemon does it: open, poll, back off."""
        retry_s = 1.0
        while self._loop.time() < self._length_s:
            try:
                await modem.open()
                await modem.wake_radio()
                while self._loop.time() < self._length_s:
                    self._took(await modem.poll())
                    retry_s = 1.0
                    await asyncio.sleep(POLL_S)
            except ModemError:
                self._result.failures += 1
                modem.close()
            await asyncio.sleep(retry_s)
            retry_s = min(LONGEST_RETRY_S, retry_s * 2)

    def _took(self, reading: Any) -> None:
        """One reading: nothing in it may be wrong, whatever the weather."""
        result = self._result
        result.readings += 1
        if self._loop.time() >= self._sample_at_s:
            result.growth.take(self._loop.time(), self._length_s)
            self._sample_at_s = self._loop.time() + self._length_s / SAMPLES
        if self._well_since is not None and not self._read_since_well:
            result.worst_gap_s = max(result.worst_gap_s, self._loop.time() - self._well_since)
            self._read_since_well = True
        signal, identity = reading.signal, reading.identity
        if identity.imei is not None and identity.imei != self._imei:
            result.wrong.append(f"imei {identity.imei}")
        if signal.rsrp_dbm is not None and not -125 <= signal.rsrp_dbm <= -70:
            result.wrong.append(f"rsrp {signal.rsrp_dbm}")
        if reading.sim.imsi is not None and len(reading.sim.imsi) != 15:
            result.wrong.append(f"imsi {reading.sim.imsi}")
        if reading.operator.plmn not in (None, "20601"):
            result.wrong.append(f"plmn {reading.operator.plmn}")

    # -- the weather ----------------------------------------------------------------------------------------------

    async def _weather(self, module: SimModem) -> None:
        while True:
            await asyncio.sleep(self._chance.uniform(60, 600))
            kind = self._chance.choice(("urcs", "urcs", "hang", "late", "unplug", "restart", "noise"))
            self._result.events[kind] += 1
            await getattr(self, f"_{kind}")(module)

    async def _urcs(self, module: SimModem) -> None:
        """A storm of a minute."""
        for _ in range(self._chance.randrange(50, 300)):
            module.unsolicited(self._chance.choice(NEWS))
            await asyncio.sleep(self._chance.uniform(0.0, 0.5))

    async def _hang(self, module: SimModem) -> None:
        """No answer at all, then again as if nothing had been."""
        self._gone()
        module.fault("hang")
        await asyncio.sleep(self._chance.uniform(20, 600))
        module.clear("hang")
        self._back()

    async def _late(self, module: SimModem) -> None:
        """Answers that come after their time."""
        module.fault("late", "5")
        await asyncio.sleep(self._chance.uniform(20, 120))
        self._gone()
        module.clear("late")
        self._back()

    async def _noise(self, module: SimModem) -> None:
        module.fault("noise")
        await asyncio.sleep(self._chance.uniform(20, 120))
        module.clear("noise")

    async def _unplug(self, module: SimModem) -> None:
        """Off the bus, and back behind another terminal."""
        self._gone()
        module.unplug()
        await asyncio.sleep(self._chance.uniform(5, 120))
        module.plug()
        await self._booted(module)

    async def _restart(self, module: SimModem) -> None:
        self._gone()
        module.restart()
        await self._booted(module)

    async def _booted(self, module: SimModem) -> None:
        while module.state.power.state != "on":  # noqa: ASYNC110
            await asyncio.sleep(1)  # simulated seconds; the module has no event for it
        self._back()

    def _gone(self) -> None:
        self._well_since = None

    def _back(self) -> None:
        self._well_since, self._read_since_well = self._loop.time(), False


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
