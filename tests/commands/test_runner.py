"""Commands run once and answered once: across repeats, waiting, cancelling, expiry, restart and reboot."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.commands.authority import Authority, KeyAuthority, sign
from agent.commands.command import Command, Progress
from agent.commands.keys_file import Issuer
from agent.config import Config
from agent.mqtt.transport import Inbound
from agent.plan import Trust
from tests.commands.standin import DEVICE, StandIn
from tests.mqtt import contract

KEY = bytes(range(32))


class Channel:
    """Commands handed to the runner as the session would, answers read from the outbox."""

    def __init__(self, agent: StandIn) -> None:
        self.agent, self._mid = agent, 0

    async def send(self, type: str, id: str, args: dict[str, Any] | None = None, **more: Any) -> None:
        await self.raw(type, id, {"v": 1, "id": id, "type": type, "args": args or {}, **more})

    async def raw(self, type: str, id: str, body: Any, **inbound: Any) -> None:
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._mid += 1
        message = Inbound(self.agent.topics.request(type, id), payload, self._mid, False)
        await self.agent.runner.deliver(replace(message, **inbound))

    async def answers(self, id: str) -> list[dict[str, Any]]:
        rows = await self.agent.store.run(lambda db: db.outbox.head(0, after=0, limit=1000))
        for row in rows:
            contract.check(self.agent.topics.response("x", id) if "/res" in row.topic else row.topic, row.payload)
        bodies = [json.loads(row.payload) for row in rows if row.topic.endswith("/res")]
        return [body for body in bodies if body["id"] == id]

    async def states(self, id: str) -> list[str]:
        return [body["state"] for body in await self.answers(id)]

    async def until(self, done: Callable[[], Any]) -> None:
        """Let tasks and the store's thread run until something is so."""
        for _ in range(5_000):
            if done():
                return
            await asyncio.sleep(0.001)
        raise AssertionError("it never came to be")

    async def settle(self) -> None:
        """Until no command is under way. wait() lets the loop run even when all have ended; gather() of 3.12 does not,
        and a task leaves the runner's set in a callback."""
        while self.agent.runner._tasks:
            await asyncio.wait(self.agent.runner._tasks)


def tell(
    tmp_path: Path,
    story: Callable[[StandIn, Channel], Awaitable[None]],
    *,
    commands: dict[str, Command] | None = None,
    authority: Authority | None = None,
    instance: str = "1",
    boot: str = "",
    config: Config | None = None,
) -> None:
    async def run() -> None:
        with StandIn(tmp_path, config or Config(), authority=authority, instance=instance) as agent:
            if boot:
                agent.clock.boot_id = boot
            agent.runner._commands = commands
            await agent.outbox.open()
            await story(agent, Channel(agent))
            await agent.runner.stop()

    asyncio.run(run())


