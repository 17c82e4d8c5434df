"""What each answer of a command says, word by word: the operator's desk acts on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.commands import results
from agent.commands.command import Command, Progress
from agent.commands.runner import NONCE_COMMANDS, RESTART_LIMIT_S
from agent.config import Config
from agent.errors import ModemError
from agent.events import NonceUsedUp, Occurrence
from agent.mqtt.transport import Inbound
from agent.plan import Trust
from agent.store.journal import LOST_N
from tests.commands.standin import BOOT, StandIn
from tests.commands.test_runner import Channel, keys, signed, slow, tell

OTHER_BOOT = "0a0a0a0a-0000-4000-8000-000000000002"


def does(run: Callable[..., Any], **row: Any) -> dict[str, Command]:
    return {"test.do": Command("test.do", "does it", run, resource="test", **row)}


async def at_once(agent: Any, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    return {"v": 1}


def briefly(answer: dict[str, Any]) -> tuple[int, str, int, str]:
    return answer["n"], answer["state"], answer["code"], answer.get("reason", "")


def test_the_answers_are_numbered_from_one_and_say_no_more_than_there_is(tmp_path: Path) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        await channel.send("test.do", "a")
        await channel.settle()
        answers = await channel.answers("a")
        steps = [(1, "accepted", 0, ""), (2, "running", 0, ""), (3, "succeeded", 0, "")]
        assert [briefly(answer) for answer in answers] == steps
        assert not any({"reason", "progress", "out"} & set(answer) for answer in answers[:2])
        assert answers[2]["out"] == {"v": 1}
        kept = await agent.store.run(lambda db: db.journal.get("a"))
        assert kept is not None
        assert (kept.issuer, kept.role, kept.n, kept.finished) == ("", "admin", 3, True)
        assert (kept.boot, kept.received_s, kept.ttl_s) == (BOOT, agent.clock.boot_s, None)
        assert (kept.received, kept.instance) == (int(agent.clock.wall.timestamp()), "1")

    tell(tmp_path, story, commands=does(at_once))


def test_who_asked_how_long_it_may_take_and_when_by_an_untrusted_clock_stand_in_the_journal(tmp_path: Path) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        agent.clock.trust = Trust.UNSYNC
        await channel.raw("plan.topup", "t", signed("plan.topup", "t", {"bytes": 10**9}, ctr=1, ttl=60))
        await channel.settle()
        kept = await agent.store.run(lambda db: db.journal.get("t"))
        assert kept is not None
        assert (kept.issuer, kept.role, kept.ttl_s, kept.received) == ("support", "act", 60, 0)
        (usage,) = [answer["out"]["usage"] for answer in await channel.answers("t") if "out" in answer]
        assert usage["topup_bytes"] == 10**9  # the ledger as it was saved with this answer
        entries = await agent.store.run(lambda db: db.audit.entries())
        assert [(e["what"], e["issuer"], e["code"], e["reason"]) for e in entries] == [
            ("running", "support", 0, ""),
            ("succeeded", "support", 0, ""),
        ]

    tell(tmp_path, story, authority=keys())


def test_a_refusal_stands_in_the_audit_trail_with_its_code_and_reason(tmp_path: Path) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        await channel.raw("plan.topup", "t", signed("plan.topup", "t", {"bytes": 3 * 10**10}, ctr=1))
        (answer,) = await channel.answers("t")
        (entry,) = await agent.store.run(lambda db: db.audit.entries())
        assert answer["code"] == entry["code"] == results.PERMISSION_DENIED
        assert answer["reason"] == entry["reason"] != ""
        assert agent.runner.faults == {"commands.command-rejected": 1}

    tell(tmp_path, story, authority=keys())


def test_a_repeat_gets_the_stored_answer_where_the_first_was_sent(tmp_path: Path) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        own = agent.topics.response("desk", "inbox")
        body = {"v": 1, "id": "a", "type": "test.do", "args": {}}
        await channel.raw("test.do", "a", body, response_topic=own, correlation=b"42")
        await channel.settle()
        await channel.raw("test.do", "a", body)
        rows = await agent.store.run(lambda db: db.outbox.head(0, after=0, limit=100))
        assert [(row.topic, row.correlation) for row in rows] == [(own, b"42")] * 4
        first, again = (await channel.answers("a"))[2:]
        assert briefly(first) == briefly(again) == (3, "succeeded", 0, "")
        assert agent.runner.faults == {"commands.command-repeated": 1}

    tell(tmp_path, story, commands=does(at_once))


def test_repeats_beyond_the_rate_get_no_answer_and_take_nothing_from_others(tmp_path: Path) -> None:
    config = Config()
    config = replace(config, commands=replace(config.commands, rate_per_minute=2))

    async def story(agent: StandIn, channel: Channel) -> None:
        for _ in range(6):
            await channel.send("test.do", "a")
        await channel.settle()
        assert (await channel.states("a")).count("succeeded") + agent.runner.faults["commands.command-repeated"] >= 3
        assert agent.runner.faults["commands.command-repeated"] == 2
        await channel.send("test.do", "b")
        await channel.settle()
        assert (await channel.states("b"))[-1] == "succeeded"

    tell(tmp_path, story, commands=does(at_once), config=config)


def test_a_command_whose_answers_were_lost_is_said_to_be(tmp_path: Path) -> None:
    async def first(agent: StandIn, channel: Channel) -> None:
        await channel.send("test.do", "a")
        await channel.settle()

    async def second(agent: StandIn, channel: Channel) -> None:
        await channel.send("test.do", "a")
        await channel.settle()
        assert [briefly(answer) for answer in await channel.answers("a")] == [
            (
                LOST_N, "failed", results.COMMAND_FAILURE,
                "it was begun before the device's database was damaged; what came of it is not known",
            )
        ]  # fmt: skip

    tell(tmp_path, first, commands=does(at_once, role="act"))
    for part in ("agent.db", "agent.db-wal", "agent.db-shm"):
        (tmp_path / part).unlink(missing_ok=True)
    tell(tmp_path, second, commands=does(at_once, role="act"))


def test_a_topic_that_is_no_command_is_counted_and_answered_by_nobody(tmp_path: Path) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        await agent.runner.deliver(Inbound(agent.topics.status, b"{}", 1, False))
        assert agent.runner.faults == {"commands.command-topic": 1}
        assert await agent.store.run(lambda db: db.outbox.size()[0]) == 0

    tell(tmp_path, story)


def test_nonsense_has_a_rate_of_its_own_and_is_told_down_to_the_last(tmp_path: Path) -> None:
    config = Config()
    config = replace(config, commands=replace(config.commands, rate_per_minute=2))

    async def story(agent: StandIn, channel: Channel) -> None:
        for number in range(4):
            await channel.raw("status", f"x{number}", b"nonsense")
        assert [len(await channel.answers(f"x{number}")) for number in range(4)] == [1, 1, 0, 0]
        assert agent.runner.faults == {"commands.command-rejected": 4, "commands.command-flood": 2}
        await channel.send("status", "good")
        assert (await channel.states("good")) == ["succeeded"]

    tell(tmp_path, story, config=config)


@pytest.mark.parametrize(("sent", "renewed"), [(NONCE_COMMANDS - 1, 0), (NONCE_COMMANDS, 1)])
def test_the_nonce_is_renewed_before_the_journal_forgets_what_it_let_in(
    tmp_path: Path, sent: int, renewed: int
) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        told: list[Occurrence] = []
        agent.runner._emit = told.append
        for _ in range(sent):
            agent.runner._count_for_nonce()
        assert told == [NonceUsedUp()] * renewed

    tell(tmp_path, story)


@pytest.mark.parametrize(
    ("run", "state", "code", "reason"),
    [
        (ModemError("the port is away"), "failed", results.COMMAND_FAILURE, "the port is away"),
        (KeyError("x"), "failed", results.INTERNAL_ERROR, "KeyError: 'x'"),
    ],
)
def test_a_command_that_fails_says_why(tmp_path: Path, run: Exception, state: str, code: int, reason: str) -> None:
    async def fails(agent: Any, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
        raise run

    async def story(agent: StandIn, channel: Channel) -> None:
        await channel.send("test.do", "a")
        await channel.settle()
        assert briefly((await channel.answers("a"))[-1]) == (3, state, code, reason)
        assert agent.runner.faults["commands.command-bug"] == isinstance(run, KeyError)

    tell(tmp_path, story, commands=does(fails))


def test_a_command_that_waited_too_long_says_so_by_boot_time(tmp_path: Path) -> None:
    gate, ran = asyncio.Event(), list[str]()

    async def story(agent: StandIn, channel: Channel) -> None:
        await channel.send("test.slow", "a")
        await channel.send("test.slow", "just", ttl=60)
        await channel.send("test.slow", "late", ttl=59)
        await asyncio.sleep(0)
        agent.clock.boot_s += 60
        gate.set()
        await channel.settle()
        assert ran == ["a", "just"]
        late = (await channel.answers("late"))[-1]
        assert briefly(late) == (2, "expired", results.TOO_LATE, "its time to live passed before its turn came")

    tell(tmp_path, story, commands=slow(gate, ran))


@pytest.mark.parametrize(
    ("away_s", "trusted", "last"), [(60, True, "succeeded"), (61, True, "expired"), (1, False, "expired")]
)
def test_over_a_reboot_the_time_to_live_goes_by_the_wall_clock_if_it_can_be_trusted(
    tmp_path: Path, away_s: int, trusted: bool, last: str
) -> None:
    begun: list[float] = []
    gate = asyncio.Event()

    async def first(agent: StandIn, channel: Channel) -> None:
        agent.clock.wall = agent.clock.wall.replace(microsecond=0)
        begun.append(agent.clock.wall.timestamp())
        await channel.send("test.slow", "a")
        await channel.send("test.slow", "b", ttl=60)
        await asyncio.sleep(0)

    async def second(agent: StandIn, channel: Channel) -> None:
        gate.set()
        agent.clock.wall = agent.clock.wall.fromtimestamp(begun[0] + away_s, agent.clock.wall.tzinfo)
        agent.clock.trust = Trust.SYNC if trusted else Trust.UNSYNC
        await agent.runner.resume()
        await channel.settle()
        final = (await channel.answers("b"))[-1]
        assert final["state"] == last
        if last == "expired":
            assert final["reason"] == "its time to live passed while the agent was away"

    tell(tmp_path, first, commands=slow(gate, []))
    tell(tmp_path, second, commands=slow(gate, []), instance="2", boot=OTHER_BOOT)


def test_an_interrupted_command_that_may_not_run_twice_says_that_nobody_knows(tmp_path: Path) -> None:
    async def first(agent: StandIn, channel: Channel) -> None:
        await channel.send("test.slow", "a")
        await asyncio.sleep(0)

    async def second(agent: StandIn, channel: Channel) -> None:
        await agent.runner.resume()
        reason = "interrupted; whether it took effect is not known"
        assert briefly((await channel.answers("a"))[-1]) == (3, "failed", results.COMMAND_FAILURE, reason)

    commands = slow(asyncio.Event(), [], repeatable=False)
    tell(tmp_path, first, commands=commands)
    tell(tmp_path, second, commands=commands, instance="2")


@pytest.mark.parametrize(
    ("survives", "boot", "answer"),
    [
        ("boot", "", (3, "failed", results.COMMAND_FAILURE, "the device did not reboot")),
        ("boot", OTHER_BOOT, (3, "succeeded", 0, "")),
        ("process", "", (3, "succeeded", 0, "")),
    ],
)
def test_a_restart_is_answered_by_the_next_process(
    tmp_path: Path, survives: str, boot: str, answer: tuple[int, str, int, str]
) -> None:
    async def first(agent: StandIn, channel: Channel) -> None:
        await channel.send("test.do", "a")
        await channel.until(lambda: agent.runner._calls)
        await agent.runner.resume()  # the same process: it is under way
        assert await channel.states("a") == ["accepted", "running"]

    async def second(agent: StandIn, channel: Channel) -> None:
        await agent.runner.resume()
        final = (await channel.answers("a"))[-1]
        assert briefly(final) == answer
        assert final.get("out") == ({"v": 1} if answer[1] == "succeeded" else None)

    commands = does(at_once, survives=survives)
    tell(tmp_path, first, commands=commands)
    tell(tmp_path, second, commands=commands, instance="2", boot=boot)


def test_a_restart_that_does_not_happen_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert RESTART_LIMIT_S == 120.0
    monkeypatch.setattr("agent.commands.runner.RESTART_LIMIT_S", 0.0)

    async def story(agent: StandIn, channel: Channel) -> None:
        await channel.send("test.do", "a")
        await channel.settle()
        final = (await channel.answers("a"))[-1]
        assert briefly(final) == (3, "failed", results.COMMAND_FAILURE, "nothing happened within 0 s")

    tell(tmp_path, story, commands=does(at_once, survives="process"))
