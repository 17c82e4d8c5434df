"""What acts over the control socket stands in the audit trail: who, what, and what came of it."""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import pwd
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.commands.execute import admit, execute
from agent.config import Config
from agent.control.server import ControlServer
from agent.errors import Rejected, StoreError
from agent.store import journal
from tests.commands.standin import StandIn

ME = f"local:{pwd.getpwuid(os.geteuid()).pw_name} (uid {os.geteuid()})"
GB5 = {"bytes": 5_000_000_000}


def told(tmp_path: Path, story: Callable[[StandIn], Awaitable[None]], config: Config | None = None) -> list[Any]:
    """What the trail says afterwards, the chain checked."""

    async def run() -> list[Any]:
        with StandIn(tmp_path, config or Config()) as agent:
            await agent.outbox.open()
            await story(agent)
            assert await agent.store.run(lambda db: db.audit.broken()) is None
            entries = await agent.store.run(lambda db: db.audit.entries())
            assert all(e["before"] == b["hash"] for b, e in itertools.pairwise(entries))
            return [(e["type"], e["what"], e["issuer"], e["role"], e["code"]) for e in entries]

    return asyncio.run(run())


async def ask(agent: StandIn, name: str, args: dict[str, Any], *, role: str = "act") -> None:
    await execute(agent, name, args, role=role, source="local:alice (uid 1000)")


ALICE = "local:alice (uid 1000)"


def test_what_acts_is_noted_before_and_after(tmp_path: Path) -> None:
    async def story(agent: StandIn) -> None:
        await ask(agent, "throttle.force", {})
        await ask(agent, "modem.reset", {"level": "radio"})

    assert told(tmp_path, story) == [
        ("throttle.force", "running", ALICE, "act", 0),
        ("throttle.force", "succeeded", ALICE, "act", 0),
        ("modem.reset", "running", ALICE, "act", 0),
        ("modem.reset", "succeeded", ALICE, "act", 0),
    ]


def test_what_only_looks_is_not_noted(tmp_path: Path) -> None:
    async def story(agent: StandIn) -> None:
        await ask(agent, "status", {}, role="read")

    assert told(tmp_path, story) == []


def test_what_is_refused_or_fails_is_noted_with_its_code(tmp_path: Path) -> None:
    async def story(agent: StandIn) -> None:
        for name, args, role in (
            ("modem.reset", {}, "read"),
            ("modem.reset", {"level": "hard"}, "act"),
            ("plan.topup", GB5, "admin"),  # plan.local_topup is off
            ("modem.at", {"command": "AT"}, "act"),  # no modem
            ("modem.reset", {}, ""),  # a stranger: turned away, and the flash is not worn for him
        ):
            with pytest.raises(Rejected):
                await ask(agent, name, args, role=role)

    config = Config()
    config = replace(config, plan=replace(config.plan, local_topup=False))
    assert told(tmp_path, story, config) == [
        ("modem.reset", "rejected", ALICE, "read", 7006),
        ("modem.reset", "rejected", ALICE, "act", 7004),
        ("plan.topup", "rejected", ALICE, "admin", 7006),
        ("modem.at", "running", ALICE, "act", 0),
        ("modem.at", "failed", ALICE, "act", 7801),
    ]


def test_one_who_hangs_up_is_noted_as_such(tmp_path: Path) -> None:
    async def story(agent: StandIn) -> None:
        begun = asyncio.Event()

        async def for_ever(level: str) -> dict[str, Any]:
            begun.set()
            await asyncio.Event().wait()
            return {}

        agent.reset_modem = for_ever  # type: ignore[method-assign]
        asking = asyncio.create_task(ask(agent, "modem.reset", {}))
        await begun.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    assert told(tmp_path, story)[-1] == ("modem.reset", "cancelled", ALICE, "act", 7023)


def test_a_disk_that_takes_nothing_keeps_nobody_from_repairing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(agent: StandIn) -> None:
        run = agent.store.run

        async def full(fn: Callable[[Any], Any]) -> Any:
            raise StoreError("database or disk is full")

        agent.store.run = full  # type: ignore[method-assign]
        await ask(agent, "modem.reset", {"level": "usb"})
        assert agent.asked == ["reset usb"]
        agent.store.run = run  # type: ignore[method-assign]

    assert told(tmp_path, story) == []
    assert "modem.reset by local:alice (uid 1000) is not noted: database or disk is full" in caplog.text


