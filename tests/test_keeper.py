"""The keeper: in whatever order changes, cancellations, refusals and power cuts come, memory is what the disk holds."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import pytest

from agent.commands.command import Command, Progress
from agent.config import Config, OperatorSettings
from agent.errors import StoreError
from agent.keeper import AlreadyFinished, Change, Event, Keeper, Report
from agent.mqtt import Outbox, Topics
from agent.plan import Epoch, Ledger, Moment, Plan, Sample, TopUp, observe, top_up
from agent.store import Database
from agent.store.journal import Entry
from tests.commands.standin import StandIn
from tests.manual_clock import ManualClock

T = TypeVar("T")
TOPICS = Topics("modem-agent", "imei::1")


class Cut(BaseException):
    """The power is gone."""


class Disk:
    """A database on a file, whose transactions end as they are told: ok, refused, cut before or after the commit."""

    def __init__(self, path: Path) -> None:
        self.database, self.fates = Database.open(path), list[str]()
        self.gate = asyncio.Event()
        self.gate.set()

    async def run(self, fn: Callable[[Database], T]) -> T:
        await self.gate.wait()
        await asyncio.sleep(0)
        fate = self.fates.pop(0) if self.fates else "ok"
        if fate == "before":
            raise Cut
        if fate == "refused":
            raise StoreError("database or disk is full")
        with self.database.transaction():
            made = fn(self.database)
        if fate == "after":
            raise Cut
        await asyncio.sleep(0)
        return made

    def __enter__(self) -> Disk:
        return self

    def __exit__(self, *_: object) -> None:
        self.database.close()


class Home:
    """A keeper with what was counted, over what the disk holds."""

    def __init__(self, disk: Disk, clock: ManualClock) -> None:
        self.disk, self.clock, self.plan = disk, clock, Plan()
        ledger = disk.database.load_ledger() or Ledger.new(self.plan, clock.now())
        self.faults = Counter[str]()
        self.keeper = Keeper(disk, clock, self.plan, ledger, self.faults)
        self.outbox = Outbox(self.keeper, disk, OperatorSettings(), TOPICS, boot="boot-1", now=clock.now)

    def count(self, total_bytes: int) -> None:
        self.clock.advance(30)
        sample = Sample(Epoch("boot-1", 3, "wwan0"), self.clock.boot_s, total_bytes, 0)
        ledger, _ = observe(self.keeper.ledger, sample, self.clock.now(), self.plan)
        self.keeper.count(ledger)

    def grant(self, id: str) -> Change:
        def change(ledger: Ledger, moment: Moment) -> Ledger:
            return top_up(ledger, TopUp(id=id, amount_bytes=10**6, expires=None, by="", granted=moment.wall), self.plan)

        return Change(ledger=change, reports=(Report(TOPICS.event("granted"), {"id": id}),))

    async def quiet(self) -> None:
        if self.keeper._working is not None:
            await asyncio.wait([self.keeper._working])

    def on_disk(self) -> tuple[int, set[str]]:
        """Bytes that history and ledger hold together, and the top-ups."""
        kept = self.disk.database.load_ledger()
        assert kept is not None
        hours = sum(hour.received_bytes for hour in kept.hours)
        history = self.disk.database.connection.execute("SELECT total(received) FROM months").fetchone()[0]
        assert int(history) + hours == kept.total_received_bytes, "the history and the ledger tell one story"
        return kept.total_received_bytes, set(kept.topup_ids)


def live(tmp_path: Path, story: Callable[[Home], Awaitable[None]]) -> None:
    async def run() -> None:
        with Disk(tmp_path / "agent.db") as disk:
            home = Home(disk, ManualClock())
            await home.outbox.open()
            await story(home)

    asyncio.run(asyncio.wait_for(run(), 60))


def test_a_change_goes_on_when_whoever_waits_is_cancelled_and_is_counted_once(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        home.count(0)
        for number in range(1, 15):
            home.count(number * 1_000_000)
            home.clock.advance(3600)
        home.disk.gate.clear()
        waiting = asyncio.ensure_future(home.keeper.do(home.grant("t1")))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        home.disk.gate.set()
        await home.quiet()
        await home.keeper.commit()
        assert home.on_disk() == (14_000_000, {"t1"})
        assert home.keeper.ledger.topup_ids == ("t1",)

    live(tmp_path, story)


def test_a_commit_that_nobody_waits_for_holds_nothing_back(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        home.keeper.event(Event("first", {}))
        home.disk.gate.clear()
        commit = asyncio.ensure_future(home.keeper.commit())
        await asyncio.sleep(0)
        commit.cancel()
        await asyncio.gather(commit, return_exceptions=True)
        home.disk.gate.set()
        await home.outbox.add(Report(TOPICS.event("second"), {}))
        rows = [await home.outbox.take() for _ in range(3)]
        assert [row.topic.rpartition("/")[2] for row in rows if row] == ["first", "second"]
        assert [row.seq for row in rows if row] == [1, 2]

    live(tmp_path, story)


def test_events_are_saved_with_any_change_of_the_ledger(tmp_path: Path) -> None:
    """A ledger that says "warned" without the warning would never tell it again."""

    async def story(home: Home) -> None:
        home.keeper.event(Event("warning", {"percent": 80}))
        await home.keeper.do(home.grant("t1"))
        assert [event["name"] for event in home.disk.database.events.recent()] == ["warning"]
        home.disk.fates = ["refused"]
        home.keeper.event(Event("later", {}))
        await home.keeper.commit()
        assert len(home.keeper._events) == 1
        await home.keeper.commit()
        assert [event["name"] for event in home.disk.database.events.recent()] == ["warning", "later"]

    live(tmp_path, story)


ENTRY = Entry(
    id="c1", type="test", args={}, issuer="", role="act", state="running", n=1, boot="boot-1", received_s=1.0,
    ttl_s=None, received=0, instance="1", topic=TOPICS.response("test", "c1"), correlation=b"", answer={"n": 1},
)  # fmt: skip


def test_nothing_follows_a_final_answer(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        await home.keeper.do(Change(entries=(ENTRY,)))
        final = replace(ENTRY, n=3, state="succeeded", answer={"n": 3}, finished=True)
        await home.keeper.do(Change(entries=(final,)))
        for late in (replace(ENTRY, n=2, answer={"n": 2}), replace(final, n=4, state="failed")):
            with pytest.raises(AlreadyFinished):
                await home.keeper.do(Change(ledger=home.grant("t").ledger, entries=(late,)))
        assert home.disk.database.journal.get("c1") == final
        assert not home.keeper.ledger.topup_ids, "and what belongs to it is not done either"

    live(tmp_path, story)


def test_what_insists_waits_for_the_disk_and_the_rest_is_refused_at_once(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        home.disk.fates = ["refused"]
        insisting = home.keeper.put(Change(entries=(replace(ENTRY, finished=True),), insists=True))
        refused = home.keeper.put(home.grant("t1"))
        with pytest.raises(StoreError):
            await refused
        assert not insisting.done()
        await home.keeper.do(home.grant("t2"))  # the next change ends the pause, and comes after it
        assert insisting.done()
        assert home.on_disk()[1] == {"t2"}
        assert home.faults["store"] >= 1

    live(tmp_path, story)


def test_a_change_that_cannot_be_made_changes_nothing_and_holds_nothing_back(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        def impossible(ledger: Ledger, moment: Moment) -> Ledger:
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            await home.keeper.do(Change(ledger=impossible, reports=(Report(TOPICS.event("x"), {}),)))
        await home.keeper.do(home.grant("t1"))
        row = await home.outbox.take()
        assert row is not None
        assert row.seq == 1

    live(tmp_path, story)


def test_at_the_end_nothing_insists_any_more(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        home.disk.fates = ["refused"] * 1000
        waiting = home.keeper.put(Change(entries=(ENTRY,), insists=True))
        await asyncio.sleep(0.01)
        await home.keeper.close()
        with pytest.raises(StoreError):
            await waiting

    live(tmp_path, story)


class AnyOrder:
    """Traffic, top-ups, events, measurements and commits, with refusals, cancellations and power cuts among them."""

    def __init__(self, seed: int) -> None:
        self.seed, self.dice, self.clock = seed, Random(seed), ManualClock()
        self.total, self.promised = 0, set[str]()

    async def live(self, home: Home, steps: int) -> None:
        await home.outbox.open()
        home.count(self.total)
        for number in range(steps):
            fates = ("ok", "refused", "before", "after")
            home.disk.fates = [self.dice.choices(fates, (80, 10, 2, 2))[0] for _ in range(4)]
            match self.dice.randrange(6):
                case 0 | 1:
                    self.total += self.dice.randrange(10**6)
                    home.count(self.total)
                case 2:
                    await self._ask(home, f"t{self.seed}-{self.clock.boot_s}-{number}")
                case 3:
                    home.keeper.event(Event("test", {"number": number}))
                case 4:
                    home.clock.advance(self.dice.choice((1, 600, 4000)))
                    await home.keeper.commit()
                case _:
                    await self._measure(home)
        home.disk.fates = []
        await home.quiet()
        await home.keeper.commit()
        self._same(home)

    async def _ask(self, home: Home, id: str) -> None:
        waiting = asyncio.ensure_future(home.keeper.do(home.grant(id)))
        if self.dice.random() < 0.3:
            for _ in range(self.dice.randrange(4)):
                await asyncio.sleep(0)
            waiting.cancel()
        (made,) = await asyncio.gather(waiting, return_exceptions=True)
        if isinstance(made, Cut):
            raise made
        if isinstance(made, Ledger):
            self.promised.add(id)

    async def _measure(self, home: Home) -> None:
        try:
            await home.outbox.measure(TOPICS.measurement("test"), {})
        except StoreError:
            assert home.faults["store"]

    def _same(self, home: Home) -> None:
        kept = home.disk.database.load_ledger()
        assert kept is not None
        ledger = home.keeper.ledger
        assert home.on_disk() == (ledger.total_received_bytes, set(ledger.topup_ids))
        assert ledger.total_received_bytes == self.total
        assert self.promised <= set(ledger.topup_ids)
        assert replace(kept, anchor=None) == replace(ledger, anchor=None)


async def numbered_once(disk: Disk, clock: ManualClock) -> None:
    here = set[int]()
    outbox = Outbox(Home(disk, clock).keeper, disk, OperatorSettings(), TOPICS, boot="boot-1", now=clock.now)
    await outbox.open()
    while (row := await outbox.take()) is not None:
        assert row.seq is not None
        assert row.seq not in here, "a number is used once"
        here.add(row.seq)
        outbox.acknowledged(row)


@pytest.mark.parametrize("seed", range(60))
def test_any_order_of_changes_ends_with_memory_equal_to_the_disk(tmp_path: Path, seed: int) -> None:
    async def lives() -> None:
        order = AnyOrder(seed)
        for _ in range(6):
            with Disk(tmp_path / "agent.db") as disk:
                home = Home(disk, order.clock)
                try:
                    await order.live(home, order.dice.randrange(1, 25))
                except Cut:
                    if home.keeper._working is not None:
                        await asyncio.gather(home.keeper._working, return_exceptions=True)
        with Disk(tmp_path / "agent.db") as disk:
            await order.live(Home(disk, order.clock), 0)
            await numbered_once(disk, order.clock)

    asyncio.run(asyncio.wait_for(lives(), 120))


# -- commands over it ----------------------------------------------------------------------------------------------


def test_progress_told_late_never_makes_a_command_run_again(tmp_path: Path) -> None:
    """The last progress and the final answer are asked for in one turn of the loop."""
    ran: list[str] = []

    async def quick(agent: Any, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
        ran.append(progress.id)
        agent.clock.boot_s += 10
        progress(50, "half")
        return {"v": 1}

    commands = {"test.quick": Command("test.quick", "tells", quick, resource="test")}

    async def run(instance: str) -> None:
        from tests.commands.test_runner import Channel

        with StandIn(tmp_path, Config(), instance=instance) as agent:
            agent.runner._commands = commands
            await agent.outbox.open()
            await agent.runner.resume()
            channel = Channel(agent)
            if instance == "1":
                await channel.send("test.quick", "a")
            await channel.settle()
            await agent.keeper.close()
            assert await channel.states("a") == ["accepted", "running", "running", "succeeded"]
            await agent.runner.stop()

    asyncio.run(run("1"))
    asyncio.run(run("2"))
    assert ran == ["a"]


def test_a_command_that_was_accepted_runs_although_the_session_was_lost_meanwhile(tmp_path: Path) -> None:
    ran: list[str] = []

    async def once(agent: Any, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
        ran.append(progress.id)
        return {"v": 1}

    commands = {"test.once": Command("test.once", "runs", once, resource="test")}

    async def run() -> None:
        from tests.commands.test_runner import Channel

        with StandIn(tmp_path, Config()) as agent:
            agent.runner._commands = commands
            await agent.outbox.open()
            channel = Channel(agent)
            store_run = agent.store.run
            asked = asyncio.Event()

            async def told(fn: Callable[[Any], Any]) -> Any:
                asked.set()
                return await store_run(fn)

            delivering = asyncio.ensure_future(channel.send("test.once", "a"))
            await asyncio.sleep(0)
            agent.store.run = told  # type: ignore[method-assign]
            await asyncio.wait_for(asked.wait(), 10)
            delivering.cancel()
            await asyncio.gather(delivering, return_exceptions=True)
            await channel.until(lambda: ran)
            await channel.settle()
            await agent.keeper.close()
            assert (await channel.states("a"))[-1] == "succeeded"
            await agent.runner.stop()

    asyncio.run(run())
    assert ran == ["a"]


def test_nobody_waits_for_ever_where_the_work_was_ended(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        home.disk.fates = ["before"]
        waiting = [home.keeper.put(home.grant(id)) for id in ("t1", "t2")]
        for each in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(each, Cut)
        assert home.keeper._working is not None
        await asyncio.gather(home.keeper._working, return_exceptions=True)

    live(tmp_path, story)
