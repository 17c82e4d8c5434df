"""A command has one final answer, whatever comes after it: progress, a full disk, a time limit, a cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.commands import results
from agent.commands.command import Progress
from agent.errors import ModemError, Rejected, StoreError
from agent.keeper import AlreadyFinished
from tests.commands.standin import StandIn
from tests.commands.test_runner import Channel, slow, tell
from tests.commands.test_runner_answers import briefly, does


def test_progress_says_how_far_it_is_and_what_is_done(tmp_path: Path) -> None:
    async def twice(agent: Any, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
        agent.clock.boot_s += 10
        progress(40, "fetching")
        return {"v": 1}

    async def story(agent: StandIn, channel: Channel) -> None:
        await channel.send("test.do", "a")
        await channel.settle()
        answers = await channel.answers("a")
        assert [(a["n"], a["state"], a.get("progress"), a.get("reason")) for a in answers] == [
            (1, "accepted", None, None), (2, "running", None, None), (3, "running", 40, "fetching"),
            (4, "succeeded", None, None),
        ]  # fmt: skip

    tell(tmp_path, story, commands=does(twice))


def test_progress_that_the_disk_refuses_is_counted_and_holds_nothing_up(tmp_path: Path) -> None:
    async def half(agent: Any, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
        run = agent.store.run

        async def full(fn: Callable[[Any], Any]) -> Any:
            agent.store.run = run
            raise StoreError("database or disk is full")

        agent.clock.boot_s += 10
        agent.store.run = full
        progress(40, "fetching")
        return {"v": 1}

    async def story(agent: StandIn, channel: Channel) -> None:
        await channel.send("test.do", "a")
        await channel.settle()
        assert await channel.states("a") == ["accepted", "running", "succeeded"]
        assert agent.runner.faults == {"commands.command-progress": 1}

    tell(tmp_path, story, commands=does(half))


def test_a_final_answer_waits_for_a_disk_that_refuses_it(tmp_path: Path) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        run, refused = agent.store.run, list[int]()

        async def full(fn: Callable[[Any], Any]) -> Any:
            if len(refused) == 3:
                return await run(fn)
            refused.append(1)
            raise StoreError("database or disk is full")

        await channel.send("test.slow", "a")
        await asyncio.sleep(0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(agent.store, "run", full)
            gate.set()
            await channel.settle()
        assert len(refused) == 3
        assert await channel.states("a") == ["accepted", "running", "succeeded"]

    gate = asyncio.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agent.keeper.INSIST_S", 0.0)
        tell(tmp_path, story, commands=slow(gate, []))


def test_a_command_that_concluded_has_its_final_answer_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it returns, raises or is cancelled for after that changes nothing."""

    async def concludes(agent: Any, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
        await progress.conclude(lambda ledger, moment: ledger, lambda ledger: {"v": 1, "done": True})
        raise ModemError("too late to fail")

    async def story(agent: StandIn, channel: Channel) -> None:
        ended: list[Any] = []
        end = agent.runner._end

        async def noted(*words: Any) -> None:
            ended.append(words)
            await end(*words)

        monkeypatch.setattr(agent.runner, "_end", noted)
        await channel.send("test.do", "a")
        await channel.settle()
        assert ended == []
        assert await channel.states("a") == ["accepted", "running", "succeeded"]
        assert (await channel.answers("a"))[-1]["out"] == {"v": 1, "done": True}

    tell(tmp_path, story, commands=does(concludes))


def test_a_command_that_finds_its_answer_given_ends_in_silence(tmp_path: Path) -> None:
    async def late(agent: Any, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
        raise AlreadyFinished(progress.id)

    async def story(agent: StandIn, channel: Channel) -> None:
        await channel.send("test.do", "a")
        await channel.settle()
        assert await channel.states("a") == ["accepted", "running"]
        assert agent.runner.faults == {}

    tell(tmp_path, story, commands=does(late))


def test_a_top_up_that_timed_out_is_not_granted_after_its_final_answer(tmp_path: Path) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        await channel.send("test.slow", "a")
        await channel.settle()
        timed_out = (await channel.answers("a"))[-1]
        reason = "test.slow took longer than 0.05 s"
        assert briefly(timed_out) == (3, "timed-out", results.TIME_LIMIT, reason)
        kept = await agent.store.run(lambda db: db.journal.get("a"))
        assert kept is not None
        with pytest.raises(AlreadyFinished):
            await agent.keeper.do(agent.runner.success(kept, lambda ledger, moment: ledger, lambda ledger: {"v": 1}))
        assert await channel.states("a") == ["accepted", "running", "timed-out"]

    tell(tmp_path, story, commands=slow(asyncio.Event(), [], time_limit_s=0.05))


@pytest.mark.parametrize(
    ("by", "role", "issuer", "reason"),
    [
        ("desk", "act", "other", "test.slow was begun by desk"),
        ("", "act", "other", "test.slow was begun by another"),
        ("desk", "read", "desk", "cancelling it needs the role act, not read"),
        ("desk", "act", "desk", ""),
        ("desk", "admin", "other", ""),
    ],
)
def test_who_may_cancel_a_command(tmp_path: Path, by: str, role: str, issuer: str, reason: str) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        await channel.send("test.slow", "a")
        await channel.until(lambda: agent.runner._calls)
        call = agent.runner._calls["a"]
        call.entry = replace(call.entry, issuer=by, role="act")
        asks = replace(call.entry, id="k", issuer=issuer, role=role)
        if reason:
            with pytest.raises(Rejected) as refused:
                agent.runner.cancel("a", asks)
            assert (refused.value.code, refused.value.reason) == (results.PERMISSION_DENIED, reason)
            return
        assert agent.runner.cancel("a", asks)
        await channel.settle()
        final = (await channel.answers("a"))[-1]
        assert briefly(final) == (3, "cancelled", results.COMMAND_CANCELED, f"cancelled by {issuer} ({role})")
        assert not agent.runner.cancel("a", asks)

    tell(tmp_path, story, commands=slow(asyncio.Event(), []))


@pytest.mark.parametrize("fails", [False, True])
def test_a_cancelled_command_says_what_was_taken_back(tmp_path: Path, fails: bool) -> None:
    async def undo(agent: Any, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
        if fails:
            raise ModemError("the port is away")
        return {"v": 1, "result": "taken back"}

    async def story(agent: StandIn, channel: Channel) -> None:
        await channel.send("test.slow", "a")
        await channel.until(lambda: agent.runner._calls)
        await channel.send("agent.cancel", "k", {"id": "a"})
        await channel.settle()
        final = (await channel.answers("a"))[-1]
        assert final["reason"] == "cancelled by the operator (admin)"
        assert final["out"] == {"v": 1, "result": "not taken back: the port is away" if fails else "taken back"}

    tell(tmp_path, story, commands=slow(asyncio.Event(), [], undo=undo))
