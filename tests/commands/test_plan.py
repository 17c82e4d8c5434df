"""An override says when it ends: in the answer, and in the words of its arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.commands.table import COMMANDS
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
