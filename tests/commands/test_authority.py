"""Who may end whose command, and whose rate is used up by what: none but the sender's own."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.commands.authority import KeyAuthority, sign
from agent.commands.keys_file import Issuer
from agent.plan import Trust
from agent.store import Database
from agent.store.journal import KEPT, Entry
from tests.commands.standin import DEVICE, StandIn
from tests.commands.test_runner import Channel, slow, tell

KEYS = {name: bytes([number]) * 32 for number, name in enumerate(("alice", "bob", "chief", "desk"), 1)}
ROLES = {"alice": "act", "bob": "act", "chief": "admin", "desk": "read"}
PER_MINUTE = 30


def keys() -> KeyAuthority:
    issuers = {name: Issuer(name, name, KEYS[name], ROLES[name]) for name in KEYS}
    return KeyAuthority(issuers, require=False, device=DEVICE)


async def ask(
    channel: Channel, who: str, type: str, id: str, ctr: int, args: dict[str, Any] | None = None, **more: Any
) -> None:
    body = {"v": 1, "id": id, "type": type, "args": args or {}, "iss": who, "aud": DEVICE, "ctr": ctr}
    await channel.raw(type, id, sign(body, who, KEYS[who]), **more)


@pytest.mark.parametrize(
    ("begun", "ended", "last"),
    [
        ("alice", "alice", "cancelled"),
        ("alice", "chief", "cancelled"),
        ("alice", "bob", "running"),
        ("alice", "desk", "running"),
        ("alice", "", "running"),
        ("chief", "alice", "running"),
        ("chief", "", "running"),
    ],
)
def test_a_command_is_ended_by_who_began_it_or_by_an_admin(tmp_path: Path, begun: str, ended: str, last: str) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        await ask(channel, begun, "test.slow", "a", 1)
        await asyncio.sleep(0)
        if ended:
            await ask(channel, ended, "agent.cancel", "k", 2, {"id": "a"})
        else:
            await channel.send("agent.cancel", "k", {"id": "a"}, iss=begun)
        await channel.until(lambda: "k" not in agent.runner._calls)
        if last == "cancelled":
            await channel.settle()
        assert (await channel.states("a"))[-1] == last
        refused = (await channel.answers("k"))[-1]
        assert refused["code"] == (0 if last == "cancelled" else 7006)
        trail = await agent.store.run(lambda db: db.audit.entries())
        by = [entry["reason"] for entry in trail if entry["what"] == "cancelled"]
        assert by == ([f"cancelled by {ended} ({ROLES[ended]})"] if last == "cancelled" else [])

    tell(tmp_path, story, commands=slow(asyncio.Event(), [], role="act"), authority=keys())


def test_a_name_without_a_signature_ends_nobodys_command(tmp_path: Path) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        await ask(channel, "desk", "test.slow", "a", 1)
        await asyncio.sleep(0)
        await channel.send("agent.cancel", "k", {"id": "a"}, iss="desk")
        await channel.until(lambda: "k" not in agent.runner._calls)
        assert (await channel.states("a"))[-1] == "running"
        assert (await channel.answers("k"))[-1]["code"] == 7006

    tell(tmp_path, story, commands=slow(asyncio.Event(), [], role="read"), authority=keys())


@pytest.mark.parametrize("topic", ["plan.topup", "plan-topup"])
def test_whoever_may_only_read_uses_up_no_id_of_a_command_that_acts(topic: str, tmp_path: Path) -> None:
    """The answer of the one is not given as the other's, which would seem done."""

    async def story(agent: StandIn, channel: Channel) -> None:
        await channel.send("usage", "december", iss="desk")
        await channel.settle()
        body = {"v": 1, "id": "december", "type": topic, "args": {"bytes": 10**9}, "iss": "alice", "aud": DEVICE}
        await channel.raw(topic, "december", sign({**body, "ctr": 1}, "alice", KEYS["alice"]))
        await channel.settle()
        (usage, refused) = await channel.answers("december")
        assert (usage["type"], usage["state"]) == ("usage", "succeeded")
        assert (refused["type"], refused["state"], refused["code"]) == ("plan.topup", "rejected", 7012)
        assert refused["reason"] == "december was the id of usage"

    tell(tmp_path, story, authority=keys())