def test_the_kernel_says_who_asked(tmp_path: Path) -> None:
    """Over the real socket: the name and number are the peer's, whatever he writes."""

    async def story(agent: StandIn) -> None:
        path = tmp_path / "run" / "control.sock"
        path.parent.mkdir()
        server = ControlServer(path, functools.partial(execute, agent))
        await server.start()
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b'{"id": 1, "method": "throttle.lift", "params": {"by": "somebody else"}}\n')
        answer = await reader.readline()
        assert b'"result"' in answer, answer
        writer.close()
        await server.close()

    assert told(tmp_path, story) == [
        ("throttle.lift", "running", ME, "admin", 0),
        ("throttle.lift", "succeeded", ME, "admin", 0),
    ]


def test_both_channels_are_one_chain(tmp_path: Path) -> None:
    async def story(agent: StandIn) -> None:
        from tests.commands.test_runner import Channel

        channel = Channel(agent)
        await ask(agent, "throttle.force", {})
        await channel.send("throttle.auto", "t1", iss="support")
        await channel.settle()
        await ask(agent, "modem.reset", {})

    issuers = [issuer for _, _, issuer, _, _ in told(tmp_path, story)]
    assert issuers == [ALICE, ALICE, "claimed:support", "claimed:support", ALICE, ALICE]


@pytest.mark.parametrize(
    ("forgery", "first"),
    [
        ("UPDATE audit SET entry = replace(entry, 'alice', 'mallory') WHERE n = 2", 2),
        ("DELETE FROM audit WHERE n = 1", 1),
        ("DELETE FROM audit WHERE n = 3", 3),
        ("DELETE FROM audit WHERE n = 4", 4),
        ("DELETE FROM audit", 1),
    ],
)
def test_what_was_changed_or_taken_out_is_found(tmp_path: Path, forgery: str, first: int) -> None:
    async def story() -> None:
        with StandIn(tmp_path, Config()) as agent:
            await ask(agent, "throttle.force", {})
            await ask(agent, "throttle.auto", {})
            await agent.store.run(lambda db: db.connection.execute(forgery).rowcount)
            assert await agent.store.run(lambda db: db.audit.broken()) == first

    asyncio.run(story())


def test_a_trail_at_its_length_lets_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "AUDIT_KEPT", 3)

    async def story() -> None:
        with StandIn(tmp_path, Config()) as agent:
            await ask(agent, "throttle.force", {})
            await ask(agent, "throttle.auto", {})
            assert [e["n"] for e in await agent.store.run(lambda db: db.audit.entries())] == [2, 3, 4]
            assert await agent.store.run(lambda db: db.audit.broken()) is None

    asyncio.run(story())


@pytest.mark.parametrize(
    ("name", "args", "role", "said"),
    [
        ("plan.topup", GB5, "admin", "this plan allows no top-ups on the device"),
        ("plan.topup", {"bytes": -1}, "admin", "this plan allows no top-ups"),
        ("modem.reset", {"level": "radio"}, "read", "needs the role act"),
        ("modem.reset", {"level": "hammer"}, "act", "level"),
        ("modem.scan", {}, "act", "modem absent"),
        ("sms.send", {"number": "123", "text": "x"}, "act", "modem absent"),
        ("sms.send", {"number": "123"}, "act", "text"),
        ("no.such", {}, "admin", "unknown command"),
        ("modem.reset", {"level": "usb"}, "act", ""),  # what an absent modem may need
        ("device.erase", {"contract": "ended"}, "admin", ""),
    ],
)
def test_what_would_be_refused_is_known_without_doing_anything(
    tmp_path: Path, name: str, args: dict[str, Any], role: str, said: str
) -> None:
    async def story(agent: StandIn) -> None:
        agent.modem = None
        try:
            admit(agent, name, args, role=role, source=ALICE)
            found = ""
        except Rejected as refusal:
            found = refusal.reason
        assert (said in found) if said else not found, found
        assert agent.asked == []

    assert told(tmp_path, story) == []
