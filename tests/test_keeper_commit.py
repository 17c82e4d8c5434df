"""When the keeper's ledger is due on the disk, and what goes into one transaction with it."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from agent.commands.audit import entry
from agent.errors import StoreError
from agent.events import LedgerChanged, Occurrence, Saved
from agent.keeper import INSIST_S, RETRY_S, AlreadyFinished, Begun, Change, Event, Keeper, Store, as_it_stands
from agent.plan import LATENCY_S, Ledger, Plan
from agent.plan.sampling import TRICKLE_S, commit_bytes
from agent.store.counter_window import CounterWindow
from agent.store.journal import Entry
from tests.manual_clock import ManualClock
from tests.test_keeper import ENTRY, Home, live

STEP_S = 30.0  # what the clock goes on at each of Home's samples


def test_a_ledger_that_was_never_saved_is_due_and_then_is_not(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        assert home.keeper.commit_due()
        await home.keeper.commit()
        assert not home.keeper.commit_due()

    live(tmp_path, story)


def test_a_trickle_is_due_after_its_time_from_the_first_byte_that_is_not_saved(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        home.count(0)
        await home.keeper.commit()
        home.clock.advance(3 * TRICKLE_S)  # nothing was counted meanwhile
        home.count(1_000)
        home.clock.advance(TRICKLE_S - STEP_S - 1)
        home.count(2_000)
        assert not home.keeper.commit_due()
        home.clock.advance(1)
        assert home.keeper.commit_due()
        await home.keeper.commit()
        assert not home.keeper.commit_due()

    live(tmp_path, story)


async def counted_meanwhile(home: Home, change: Change) -> None:
    """1 kB is counted before the change, 4 kB more while it is being written."""
    home.count(0)
    await home.keeper.commit()
    home.count(1_000)
    home.disk.gate.clear()
    made = asyncio.ensure_future(home.keeper.do(change))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    home.count(5_000)
    home.disk.gate.set()
    await made


def test_traffic_counted_while_a_top_up_is_written_stays_in_memory(tmp_path: Path) -> None:
    """And the disk holds what the ledger was when the writing began."""

    async def story(home: Home) -> None:
        await counted_meanwhile(home, home.grant("t1"))
        assert home.on_disk() == (1_000, {"t1"})
        assert home.keeper.ledger.total_received_bytes == 5_000
        assert home.keeper.ledger.topup_ids == ("t1",)
        assert home.keeper.unwritten_bytes == 4_000
        await home.keeper.commit()
        assert home.on_disk() == (5_000, {"t1"})

    live(tmp_path, story)


def test_traffic_counted_during_a_commit_is_due_in_its_own_time(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        await counted_meanwhile(home, Change(ledger=as_it_stands))
        home.clock.advance(TRICKLE_S - 1)
        assert not home.keeper.commit_due()
        home.clock.advance(1)
        assert home.keeper.commit_due()

    live(tmp_path, story)


def test_a_slow_disk_is_given_its_commit_earlier(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        home.count(0)
        await home.keeper.commit()
        early = commit_bytes(home.plan.max_bps, 1.0)
        assert early < commit_bytes(home.plan.max_bps, LATENCY_S)
        home.count(early)
        assert not home.keeper.commit_due()
        home.keeper.latency_s = 1.0
        assert home.keeper.commit_due()
        home.disk.gate.clear()
        commit = asyncio.ensure_future(home.keeper.commit())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        home.clock.advance(5)
        home.disk.gate.set()
        await commit
        assert home.keeper.latency_s == 5.0

    live(tmp_path, story)


def test_a_disk_that_refused_is_left_alone_for_a_while_whatever_waits(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        await home.keeper.commit()
        home.keeper.event(Event("warning", {"percent": 80}))
        home.disk.fates = ["refused"]
        await home.keeper.commit()
        home.keeper.save_soon()
        home.clock.advance(RETRY_S - 1)
        assert not home.keeper.commit_due()
        home.clock.advance(1)
        assert home.keeper.commit_due()
        assert home.faults == {"store": 1}
        home.disk.fates = ["refused"]
        await home.keeper.commit()
        assert home.faults == {"store": 2}
        assert home.keeper.saved is not None

    live(tmp_path, story)


def test_what_is_not_to_wait_is_due_at_the_next_turn_and_once(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        await home.keeper.commit()
        home.keeper.save_soon()
        assert home.keeper.commit_due()
        await home.keeper.commit()
        assert not home.keeper.commit_due()
        home.keeper.event(Event("warning", {}))
        assert home.keeper.commit_due()
        await home.keeper.commit()
        assert not home.keeper.commit_due()

    live(tmp_path, story)


def test_events_wait_for_an_outbox_that_comes(tmp_path: Path) -> None:
    """So that each is reported; where there is no operator, they are for the local log alone."""

    async def story(home: Home) -> None:
        for comes in (True, False):
            ledger = Ledger.new(home.plan, home.clock.now())
            keeper = Keeper(home.disk, home.clock, home.plan, ledger, Counter(), outbox_comes=comes)
            await keeper.commit()
            keeper.event(Event("test", {"comes": comes}))
            assert keeper.commit_due() is not comes
            await keeper.commit()
            assert [event["data"] for event in home.disk.database.events.recent()] == [{"comes": False}] * (not comes)

    live(tmp_path, story)


def test_events_wait_for_a_change_of_the_ledger(tmp_path: Path) -> None:
    """A step of a command says nothing of what was counted, which the event belongs to."""

    async def story(home: Home) -> None:
        home.keeper.event(Event("warning", {}))
        await home.keeper.do(Change(entries=(ENTRY,)))
        assert home.disk.database.events.recent() == []
        await home.keeper.do(home.grant("t1"))
        assert [event["name"] for event in home.disk.database.events.recent()] == ["warning"]

    live(tmp_path, story)


def test_a_command_keeps_its_begin_its_audit_entry_and_its_small_tables_in_one_transaction(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        begun = Begun("c1", "test", "support", 7)
        audited = entry(ManualClock().now(), "running", type="test", id="c1", issuer="support", role="act")
        change = Change(entries=(ENTRY,), begun=begun, audit=audited, tables=lambda db: db.meta.set("key", "value"))
        await home.keeper.do(change)
        database = home.disk.database
        assert database.journal.get("c1") == ENTRY
        assert database.journal.counters() == {"support": CounterWindow().with_used(7)}
        assert [row["what"] for row in database.audit.entries()] == ["running"]
        assert database.meta.get("key") == "value"

    live(tmp_path, story)


def test_a_step_that_was_told_is_not_told_again(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        await home.keeper.do(Change(entries=(ENTRY,)))
        with pytest.raises(AlreadyFinished, match="c1"):
            await home.keeper.do(Change(entries=(replace(ENTRY, state="failed"),)))
        assert home.disk.database.journal.get("c1") == ENTRY

    live(tmp_path, story)


LAST = replace(ENTRY, n=2, state="succeeded", answer={"n": 2}, finished=True, correlation=b"42")


@pytest.mark.parametrize("entries", [(ENTRY, LAST), (LAST,)], ids=["two", "one"])
def test_the_last_answer_alone_is_completed_from_the_ledger_as_it_is_saved(
    tmp_path: Path, entries: tuple[Entry, ...]
) -> None:
    async def story(home: Home) -> None:
        change = Change(ledger=home.grant("t1").ledger, entries=entries, out=lambda made: {"ids": made.topup_ids})
        await home.keeper.do(change)
        kept = home.disk.database.journal.get("c1")
        assert kept is not None
        assert kept.answer == {"n": 2, "out": {"ids": ["t1"]}}
        rows = home.disk.database.outbox.head(0, after=0, limit=9)
        assert [row.payload.count(b'"t1"') for row in rows] == [0, 1][-len(entries) :]
        assert [row.correlation for row in rows] == [b"", b"42"][-len(entries) :]

    live(tmp_path, story)


def test_a_change_of_the_ledger_is_told_apart_from_one_that_is_only_saved(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        told: list[Occurrence] = []
        home.keeper._emit = told.append
        await home.keeper.commit()
        await home.keeper.do(Change(entries=(ENTRY,)))
        assert told == [Saved(), Saved()]
        await home.keeper.do(home.grant("t1"))
        assert told[2:] == [LedgerChanged(), Saved()]
        home.disk.fates = ["refused"]
        with pytest.raises(StoreError):
            await home.keeper.do(home.grant("t2"))
        assert told[4:] == [Saved()]

    live(tmp_path, story)


def test_what_insists_is_tried_again_by_itself_after_its_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert INSIST_S == 2.0
    monkeypatch.setattr("agent.keeper.INSIST_S", 0.0)

    async def story(home: Home) -> None:
        home.disk.fates = ["refused", "refused"]
        change = Change(entries=(ENTRY,), insists=True)
        assert await asyncio.wait_for(home.keeper.do(change), 10) is home.keeper.ledger
        assert home.disk.database.journal.get("c1") == ENTRY
        assert home.faults == {"store": 2}

    live(tmp_path, story)


@pytest.mark.parametrize("how", ["next-change", "close"])
def test_the_pause_of_what_insists_ends_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr("agent.keeper.INSIST_S", 3_600.0)

    async def story(home: Home) -> None:
        home.disk.fates = ["refused"]
        insisting = home.keeper.put(Change(entries=(ENTRY,), insists=True))
        while home.keeper._pause is None:  # noqa: ASYNC110  # each turn brings the refusal nearer
            await asyncio.sleep(0)
        if how == "close":
            await asyncio.wait_for(home.keeper.close(), 10)
        else:
            await asyncio.wait_for(home.keeper.do(home.grant("t1")), 10)
        assert insisting.done()
        assert home.disk.database.journal.get("c1") == ENTRY

    live(tmp_path, story)


def test_the_events_that_wait_are_bounded_and_the_oldest_go_first(tmp_path: Path) -> None:
    async def story(home: Home) -> None:
        for number in range(201):
            home.keeper.event(Event("test", {"number": number}))
        home.disk.fates = ["refused"]
        await home.keeper.commit()
        await home.keeper.commit()
        kept = Counter(event["data"]["number"] for event in home.disk.database.events.recent(1_000))
        assert kept == Counter(range(1, 201))

    live(tmp_path, story)


def test_a_keeper_has_counted_nothing_that_is_not_saved_before_its_first_commit() -> None:
    clock, plan = ManualClock(), Plan()
    keeper = Keeper(cast(Store, None), clock, plan, Ledger.new(plan, clock.now()), Counter())  # the store is not asked
    assert keeper.unwritten_bytes == 0
    assert keeper.latency_s == LATENCY_S
