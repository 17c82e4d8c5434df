"""One process of a fleet: its share of the devices on one loop, and the pipe by which the story asks things of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import random
import resource
import signal
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import Concatenate, ParamSpec, TypeVar

from agent.config import Config
from agent.mqtt import Timing
from simulator.errors import SimulatorError
from simulator.fleet.connection import LoopConnection
from simulator.fleet.device import Device
from simulator.fleet.plan import Plan

P = ParamSpec("P")
T = TypeVar("T")
_HOUSEHOLD_S = 60.0
_END_S = 10.0


@dataclass(frozen=True)
class Summary:
    """What one process's devices came to."""

    delivered: dict[tuple[str, str], int] = field(default_factory=dict)  # (device, boot) -> the last report's number
    pubacks_s: list[float] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)  # exceptions that ended a session or a reporter
    cpu_s: float = 0.0
    memory_mb: float = 0.0


class Share:
    """The devices with these numbers."""

    def __init__(self, plan: Plan, url: str, numbers: Collection[int]) -> None:
        base = Config()
        settings = replace(base.operator, url=url, beat_s=plan.beat_s, budget_bytes_day=10**9, protocol="5")
        config = replace(base, operator=settings)
        timing = Timing(tick_s=plan.tick_s)
        self._plan = plan
        self.devices = {
            number: Device(number, config, random.Random(f"{plan.seed}/{number}"), timing, plan.beat_s / 2)
            for number in numbers
        }
        self._pubacks: list[float] = []
        self._household: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns once all have begun to connect."""
        LoopConnection.acknowledged = staticmethod(self._pubacks.append)
        self._household = asyncio.create_task(self._households())

        async def later(device: Device) -> None:
            await asyncio.sleep(random.Random(f"{self._plan.seed}/{device.number}").uniform(0, self._plan.ramp_s))
            await device.start()

        await asyncio.gather(*(later(device) for device in self.devices.values()))

    async def _households(self) -> None:
        """Every device's traffic moves every few seconds, not all in the same instant."""
        while True:
            for device in self.devices.values():
                device.household(_HOUSEHOLD_S)
                await asyncio.sleep(_HOUSEHOLD_S / len(self.devices))

    async def connected(self, numbers: Collection[int] | None = None) -> int:
        return sum(device.connected for device in self._chosen(numbers))

    async def cut(self, numbers: Collection[int] | None = None) -> None:
        """The line of these, or of all, goes away without a word."""
        for device in self._chosen(numbers):
            device.cut()

    def _chosen(self, numbers: Collection[int] | None) -> list[Device]:
        return [self.devices[n] for n in (self.devices if numbers is None else numbers) if n in self.devices]

    async def wire_bytes(self) -> int:
        return sum(device.session.budget.today_bytes for device in self.devices.values())

    async def undelivered(self) -> int:
        """Devices that still have reports to deliver."""
        return sum(device.outbox.rows > 0 for device in self.devices.values())

    async def charged_twice(self, numbers: Collection[int]) -> int:
        return sum(len(device.ledger.topup_ids) > 1 for device in self._chosen(numbers))

    async def summary(self) -> Summary:
        done = [device for device in self.devices.values() if device.outbox.rows == 0]
        used = resource.getrusage(resource.RUSAGE_SELF)
        return Summary(
            {(device.device, device.outbox.boot): device.outbox.numbered for device in done},
            self._pubacks,
            [repr(device.ended) for device in self.devices.values() if device.ended is not None],
            used.ru_utime + used.ru_stime,
            used.ru_maxrss / 1024,
        )

    async def stop(self) -> None:
        if self._household is not None:
            self._household.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._household
        devices = list(self.devices.values())
        for start in range(0, len(devices), 100):
            await asyncio.gather(*(device.stop() for device in devices[start : start + 100]))


class Worker:
    """A process with a Share of its own; ask() what a Share does. It ends with the pipe, so with this process too."""

    def __init__(self, plan: Plan, url: str, numbers: range) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, far = context.Pipe()
        self._process = context.Process(target=_main, args=(far, plan, url, numbers), daemon=True)
        self._process.start()
        far.close()

    async def ask(self, what: Callable[Concatenate[Share, P], Awaitable[T]], *args: P.args, **named: P.kwargs) -> T:
        return await asyncio.to_thread(self._ask, what, args, named)

    def _ask(self, what: Callable[..., Awaitable[T]], args: tuple[object, ...], named: dict[str, object]) -> T:
        try:
            self._pipe.send((what, args, named))
            failed, result = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise SimulatorError(f"a process of the fleet ended ({self._process.exitcode})") from error
        if failed:
            raise SimulatorError(f"a process of the fleet: {result}")
        answer: T = result
        return answer

    def end(self) -> None:
        self._pipe.close()
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _main(pipe: Connection, plan: Plan, url: str, numbers: range) -> None:
    logging.getLogger("agent").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process hears it, and closes the pipe
    with contextlib.suppress(EOFError, OSError):
        asyncio.run(_serve(pipe, Share(plan, url, numbers)))


async def _serve(pipe: Connection, share: Share) -> None:
    while True:
        what, args, named = await asyncio.to_thread(pipe.recv)
        try:
            answer = (False, await what(share, *args, **named))
        except Exception as error:  # told to the one who asked
            answer = (True, repr(error))
        pipe.send(answer)
