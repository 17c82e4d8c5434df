"""An override says when it ends: in the answer, and in the words of its arguments."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from agent.commands.authority import BrokerAuthority, Grant
from agent.commands.envelope import Envelope
from agent.commands.execute import execute
from agent.commands.table import COMMANDS
from agent.config import Config
from agent.errors import Rejected
from agent.plan import HourBytes, Ledger, Moment
from agent.store.counter_window import CounterWindow
from tests.commands.standin import StandIn
from tests.commands.test_runner import Channel, tell

LATER = "2099-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("name", "ends"),
    [("throttle.lift", "period"), ("throttle.force", "auto"), ("throttle.suspend", "auto")],
)
def test_an_override_says_when_it_ends(name: str, ends: str, tmp_path: Path) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        await channel.send(name, "open")
        await channel.send(name, "timed", {"expires": LATER})
        await channel.settle()
        await agent.outbox.flush()
        results = [(await channel.answers(id))[-1]["out"] for id in ("open", "timed")]
        assert [(r["ends"], r["expires"]) for r in results] == [(ends, None), ("time", LATER)]

    tell(tmp_path, story)


@pytest.mark.parametrize("name", ["throttle.force", "throttle.suspend"])
def test_the_help_says_that_no_new_period_ends_it(name: str) -> None:
    row = COMMANDS[name]
    assert "throttle.auto" in row.help
    assert "throttle.auto" in row.args["expires"]["help"]


NOON_OF_NOVEMBER = datetime(2026, 11, 10, 12, tzinfo=timezone.utc)


def reconciled(tmp_path: Path, *asked: dict[str, object], role: str = "act") -> list[dict[str, Any]]:
    """The answers of plan.reconcile, one after the other, on a device that counted 10 GB until an hour ago."""
    answers: list[dict[str, Any]] = []

    async def story(agent: StandIn, channel: Channel) -> None:
        agent.clock.wall = NOON_OF_NOVEMBER
        agent.ledger = replace(
            Ledger.new(agent.config.plan, agent.clock.now()), received_bytes=10_000_000_000,
            hours=(HourBytes(NOON_OF_NOVEMBER - timedelta(hours=5), "2026-11-10", "2026-11-01", 10_000_000_000, 0),),
        )  # fmt: skip
        for number, args in enumerate(asked):
            await channel.send("plan.reconcile", f"r{number}", args)
            await channel.settle()
            await agent.outbox.flush()
            answers.append((await channel.answers(f"r{number}"))[-1])

    tell(tmp_path, story, authority=Roles(role))
    return answers


class Roles(BrokerAuthority):
    """A broker whose ACL lets this role through."""

    def __init__(self, role: str) -> None:
        self._role = role

    def grant(self, envelope: Envelope, moment: Moment, *, nonce: str, used: CounterWindow) -> Grant:
        return Grant(envelope.issuer, self._role)


COUNT = {"period": "2026-11-01", "used_bytes": 10_600_000_000, "as_of": "2026-11-10T11:00:00Z", "source": "pcrf"}


def test_an_operators_count_is_told_or_followed(tmp_path: Path) -> None:
    told, followed, again = reconciled(tmp_path, COUNT, {**COUNT, "mode": "follow"}, {**COUNT, "mode": "follow"})
    count = {**COUNT, "mode": "tell", "own_bytes": 10_000_000_000, "difference_bytes": 600_000_000}
    count.pop("period")
    assert told["out"]["count"] == count
    assert told["out"]["usage"]["charged_bytes"] == 10_000_000_000
    assert followed["out"] == again["out"]
    usage = followed["out"]["usage"]
    assert (usage["charged_bytes"], usage["correction_bytes"]) == (10_600_000_000, 600_000_000)
    assert usage["received_bytes"] == 10_000_000_000


@pytest.mark.parametrize(
    ("changes", "role", "code"),
    [
        ({"used_bytes": 14_100_000_000}, "act", 7006),
        ({"used_bytes": 14_100_000_000}, "admin", 0),
        ({"used_bytes": 14_000_000_000}, "act", 0),
        ({"used_bytes": 0}, "act", 0),
        ({"used_bytes": 14_100_000_000, "mode": "tell"}, "act", 0),
        ({}, "read", 7006),
        ({"as_of": "2026-11-10T13:00:00Z"}, "admin", 7022),
        ({"as_of": "2026-10-10T13:00:00Z"}, "admin", 7022),
        ({"as_of": "2026-11-10T11:00:00"}, "admin", 7012),
        ({"as_of": "soon"}, "admin", 7012),
        ({"period": "2026-13-41"}, "admin", 7022),
        ({"period": "November"}, "admin", 7004),
        ({"source": ""}, "admin", 7004),
    ],
)
def test_what_a_count_may_say_and_who_may_say_it(
    changes: dict[str, object], role: str, code: int, tmp_path: Path
) -> None:
    (answer,) = reconciled(tmp_path, {**COUNT, "mode": "follow", **changes}, role=role)
    assert answer["code"] == code, answer


def test_the_month_of_a_replaced_modem_goes_on(tmp_path: Path) -> None:
    """Another device's count, told to one that has counted nothing by then."""
    moved = {**COUNT, "as_of": "2026-11-10T06:00:00Z", "used_bytes": 31_000_000_000, "source": "transfer"}
    (answer,) = reconciled(tmp_path, {**moved, "mode": "follow"}, role="admin")
    out = answer["out"]
    assert out["count"]["own_bytes"] == 0
    assert out["usage"]["charged_bytes"] == 41_000_000_000


def test_a_technician_on_the_device_gives_nothing_away(tmp_path: Path) -> None:
    """A low count of the operator's is as good as a top-up."""

    async def ask(agent: StandIn) -> None:
        with pytest.raises(Rejected, match="no corrections on the device"):
            await execute(agent, "plan.reconcile", COUNT, role="admin", source="local:root (uid 0)")

    with StandIn(tmp_path, Config()) as agent:
        asyncio.run(ask(agent))
