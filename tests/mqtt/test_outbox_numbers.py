"""What the outbox notes of its numbers, and when: what a crash, a refusing disk or broker may leave open is told."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.errors import StoreError
from agent.keeper import EVENT_EXPIRY_S, Report
from agent.mqtt.outbox import DELETE_ROWS, MEASUREMENT_EXPIRY_S, RESERVE, RESERVE_SESSIONS, UNSAVED_S
from agent.plan import Trust
from agent.store.outbox import Gap, Mark
from tests.commands.standin import BOOT, StandIn
from tests.mqtt.test_outbox import bodies, event, everything, lost, measure, numbers, stored, tell


def test_a_session_has_a_number_that_no_other_had_and_seldom_costs_a_write(tmp_path: Path) -> None:
    seen: list[int] = []

    async def crashes(agent: StandIn) -> None:
        for _ in range(RESERVE_SESSIONS + 1):
            seen.append(await agent.outbox.next_session())
        mark = await agent.store.run(lambda db: db.outbox.mark())
        assert mark is not None
        assert mark.session - seen[-1] == RESERVE_SESSIONS - 1

    tell(tmp_path, crashes)
    tell(tmp_path, crashes)
    assert seen[: RESERVE_SESSIONS + 1] == list(range(1, RESERVE_SESSIONS + 2))
    assert len(set(seen)) == len(seen)
    assert seen == sorted(seen)


async def refuses(asked: Any) -> Any:
    raise StoreError("database or disk is full")


async def mark_of(agent: StandIn) -> Mark:
    mark = await agent.store.run(lambda db: db.outbox.mark())
    assert mark is not None
    return mark


def test_what_a_crash_may_have_swallowed_is_what_was_reserved_and_not_kept(tmp_path: Path) -> None:
    """Every number up to `accounted` is delivered, kept or told as lost; none above `reserved` was used."""
    boot = BOOT.replace("-", "")[:8]

    async def first(agent: StandIn) -> None:
        await measure(agent, 1)
        assert await mark_of(agent) == Mark(boot, 0, RESERVE, 0)
        await event(agent, 2)
        assert await mark_of(agent) == Mark(boot, 0, RESERVE, 0)  # the measurement is in memory alone
        await agent.outbox.flush()
        assert await mark_of(agent) == Mark(boot, 2, RESERVE, 0)
        await measure(agent, 3)
        (row,) = (await everything(agent, acknowledge=False))[2:]
        await event(agent, 4)
        assert (await mark_of(agent)).accounted == 2  # on its way is not delivered
        agent.outbox.acknowledged(row)
        await event(agent, 5)
        assert await mark_of(agent) == Mark(boot, 5, RESERVE, 0)
        assert agent.outbox.numbered == 5

    async def second(agent: StandIn) -> None:
        assert agent.outbox.rows == await stored(agent) == 4
        rows = await everything(agent)
        assert lost(rows) == list(range(6, RESERVE + 1))
        assert bodies(rows)[-1]["seq"] <= RESERVE + 1

    tell(tmp_path, first)
    tell(tmp_path, second)


def test_numbers_are_reserved_together_with_the_one_that_is_used(tmp_path: Path) -> None:
    async def story(agent: StandIn) -> None:
        boot = agent.outbox.boot
        await event(agent, 1)
        assert await mark_of(agent) == Mark(boot, 1, 1 + RESERVE, 0)
        for number in range(RESERVE):
            await event(agent, number)
        assert await mark_of(agent) == Mark(boot, 1 + RESERVE, 1 + RESERVE, 0)
        await agent.outbox.flush(last=True)
        assert await mark_of(agent) == Mark(boot, 1 + RESERVE, 1 + RESERVE, 0)
        await event(agent, 1)
        await agent.outbox.flush(last=True)
        assert await mark_of(agent) == Mark(boot, 2 + RESERVE, 2 + RESERVE, 0)

    tell(tmp_path, story)


def test_what_the_broker_will_never_take_is_told_as_lost_with_its_boot(tmp_path: Path) -> None:
    other = "0a0a0a0a-0000-4000-8000-000000000002"

    async def first(agent: StandIn) -> None:
        await event(agent, 1)
        await agent.outbox.flush(last=True)

    async def second(agent: StandIn) -> None:
        await event(agent, 2)
        await event(agent, 3)
        old, new, _ = await everything(agent, acknowledge=False)
        agent.outbox.refused(old)
        agent.outbox.refused(new)
        assert agent.outbox.dropped == 2
        assert agent.outbox.flying == 1
        await agent.outbox.flush()
        agent.outbox.returned()
        rows = await everything(agent)
        told = [list(span) for body in bodies(rows) for span in body.get("ranges", ())]
        assert sorted(told) == sorted([[BOOT.replace("-", "")[:8], 1, 1], [other.replace("-", "")[:8], 1, 1]])
        assert [row.topic.rpartition("/")[2] for row in rows] == ["test", "lost"]
        assert numbers(rows) == [3]
        await agent.outbox.flush()
        assert await stored(agent) == 0

    tell(tmp_path, first)
    tell(tmp_path, second, boot=other)


def test_gaps_and_deletions_that_the_disk_refuses_go_with_the_next_write(tmp_path: Path) -> None:
    other = "0a0a0a0a-0000-4000-8000-000000000002"

    async def first(agent: StandIn) -> None:
        await event(agent, 0)
        await agent.outbox.flush(last=True)

    async def second(agent: StandIn) -> None:
        for number in range(1, 5):
            await event(agent, number)
        old, *rows = await everything(agent, acknowledge=False)
        for row in (old, *rows[:3]):
            agent.outbox.refused(row)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(agent.store, "run", refuses)
            for _ in range(2):
                with pytest.raises(StoreError):
                    await agent.outbox.flush()
        await agent.outbox.flush()
        assert await stored(agent) == 1
        gaps = await agent.store.run(lambda db: db.outbox.gaps(99))
        assert sorted(gaps, key=str) == sorted([Gap(old.boot, 1, 1), Gap(agent.outbox.boot, 1, 3)], key=str)

    tell(tmp_path, first)
    tell(tmp_path, second, boot=other)


def test_a_loss_that_cannot_be_told_now_is_told_later(tmp_path: Path) -> None:
    async def story(agent: StandIn) -> None:
        await event(agent, 1)
        (row,) = await everything(agent, acknowledge=False)
        agent.outbox.refused(row)
        await agent.outbox.flush()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(agent.keeper, "do", refuses)
            with pytest.raises(StoreError):
                await agent.outbox.take()
        assert lost(await everything(agent)) == [1]
        assert await everything(agent) == []

    tell(tmp_path, story)


def test_the_time_to_a_flush_is_from_the_oldest_that_memory_alone_holds(tmp_path: Path) -> None:
    async def story(agent: StandIn) -> None:
        assert agent.outbox.flush_in_s() == math.inf
        await measure(agent, 1)
        agent.clock.boot_s += UNSAVED_S - 1
        await measure(agent, 2)
        assert agent.outbox.flush_in_s() == 1
        assert not agent.outbox.flush_due()
        agent.clock.boot_s += 1
        assert agent.outbox.flush_due()
        await agent.outbox.flush()
        assert agent.outbox.flush_in_s() == math.inf
        assert await stored(agent) == agent.outbox.rows == 2
        await everything(agent)
        assert agent.outbox.rows == 0
        await measure(agent, 3)
        assert agent.outbox.flush_in_s() == UNSAVED_S
        assert agent.outbox.rows == 1

    tell(tmp_path, story)


def test_what_was_delivered_is_deleted_together(tmp_path: Path) -> None:
    async def story(agent: StandIn) -> None:
        for number in range(DELETE_ROWS):
            await event(agent, number)
        rows = await everything(agent, acknowledge=False)
        for row in rows[1:]:
            agent.outbox.acknowledged(row)
        assert not agent.outbox.flush_due()
        agent.outbox.acknowledged(rows[0])
        assert agent.outbox.flush_due()
        await agent.outbox.flush()
        assert await stored(agent) == 0
        assert not agent.outbox.flush_due()

    tell(tmp_path, story)


def test_what_comes_and_goes_while_a_batch_is_written_is_not_forgotten(tmp_path: Path) -> None:
    async def story(agent: StandIn) -> None:
        await event(agent, 0)
        for number in (1, 2):
            await measure(agent, number)
        told, first, second = await everything(agent, acknowledge=False)
        let, run = asyncio.Event(), agent.store.run

        async def slow(fn: Callable[[Any], Any]) -> Any:
            sealed.set()
            await let.wait()
            return await run(fn)

        sealed = asyncio.Event()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(agent.store, "run", slow)
            flushing = asyncio.ensure_future(agent.outbox.flush())
            await asyncio.wait_for(sealed.wait(), 10)
            agent.outbox.acknowledged(told)
            agent.outbox.acknowledged(first)
            await measure(agent, 3)
            let.set()
            await flushing
        assert await stored(agent) == 3
        assert agent.outbox.flush_in_s() == UNSAVED_S  # for the one that came meanwhile
        agent.outbox.acknowledged(second)
        assert numbers(await everything(agent)) == [3]
        await agent.outbox.flush()
        assert await stored(agent) == 0
        assert agent.outbox.rows == 0

    tell(tmp_path, story)


def test_a_cleared_alarm_is_empty_and_retained_and_a_measurement_has_its_expiry(tmp_path: Path) -> None:
    async def story(agent: StandIn) -> None:
        await agent.outbox.add(Report(agent.topics.event("alarm"), None))
        await measure(agent, 1)
        agent.clock.trust = Trust.UNSYNC
        await event(agent, 2)
        cleared, told, measured = await everything(agent)
        assert (cleared.seq, cleared.payload, cleared.retain) == (None, b"", True)
        assert (told.seq, told.retain, told.expiry_s, told.created) == (2, False, EVENT_EXPIRY_S, 0)
        assert (measured.seq, measured.retain, measured.expiry_s) == (1, False, MEASUREMENT_EXPIRY_S)
        assert measured.created == int(agent.clock.wall.timestamp())

    tell(tmp_path, story)
