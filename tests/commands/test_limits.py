"""What an operator's side that errs, or was taken over, can spend and reach: limits that a restart keeps."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.commands.limits import number_problem
from agent.config import CommandSettings, Config
from agent.net import dns
from agent.plan import Trust
from tests.commands.standin import StandIn
from tests.commands.test_authority import ask, keys
from tests.commands.test_runner import Channel, tell

MOBILE = {"number": "+32470000001", "text": "hello"}


def limited(**settings: Any) -> Config:
    return replace(Config(), commands=CommandSettings(**settings))


async def last(channel: Channel, name: str, id: str, args: dict[str, Any]) -> dict[str, Any]:
    """The final answer of one unsigned command; a minute later, so that no rate is in the way."""
    channel.agent.clock.boot_s += 60
    await channel.send(name, id, args)
    await channel.settle()
    return (await channel.answers(id))[-1]


@pytest.mark.parametrize(
    ("number", "allowed", "may"),
    [
        ("+32470123456", (), True), ("0470123456", (), True), ("0032470123456", (), True), ("022123456", (), True),
        ("+31612345678", (), True),
        ("112", (), False), ("100", (), False), ("101", (), False), ("+112", (), False), ("1313", (), False),
        ("8850", (), False), ("90900", (), False),
        ("090012345", (), False), ("+3290012345", (), False), ("003290912345", (), False), ("070123456", (), False),
        ("+3277123456", (), False), ("+97912345678", (), False), ("+881612345678", (), False),
        ("00882123456", (), False),
        ("4040", ("4040",), True), ("112", ("112",), True),
        ("+32470123456", ("+3248*",), False), ("+32480123456", ("+3248*",), True),
    ],
)  # fmt: skip
def test_which_numbers(number: str, allowed: tuple[str, ...], may: bool) -> None:
    assert (number_problem(number, allowed) == "") is may


def test_messages_by_the_day_through_restarts_and_wrong_clocks(tmp_path: Path) -> None:
    async def life(story: Callable[[StandIn, Channel], Awaitable[None]]) -> None:
        with StandIn(tmp_path, limited(sms_per_day=2)) as agent:
            await agent.outbox.open()
            await story(agent, Channel(agent))

    async def first(agent: StandIn, channel: Channel) -> None:
        assert [(await last(channel, "sms.send", id, MOBILE))["code"] for id in "abc"] == [0, 0, 7005]
        assert (await last(channel, "sms.send", "112", {**MOBILE, "number": "112"}))["code"] == 7006

    async def after_a_restart(agent: StandIn, channel: Channel) -> None:
        assert (await last(channel, "sms.send", "d", MOBILE))["code"] == 7005
        agent.clock.trust = Trust.UNSYNC
        agent.clock.wall += timedelta(days=400)
        assert (await last(channel, "sms.send", "e", MOBILE))["code"] == 7005
        assert agent.asked == []

    async def tomorrow(agent: StandIn, channel: Channel) -> None:
        agent.clock.wall += timedelta(days=1)
        assert (await last(channel, "sms.send", "f", MOBILE))["code"] == 0

    async def a_day_without_the_time(agent: StandIn, channel: Channel) -> None:
        agent.clock.wall += timedelta(days=1)
        assert (await last(channel, "sms.send", "g", MOBILE))["code"] == 0
        assert (await last(channel, "sms.send", "h", MOBILE))["code"] == 7005
        agent.clock.trust = Trust.UNSYNC
        agent.clock.boot_s += 86_400
        assert (await last(channel, "sms.send", "i", MOBILE))["code"] == 0

    for story in (first, after_a_restart, tomorrow, a_day_without_the_time):
        asyncio.run(life(story))


def test_messages_are_not_given_back_by_a_damaged_database(tmp_path: Path) -> None:
    async def life(id: str, code: int) -> None:
        with StandIn(tmp_path, limited(sms_per_day=1)) as agent:
            await agent.outbox.open()
            assert (await last(Channel(agent), "sms.send", id, MOBILE))["code"] == code

    asyncio.run(life("a", 0))
    (tmp_path / "agent.db").write_bytes(b"\xa5" * 12_288)
    (tmp_path / "agent.db-wal").unlink(missing_ok=True)
    asyncio.run(life("b", 7005))


def test_topups_by_issuer_and_month(tmp_path: Path) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        number = 0

        async def topup(who: str, size: int, **more: Any) -> int:
            nonlocal number
            number += 1
            agent.clock.boot_s += 60
            await ask(channel, who, "plan.topup", f"t{number}", number, {"bytes": size, **more})
            await channel.settle()
            return int((await channel.answers(f"t{number}"))[-1]["code"])

        assert [await topup("alice", 4_000_000_000) for _ in range(3)] == [0, 0, 7005]  # bytes
        assert await topup("alice", 1_000_000_000) == 0
        assert await topup("alice", 1) == 7005
        assert [await topup("bob", 1) for _ in range(3)] == [0, 0, 0]
        assert await topup("bob", 1, id="t1") == 7022  # granted before: not granted, and not counted
        assert await topup("bob", 1) == 7005  # number
        granted = sum(topup.amount_bytes for topup in agent.ledger.topups)
        assert granted == 9_000_000_003
        agent.clock.wall += timedelta(days=32)
        assert await topup("bob", 1) == 0

    config = limited(topups_month=3, topup_bytes_month=9_000_000_000, keys_file="/keys.toml")
    tell(tmp_path, story, authority=keys(), config=config)


def test_without_keys_a_new_name_is_no_new_account(tmp_path: Path) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        codes = []
        for name in "abc":
            agent.clock.boot_s += 60
            await channel.send("plan.topup", name, {"bytes": 1}, iss=f"support-{name}")
            await channel.settle()
            codes.append((await channel.answers(name))[-1]["code"])
        assert codes == [0, 0, 7005]

    tell(tmp_path, story, config=limited(topups_month=2))


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("diag.ping", {"host": "127.0.0.1"}),
        ("diag.ping", {"host": "localhost"}),
        ("diag.traceroute", {"host": "127.0.0.1"}),
        ("diag.dns", {"name": "example.org", "server": "127.0.0.1"}),
        ("diag.http", {"url": "http://127.0.0.1:{port}/zeros/10"}),
        ("diag.http", {"url": "http://localhost:{port}/zeros/10"}),
        ("diag.http", {"url": "http://2130706433:{port}/zeros/10"}),
        ("diag.http", {"url": "http://[::ffff:127.0.0.1]:{port}/zeros/10"}),
        ("diag.speed", {"url": "http://127.0.0.1:{port}/zeros/10000", "bytes": 10_000}),
    ],
)
def test_support_reaches_nothing_of_the_households(
    tmp_path: Path,
    pages: str,
    name: str,
    args: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port, resolve = pages.rpartition(":")[2], socket.getaddrinfo
    # The smallest Debian has no /etc/hosts, and so no localhost.
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *more, **how: resolve({"localhost": "127.0.0.1"}.get(host, host), *more, **how),
    )

    async def story(agent: StandIn, channel: Channel) -> None:
        filled = {
            key: value.replace("{port}", port) if isinstance(value, str) else value for key, value in args.items()
        }
        answer = await last(channel, name, "d", filled)
        assert (answer["state"], answer["code"]) == ("rejected", 7006)
        assert agent.ledger.management_sent_bytes == 0

    tell(tmp_path, story)


def test_diagnosis_by_the_day(tmp_path: Path, pages: str) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        url = {"url": f"{pages}/zeros/5000000"}
        assert (await last(channel, "diag.http", "a", {**url, "bytes": 100_000}))["code"] == 0
        assert (await last(channel, "diag.http", "b", {**url, "bytes": 1_000_000}))["code"] == 7005
        assert (await last(channel, "diag.http", "c", {**url, "bytes": 50_000}))["code"] == 0
        booked = agent.ledger.management_sent_bytes + agent.ledger.management_received_bytes
        assert await agent.store.run(counted) == booked
        agent.clock.wall += timedelta(days=1)
        assert (await last(channel, "diag.http", "d", {**url, "bytes": 400_000}))["code"] == 0

    def counted(database: Any) -> int:
        import json

        return int(json.loads(database.tallies())["diag"][0])

    tell(tmp_path, story, config=limited(diag_bytes_day=600_000, diag_allow=("127.0.0.0/8",)))


def test_a_name_that_leads_into_the_household_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = dns.Answer("9.9.9.9", "NOERROR", ("192.168.1.20", "1.1.1.1"), 1.0)
    monkeypatch.setattr(dns, "ask", lambda *words, **more: answer)

    async def story(agent: StandIn, channel: Channel) -> None:
        out = (await last(channel, "diag.dns", "d", {"name": "printer.lan", "server": "9.9.9.9"}))["out"]
        assert out["answers"][0]["addresses"] == ["local", "1.1.1.1"]

    tell(tmp_path, story)


def test_no_number_that_costs_is_pushed(tmp_path: Path) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        changes = {"changes": {"household.sms_to": "090012345"}, "confirm_s": 10}
        assert (await last(channel, "config.set", "c", changes))["code"] == 7006

    tell(tmp_path, story)