def slow(gate: asyncio.Event, ran: list[str], **row: Any) -> dict[str, Command]:
    async def run(agent: Any, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
        ran.append(progress.id)
        await gate.wait()
        return {"v": 1}

    return {"test.slow": Command("test.slow", "waits", run, resource="test", **row)}


def test_one_at_a_time_per_resource_then_in_the_order_of_arrival(tmp_path: Path) -> None:
    gate, ran = asyncio.Event(), list[str]()

    async def story(agent: StandIn, channel: Channel) -> None:
        for id in ("a", "b", "c"):
            await channel.send("test.slow", id)
        await asyncio.sleep(0)
        assert ran == ["a"]
        assert await channel.states("b") == ["accepted"]
        gate.set()
        await channel.settle()
        assert ran == ["a", "b", "c"]
        assert await channel.states("c") == ["accepted", "running", "succeeded"]

    tell(tmp_path, story, commands=slow(gate, ran))


def test_time_to_live_passes_while_waiting_for_the_turn(tmp_path: Path) -> None:
    gate, ran = asyncio.Event(), list[str]()

    async def story(agent: StandIn, channel: Channel) -> None:
        await channel.send("test.slow", "a")
        await channel.send("test.slow", "b", ttl=60)
        await asyncio.sleep(0)
        agent.clock.boot_s += 61
        agent.clock.wall = agent.clock.wall.replace(year=1970)  # the wall clock has no say in it
        gate.set()
        await channel.settle()
        assert ran == ["a"]
        assert await channel.states("b") == ["accepted", "expired"]

    tell(tmp_path, story, commands=slow(gate, ran))


def test_cancel_ends_a_waiting_and_a_running_command(tmp_path: Path) -> None:
    gate, ran = asyncio.Event(), list[str]()

    async def story(agent: StandIn, channel: Channel) -> None:
        await channel.send("test.slow", "a")
        await channel.send("test.slow", "b")
        await asyncio.sleep(0)
        await channel.send("agent.cancel", "k1", {"id": "b"})
        await channel.send("agent.cancel", "k2", {"id": "a"})
        await channel.send("agent.cancel", "k3", {"id": "never"})
        await channel.settle()
        assert await channel.states("a") == ["accepted", "running", "cancelled"]
        assert await channel.states("b") == ["accepted", "cancelled"]
        assert (await channel.answers("k3"))[-1]["state"] == "rejected"
        assert ran == ["a"]

    tell(tmp_path, story, commands=slow(gate, ran))


def test_time_limit(tmp_path: Path) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        await channel.send("test.slow", "a")
        await channel.settle()
        assert await channel.states("a") == ["accepted", "running", "timed-out"]

    tell(tmp_path, story, commands=slow(asyncio.Event(), [], time_limit_s=0.05))


@pytest.mark.parametrize(("repeatable", "last"), [(True, "succeeded"), (False, "failed")])
def test_a_crash_in_the_middle(tmp_path: Path, repeatable: bool, last: str) -> None:
    ran: list[str] = []

    async def first(agent: StandIn, channel: Channel) -> None:
        await channel.send("test.slow", "a")
        await asyncio.sleep(0)

    async def second(agent: StandIn, channel: Channel) -> None:
        await agent.runner.resume()
        await channel.settle()
        await channel.send("test.slow", "a")  # and the operator asks again
        assert await channel.states("a") == ["accepted", "running", last, last]

    tell(tmp_path, first, commands=slow(asyncio.Event(), ran, repeatable=repeatable))
    done = asyncio.Event()
    done.set()
    tell(tmp_path, second, commands=slow(done, ran, repeatable=repeatable), instance="2")
    assert ran == (["a", "a"] if repeatable else ["a"])


@pytest.mark.parametrize(("boot", "last"), [("", "failed"), ("0a0a0a0a-0000-4000-8000-000000000002", "succeeded")])
def test_reboot_is_judged_by_the_boot_id(tmp_path: Path, boot: str, last: str) -> None:
    async def first(agent: StandIn, channel: Channel) -> None:
        await channel.send("device.reboot", "r")
        await channel.until(lambda: agent.asked)
        assert agent.asked == ["reboot asked for by the operator"]

    async def second(agent: StandIn, channel: Channel) -> None:
        await agent.runner.resume()
        assert await channel.states("r") == ["accepted", "running", last]
        assert agent.asked == []

    tell(tmp_path, first)
    tell(tmp_path, second, instance="2", boot=boot)


def test_restart_has_succeeded_when_another_process_finds_it(tmp_path: Path) -> None:
    async def first(agent: StandIn, channel: Channel) -> None:
        await channel.send("agent.restart", "r")
        await channel.until(lambda: agent.asked)
        assert agent.asked == ["restart"]

    async def second(agent: StandIn, channel: Channel) -> None:
        await agent.runner.resume()
        assert await channel.states("r") == ["accepted", "running", "succeeded"]

    tell(tmp_path, first)
    tell(tmp_path, second, instance="2")


def test_too_many_commands_are_refused_then_ignored(tmp_path: Path) -> None:
    config = Config()
    config = replace(config, commands=replace(config.commands, rate_per_minute=5))

    async def story(agent: StandIn, channel: Channel) -> None:
        for number in range(20):
            await channel.send("status", f"s{number}")
        await channel.settle()
        finals = [await channel.states(f"s{number}") for number in range(20)]
        assert [f[-1] for f in finals if f] == ["succeeded"] * 5 + ["rejected"] * 5
        assert agent.runner.faults["commands.command-flood"] == 10
        agent.clock.boot_s += 300
        await channel.send("status", "later")
        await channel.settle()
        assert (await channel.states("later"))[-1] == "succeeded"

    tell(tmp_path, story, config=config)


def test_response_topic_is_honoured_only_inside_the_own_prefix(tmp_path: Path) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        own = agent.topics.response("desk", "inbox")
        body = {"v": 1, "type": "status"}
        await channel.raw("status", "a", {**body, "id": "a"}, response_topic=own, correlation=b"42")
        for number, topic in enumerate((agent.topics.status, "modem-agent/v1/other/cmd/a/b/res", "#", own + "/x")):
            await channel.raw("status", f"b{number}", {**body, "id": f"b{number}"}, response_topic=topic)
        await channel.settle()
        rows = await agent.store.run(lambda db: db.outbox.head(0, after=0, limit=100))
        where = {json.loads(row.payload)["id"]: (row.topic, row.correlation) for row in rows}
        assert where["a"] == (own, b"42")
        assert all(where[f"b{n}"] == (agent.topics.response("status", f"b{n}"), b"") for n in range(4))

    tell(tmp_path, story)


def keys(**more: Any) -> KeyAuthority:
    issuer = Issuer("support", "k1", KEY, "act", ("plan.*", "status"), {"plan.topup": {"bytes": 20_000_000_000}})
    return KeyAuthority({"k1": replace(issuer, **more)}, require=True, device=DEVICE)


def signed(type: str, id: str, args: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    body = {"v": 1, "id": id, "type": type, "args": args or {}, "iss": "support", "aud": DEVICE, **more}
    return sign(body, "k1", KEY)


GB5 = {"bytes": 5_000_000_000}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"v": 1, "id": "c", "type": "plan.topup", "args": GB5}, 7803),
        (signed("plan.topup", "c", GB5), 7804),
        (signed("plan.topup", "c", GB5, ctr=1, aud="imei::1"), 7004),
        (signed("plan.topup", "c", GB5, ctr=1, iss="somebody"), 7803),
        ({**signed("plan.topup", "c", GB5, ctr=1), "args": {"bytes": 6_000_000_000}}, 7803),
        (signed("plan.topup", "c", {"bytes": 30_000_000_000}, ctr=1), 7006),
        (signed("plan.topup", "c", GB5, nonce="0000000000000000"), 7804),
    ],
    ids=["unsigned", "no-counter", "other-device", "other-issuer", "changed", "beyond-limit", "old-nonce"],
)
def test_a_command_that_is_not_to_be_believed(tmp_path: Path, body: dict[str, Any], code: int) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        agent.session.nonce = "1111111111111111"
        before = agent.snapshot().usage.limit_bytes
        await channel.raw("plan.topup", "c", body)
        await channel.settle()
        (answer,) = await channel.answers("c")
        assert (answer["state"], answer["code"]) == ("rejected", code)
        assert agent.snapshot().usage.limit_bytes == before

    tell(tmp_path, story, authority=keys())


