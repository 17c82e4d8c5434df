"""The beat of the counting beside a disk that takes its time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, cast

from agent.clock import ManualClock
from agent.daemon.accounting import Accounting
from agent.daemon.tasks.counting import Counting
from agent.keeper import Event, Keeper
from agent.plan import Epoch, Ledger, Plan, Sample
from agent.store import Store
from agent.traffic import Kernel


class SlowStore:
    """Takes what it is given when it is let."""

    problem = None

    def __init__(self) -> None:
        self.let, self.asked = asyncio.Event(), 0

    async def run(self, function: Callable[[Any], Any]) -> None:
        self.asked += 1
        await self.let.wait()


class BusyKernel:
    """A link on which something passes between any two readings."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock, self.bytes = clock, 0
        self.read = asyncio.Semaphore(0)

    async def samples(self, patterns: Sequence[str]) -> list[Sample]:
        self.clock.advance(1)
        self.bytes += 1000
        self.read.release()
        return [Sample(Epoch("boot-1", 3, "wwan0"), self.clock.boot_s, self.bytes, 0)]


def test_counting_goes_on_while_a_commit_waits_for_the_disk() -> None:
    async def story() -> None:
        clock, store = ManualClock(), SlowStore()
        kernel = BusyKernel(clock)
        fresh = Ledger.new(Plan(), clock.now())
        keeper = Keeper(cast(Store, store), clock, Plan(), fresh, Counter())
        accounting = Accounting(Plan(), clock, keeper, Counter())
        counting = Counting(cast(Kernel, kernel), ["wwan*"], accounting)
        task = asyncio.create_task(counting.run())
        for _ in range(20):
            await asyncio.wait_for(kernel.read.acquire(), 10)
            accounting.wake.set()
            await asyncio.sleep(0)
        assert store.asked == 1, "one commit at a time"
        assert accounting.ledger.total_received_bytes >= 18_000
        store.let.set()
        keeper.event(Event("test", {}))
        while store.asked < 2:  # what came meanwhile is saved as soon as the first is done
            await asyncio.wait_for(kernel.read.acquire(), 10)
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(story(), 30))
