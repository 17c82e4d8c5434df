"""device.erase is an admin's; the next start does it, and answers."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from agent.config import Config
from agent.store import erasure
from tests.commands.standin import StandIn
from tests.commands.test_plan import Roles
from tests.commands.test_runner import Channel, tell


def config(folder: Path) -> Config:
    return replace(Config(), device=replace(Config().device, state_dir=str(folder), run_dir=str(folder / "run")))


@pytest.mark.parametrize(("contract", "kept"), [("ended", False), ("runs", True)])
def test_the_next_start_erases_and_answers(contract: str, kept: bool, tmp_path: Path) -> None:
    async def ask(agent: StandIn, channel: Channel) -> None:
        await channel.send("device.erase", "e", {"contract": contract})
        while "restart" not in agent.asked:  # noqa: ASYNC110  asked of the stand-in; the command waits two minutes for it
            await asyncio.sleep(0.01)

    tell(tmp_path, ask, config=config(tmp_path))
    assert (json.loads((tmp_path / erasure.ASKED).read_text())["ledger"] is not None) is kept
    assert erasure.finish(tmp_path / "agent.db", tmp_path / "run")

    async def answered(agent: StandIn, channel: Channel) -> None:
        await agent.runner.resume()
        await channel.settle()
        await agent.outbox.flush()
        assert [a["state"] for a in await channel.answers("e")] == ["succeeded"]

    tell(tmp_path, answered, config=config(tmp_path), instance="2")


@pytest.mark.parametrize("role", ["read", "act"])
def test_nobody_else_may(role: str, tmp_path: Path) -> None:
    async def ask(agent: StandIn, channel: Channel) -> None:
        await channel.send("device.erase", "e")
        await channel.settle()
        await agent.outbox.flush()
        assert (await channel.answers("e"))[-1]["code"] == 7006
        assert agent.asked == []

    tell(tmp_path, ask, config=config(tmp_path), authority=Roles(role))
    assert not (tmp_path / erasure.ASKED).exists()