def test_counter_and_nonce_make_a_replay_fail_at_1970(tmp_path: Path) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        agent.clock.trust = Trust.UNSYNC
        agent.clock.wall = agent.clock.wall.replace(year=1970)
        agent.session.nonce = "1111111111111111"
        await channel.raw("plan.topup", "a", signed("plan.topup", "a", GB5, ctr=7))
        await channel.raw("plan.topup", "b", signed("plan.topup", "b", GB5, ctr=7))  # the counter again
        await channel.raw("plan.topup", "c", signed("plan.topup", "c", GB5, ctr=6))  # another desk's, behind this one
        await channel.raw("plan.topup", "d", signed("plan.topup", "d", GB5, nonce="1111111111111111"))
        await channel.raw("plan.topup", "e", signed("plan.topup", "e", GB5, ctr=8, exp=1))  # cannot be judged here
        fall_back = {"ctr": 7, "nonce": "1111111111111111"}
        await channel.raw("plan.topup", "n", signed("plan.topup", "n", GB5, **fall_back))
        await channel.settle()
        last = [(await channel.states(id))[-1] for id in "abcden"]
        assert last == ["succeeded", "rejected", "succeeded", "succeeded", "rejected", "succeeded"]
        agent.session.nonce = "2222222222222222"  # another session: the old nonce is worth nothing
        await channel.raw("plan.topup", "f", signed("plan.topup", "f", GB5, nonce="1111111111111111"))
        assert await channel.states("f") == ["rejected"]

    tell(tmp_path, story, authority=keys())


