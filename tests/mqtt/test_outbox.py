"""The outbox: what reaches the flash and when, what goes first, what is given up and how that is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.config import Config
from agent.errors import StoreError, StoreUnsure
from agent.keeper import AlreadyFinished, Report
from agent.mqtt.outbox import UNSAVED_ROWS, UNSAVED_S
from agent.store.outbox import Row
from tests.commands.standin import StandIn


def tell(tmp_path: Path, story: Callable[[StandIn], Awaitable[None]], *, boot: str = "", **operator: Any) -> None:
    async def run() -> None:
        config = Config()
        config = replace(config, operator=replace(config.operator, **operator))
        more: dict[str, Any] = {"boot": boot} if boot else {}
        with StandIn(tmp_path, config, **more) as agent:
            await agent.outbox.open()
            await story(agent)

    asyncio.run(run())


async def measure(agent: StandIn, number: int) -> None:
    await agent.outbox.measure(agent.topics.measurement("test"), {"number": number})


async def event(agent: StandIn, number: int, **more: Any) -> None:
    await agent.outbox.add(Report(agent.topics.event("test"), {"number": number, **more}))


async def everything(agent: StandIn, *, acknowledge: bool = True) -> list[Row]:
    """All that is to be sent now, in the order it would go."""
    rows = []
    while (row := await agent.outbox.take()) is not None:
        rows.append(row)
        if acknowledge:
            agent.outbox.acknowledged(row)
    return rows


def bodies(rows: list[Row]) -> list[dict[str, Any]]:
    return [json.loads(row.payload) for row in rows]


def numbers(rows: list[Row]) -> list[int]:
    return [body["number"] for body in bodies(rows) if "number" in body]


def lost(rows: list[Row]) -> list[int]:
    return [n for b in bodies(rows) for _, low, high in b.get("ranges", ()) for n in range(low, high + 1)]


async def stored(agent: StandIn) -> int:
    return int(await agent.store.run(lambda db: db.outbox.size()[0]))


def test_a_measurement_that_is_delivered_never_reaches_the_flash(tmp_path: Path) -> None:
    async def story(agent: StandIn) -> None:
        writes: list[int] = []
        run = agent.store.run

        async def counted(fn: Callable[[Any], Any]) -> Any:
            before = await run(lambda db: db.connection.total_changes)
            made = await run(fn)
            writes.append(await run(lambda db: db.connection.total_changes) - before)
            return made

        agent.store.run = counted  # type: ignore[method-assign]
        for number in range(60):
            await measure(agent, number)
            await everything(agent)
            assert not agent.outbox.flush_due()
        assert await stored(agent) == 0
        assert sum(changed > 0 for changed in writes) == 1  # the numbers, reserved once for all of them

    tell(tmp_path, story)


@pytest.mark.parametrize("why", ["many", "old"])
def test_measurements_that_cannot_be_delivered_are_kept_together(tmp_path: Path, why: str) -> None:
    async def story(agent: StandIn) -> None:
        for number in range(UNSAVED_ROWS - 1):
            await measure(agent, number)
        assert not agent.outbox.flush_due()
        if why == "many":
            await measure(agent, 99)
        else:
            agent.clock.boot_s += UNSAVED_S
        assert agent.outbox.flush_due()
        assert await stored(agent) == 0
        await agent.outbox.flush()
        assert await stored(agent) == UNSAVED_ROWS - (why == "old")
        assert not agent.outbox.flush_due()

    tell(tmp_path, story)


def test_events_go_first_and_each_lane_in_its_order(tmp_path: Path) -> None:
    async def story(agent: StandIn) -> None:
        for number in range(0, 200, 2):
            await measure(agent, number)
            await event(agent, number + 1)
        rows = await everything(agent)
        assert numbers(rows) == [*range(1, 200, 2), *range(0, 200, 2)]
        assert sorted(body["seq"] for body in bodies(rows)) == list(range(1, 201))

    tell(tmp_path, story)


def test_a_report_keeps_its_key_for_ever(tmp_path: Path) -> None:
    """However often it is sent: in a second session, and by the next run of the agent, in another boot."""
    seen: list[list[tuple[str, bytes]]] = []

    async def sends(agent: StandIn) -> None:
        rows = await everything(agent, acknowledge=False)
        seen.append([(row.topic, row.payload) for row in rows])
        agent.outbox.returned()

    async def first(agent: StandIn) -> None:
        await event(agent, 1)
        await measure(agent, 2)
        await sends(agent)
        await sends(agent)
        await agent.outbox.flush(last=True)

    tell(tmp_path, first)
    tell(tmp_path, sends, boot="0a0a0a0a-0000-4000-8000-000000000002")
    assert seen[0] == seen[1] == seen[2]
    assert len(seen[0]) == 2


def test_numbers_go_on_after_a_restart_and_begin_anew_after_a_reboot(tmp_path: Path) -> None:
    seqs: list[int] = []

    async def one(agent: StandIn) -> None:
        await event(agent, 0)
        rows = await everything(agent)
        assert not lost(rows)
        seqs.append(bodies(rows)[-1]["seq"])
        await agent.outbox.flush(last=True)

    tell(tmp_path, one)
    tell(tmp_path, one)
    tell(tmp_path, one, boot="0a0a0a0a-0000-4000-8000-000000000002")
    assert seqs == [1, 2, 1]


@pytest.mark.parametrize("bound", [{"outbox_rows": 20}, {"outbox_bytes": 3_000}])
def test_bounds_take_the_oldest_measurements_first_and_the_loss_is_told(tmp_path: Path, bound: dict[str, Any]) -> None:
    async def story(agent: StandIn) -> None:
        for number in range(5):
            await event(agent, number)
        for number in range(100, 160):
            await measure(agent, number)
            if agent.outbox.flush_due():
                await agent.outbox.flush()
        await agent.outbox.flush()
        rows, size = await agent.store.run(lambda db: db.outbox.size())
        assert rows <= bound.get("outbox_rows", rows)
        assert size <= bound.get("outbox_bytes", size)
        sent = await everything(agent)
        kept = [n for n in numbers(sent) if n >= 100]
        assert numbers(sent)[:5] == list(range(5))
        assert kept == list(range(160 - len(kept), 160))  # the newest ones
        assert 5 < len(kept) < 60
        here = {body["seq"] for body in bodies(sent)}
        assert here | set(lost(sent)) == set(range(1, max(here) + 1))
        assert not here & set(lost(sent))
        assert agent.outbox.dropped == 60 - len(kept)

    tell(tmp_path, story, **bound)


def test_events_are_given_up_at_the_very_last(tmp_path: Path) -> None:
    async def story(agent: StandIn) -> None:
        for number in range(30):
            await event(agent, number)
        sent = await everything(agent)
        kept = numbers(sent)
        assert kept == list(range(30 - len(kept), 30))
        assert sorted(lost(sent)) == list(range(1, 31 - len(kept)))

    tell(tmp_path, story, outbox_rows=20)


def test_what_is_too_old_is_given_up_and_told(tmp_path: Path) -> None:
    async def story(agent: StandIn) -> None:
        await event(agent, 1)
        agent.clock.wall += timedelta(days=46)
        await event(agent, 2)
        sent = await everything(agent)
        assert numbers(sent) == [2]
        assert lost(sent) == [1]

    tell(tmp_path, story, outbox_days=45)


def test_an_untrusted_clock_makes_nothing_old(tmp_path: Path) -> None:
    async def story(agent: StandIn) -> None:
        from agent.plan import Trust

        await event(agent, 1)
        agent.clock.trust = Trust.UNSYNC
        agent.clock.wall += timedelta(days=9_000)
        await event(agent, 2)
        assert numbers(await everything(agent)) == [1, 2]

    tell(tmp_path, story)


def test_a_twin_is_replaced_not_queued(tmp_path: Path) -> None:
    async def story(agent: StandIn) -> None:
        for number in range(5):
            await agent.twins.offer(agent.topics.twin("plan"), {"number": number})
        twin = agent.twins.take()
        assert twin is not None
        assert json.loads(twin.payload) == {"v": 1, "rev": 5, "number": 4}
        assert agent.twins.take() is None
        agent.twins.returned()  # not acknowledged: it is due again
        assert agent.twins.take() is twin
        await agent.twins.acknowledged(twin, 5)
        agent.twins.returned()
        assert agent.twins.take() is None

    tell(tmp_path, story)


@pytest.mark.parametrize(
    ("error", "during", "sent_numbers", "gap"),
    [
        (StoreError("database or disk is full"), False, [1, 2], []),
        (AlreadyFinished("c"), False, [1, 2], []),
        (StoreUnsure("disk I/O error"), False, [1, 3], [2]),  # a later start may find number 2 on the disk
        (StoreError("database or disk is full"), True, [1, 4], [2]),  # number 3 is a measurement's by now
    ],
)
def test_a_report_that_was_not_taken_leaves_a_gap_only_where_its_number_cannot_be_used_again(
    error: Exception, during: bool, sent_numbers: list[int], gap: list[int], tmp_path: Path
) -> None:
    async def story(agent: StandIn) -> None:
        async def refuses(fn: Callable[[Any], Any]) -> Any:
            if during:
                await measure(agent, 0)
            raise error

        await event(agent, 1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(agent.store, "run", refuses)
            with pytest.raises(type(error)):
                await event(agent, 2)
        await event(agent, 3)
        sent = [row for row in await everything(agent) if row.topic.startswith(agent.topics.event(""))]
        assert [body["seq"] for body in bodies(sent) if "number" in body] == sent_numbers
        assert [body["number"] for body in bodies(sent) if "number" in body] == [1, 3]
        assert lost(sent) == gap

    tell(tmp_path, story)
