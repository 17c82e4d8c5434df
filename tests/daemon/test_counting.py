"""The beat of the counting beside a disk that takes its time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, cast

from agent.daemon.accounting import Accounting
from agent.daemon.tasks.counting import Counting
from agent.keeper import Event, Keeper
from agent.plan import Epoch, Ledger, Plan, Sample, Survey
from agent.store import Store
from agent.traffic import Kernel, Link, LinkEvent
from tests.manual_clock import ManualClock


def still(clock: ManualClock) -> Keeper:
    """A keeper that is asked to save nothing."""
    return Keeper(cast(Store, None), clock, Plan(), Ledger.new(Plan(), clock.now()), Counter())


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

    async def survey(self, patterns: Sequence[str]) -> Survey:
        self.clock.advance(1)
        self.bytes += 1000
        self.read.release()
        sample = Sample(Epoch("boot-1", 3, "wwan0"), self.clock.boot_s, self.bytes, 0)
        return Survey("boot-1", self.clock.boot_s, 3, (sample,))


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


def told(kind: str, ifindex: int, ifname: str, received: int, boot_s: float) -> LinkEvent:
    link = Link(ifindex, ifname, "", True, 0, 1500)
    sample = Sample(Epoch("boot-1", ifindex, ifname), boot_s, received, 0, appeared=kind == "new")
    return LinkEvent(kind, link, sample)


def test_a_link_counts_up_to_the_moment_at_which_it_gets_another_name() -> None:
    clock = ManualClock()
    accounting = Accounting(Plan(), clock, still(clock), Counter())
    counting = Counting(cast(Kernel, None), ["wwan*"], accounting)
    at_s = clock.boot_s
    accounting.take_all(Survey("boot-1", at_s, 3, ()))
    counting.link_event(told("new", 4, "wwan0", 0, at_s + 1))
    counting.link_event(told("changed", 4, "old0", 700, at_s + 2))
    accounting.take_all(Survey("boot-1", at_s + 3, 4, ()))
    counting.link_event(told("changed", 4, "old1", 900, at_s + 4))
    counting.link_event(told("changed", 4, "wwan1", 5000, at_s + 5))
    counting.link_event(told("changed", 4, "wwan1", 5100, at_s + 6))
    assert accounting.ledger.total_received_bytes == 800


def test_a_link_that_came_under_another_name_is_not_billed_for_it() -> None:
    clock = ManualClock()
    accounting = Accounting(Plan(), clock, still(clock), Counter())
    counting = Counting(cast(Kernel, None), ["wwan*"], accounting)
    at_s = clock.boot_s
    accounting.take_all(Survey("boot-1", at_s, 3, ()))
    counting.link_event(told("new", 4, "usb0", 300_000_000, at_s + 1))
    counting.link_event(told("changed", 4, "wwan0", 300_000_000, at_s + 2))
    counting.link_event(told("changed", 4, "wwan0", 300_000_100, at_s + 3))
    assert accounting.ledger.total_received_bytes == 100