def test_a_replay_sent_again_is_refused_in_the_same_words(tmp_path: Path) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        await channel.raw("status", "a", signed("status", "a", ctr=7))
        for id, counter in (("b", 7), ("c", 8), ("b", 7)):
            await channel.raw("status", id, signed("status", id, ctr=counter))
            await channel.settle()
        first, again = [answer["reason"] for answer in await channel.answers("b")]
        assert first == again

    tell(tmp_path, story, authority=keys())


def test_expiry_by_a_trusted_clock(tmp_path: Path) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        now = int(agent.clock.wall.timestamp())
        await channel.send("status", "late", exp=now - 1)
        await channel.send("status", "early", iat=now + 3600)
        await channel.send("status", "right", exp=now + 60, iat=now - 60)
        await channel.settle()
        assert [(await channel.states(id))[-1] for id in ("late", "early", "right")] == [
            "expired",
            "rejected",
            "succeeded",
        ]

    tell(tmp_path, story)


def test_audit_trail_shows_what_was_changed(tmp_path: Path) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        await channel.send("plan.topup", "t", GB5)
        await channel.settle()
        await channel.send("plan.topup", "x")
        await channel.raw("plan.topup", "y", b"nonsense")  # nobody's, and not noted
        await channel.send("status", "z")  # only looks
        entries = await agent.store.run(lambda db: db.audit.entries())
        assert [(e["type"], e["what"]) for e in entries] == [
            ("plan.topup", "running"),
            ("plan.topup", "succeeded"),
            ("plan.topup", "rejected"),
        ]
        assert await agent.store.run(lambda db: db.audit.broken()) is None
        forge = "UPDATE audit SET entry = replace(entry, 'plan.topup', 'plan.other') WHERE n = 2"
        await agent.store.run(lambda db: db.connection.execute(forge).rowcount)
        assert await agent.store.run(lambda db: db.audit.broken()) == 2

    tell(tmp_path, story)


@pytest.mark.timeout(60)
def test_a_cancellation_that_is_lost_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """As wait_for loses one before Python 3.12: the command goes on as if nobody had cancelled it."""
    heard: list[str] = []

    async def deaf(agent: Any, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
        try:
            heard.append("begun")
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            heard.append("cancelled")
        await asyncio.sleep(3600)
        return {"v": 1}

    async def story(agent: StandIn, channel: Channel) -> None:
        await channel.send("test.deaf", "d")
        await channel.until(lambda: heard)

    tell(tmp_path, story, commands={"test.deaf": Command("test.deaf", "does not hear", deaf, resource="test")})
    assert heard == ["begun", "cancelled"]