@pytest.mark.parametrize(("size", "code"), [(256, 0), (257, 7004), (65_535, 7004)])
def test_what_the_journal_keeps_of_each_command_is_bounded(size: int, code: int, tmp_path: Path) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        own = agent.topics.response("usage", "u")
        await channel.send("usage", "u", response_topic=own, correlation=b"c" * size)
        await channel.settle()
        rows = await agent.store.run(lambda db: db.outbox.head(0, after=0, limit=10))
        assert [json.loads(row.payload)["code"] for row in rows] == [code]
        assert [len(row.correlation) for row in rows] == [size if code == 0 else 0]

    tell(tmp_path, story)


def test_junk_uses_up_nobodys_rate_nor_the_journal_nor_the_audit_trail(tmp_path: Path) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        await ask(channel, "alice", "throttle.auto", "first", 1)
        await channel.settle()
        before = await agent.store.run(lambda db: len(db.audit.entries()))
        forged = {"v": 1, "type": "throttle.auto", "iss": "alice", "aud": DEVICE, "ctr": 9}
        for number in range(4 * PER_MINUTE):
            junk = {**forged, "id": f"f{number}", "sig": {"kid": "alice", "alg": "HS256", "v": "0" * 64}}
            await channel.raw("throttle.auto", f"f{number}", junk)
            await channel.raw("throttle.auto", f"j{number}", b"junk")
            await channel.send("throttle.auto", f"u{number}")  # unsigned, and acts
            await channel.send("throttle.auto", "first")  # a replay
        assert await agent.store.run(lambda db: len(db.audit.entries())) == before
        assert await agent.store.run(lambda db: db.journal.get("f0") or db.journal.get("j0")) is None
        await ask(channel, "alice", "throttle.auto", "second", 2)
        await ask(channel, "alice", "throttle.auto", "f0", 3)  # the id is not burnt
        await channel.settle()
        assert (await channel.states("second"))[-1] == "succeeded"
        assert (await channel.states("f0"))[-1] == "succeeded"

    tell(tmp_path, story, authority=keys())


def test_one_too_many_may_be_sent_again_and_holds_up_no_other_issuer(tmp_path: Path) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        for number in range(PER_MINUTE + 1):
            await ask(channel, "alice", "throttle.auto", f"a{number}", number)
        last = f"a{PER_MINUTE}"
        assert (await channel.answers(last))[-1]["code"] == 7005
        await ask(channel, "bob", "throttle.auto", "b", 1)
        agent.clock.boot_s += 60
        await ask(channel, "alice", "throttle.auto", last, PER_MINUTE)
        await channel.settle()
        assert (await channel.states("b"))[-1] == "succeeded"
        assert (await channel.states(last))[-1] == "succeeded"

    tell(tmp_path, story, authority=keys())


def put(database: Database, entries: list[Entry]) -> None:
    for entry in entries:
        database.journal.put(entry)


@pytest.mark.parametrize("trusted", [True, False])
def test_a_full_journal_forgets_the_oldest_whatever_the_clock_says(tmp_path: Path, trusted: bool) -> None:
    ran: list[str] = []
    done = asyncio.Event()
    done.set()

    async def story(agent: StandIn, channel: Channel) -> None:
        await channel.send("test.slow", "old")
        await channel.settle()
        entry = await agent.store.run(lambda db: db.journal.get("old"))
        assert entry is not None
        fill = [replace(entry, id=f"k{number}", received=1_800_000_000 + number) for number in range(KEPT)]
        await agent.store.run(lambda db: put(db, fill))
        if not trusted:
            agent.clock.trust = Trust.UNSYNC
        for _ in range(3):
            await channel.send("test.slow", "new")
            await channel.settle()
        assert ran == ["old", "new"]
        kept = await agent.store.run(lambda db: [db.journal.get(id) is not None for id in ("old", "k0", "k1", "new")])
        assert kept == [False, False, True, True]

    tell(tmp_path, story, commands=slow(done, ran))
