"""A month that is over is sealed once, the seal and its event together."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from agent.config import Config
from agent.daemon.tasks.statement import Sealing
from agent.errors import StoreError
from agent.events import unheard
from agent.plan import Ledger, OperatorCount, reconcile, settle
from agent.statement_schema import Answer
from agent.store import Database
from tests.commands.standin import StandIn
from tests.mqtt import events

NOVEMBER = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)


def month_over(agent: StandIn) -> None:
    agent.clock.wall = NOVEMBER
    used = replace(Ledger.new(agent.config.plan, agent.clock.now()), received_bytes=3_000_000_000)
    agent.clock.wall = NOVEMBER + timedelta(days=11)
    agent.ledger = settle(used, agent.clock.now(), agent.config.plan)


def told(agent: StandIn) -> list[dict[str, Any]]:
    return [details for name, details in agent.events if name == "statement"]


def sealed(database: Database) -> Answer | None:
    return database.statements.of("2026-11")


def test_a_month_that_is_over_is_sealed_and_told_once(tmp_path: Path) -> None:
    async def story(agent: StandIn) -> None:
        sealing = Sealing(agent, unheard)
        await sealing.look()
        assert told(agent) == []
        month_over(agent)
        for _ in range(3):
            await sealing.look()
        await Sealing(agent, unheard).look()  # after a restart
        (event,) = told(agent)
        events.check("events", "statement", event)
        found = await agent.store.run(sealed)
        assert found is not None
        assert (found["hash"], found["n"]) == (event["hash"], event["n"])
        assert found["statement"]["own_bytes"] == event["OwnBytes"] == 3_000_000_000

    with StandIn(tmp_path, Config()) as agent:
        asyncio.run(story(agent))


def test_a_late_count_of_the_operator_seals_it_again(tmp_path: Path) -> None:
    async def story(agent: StandIn) -> None:
        month_over(agent)
        sealing = Sealing(agent, unheard)
        await sealing.look()
        count = OperatorCount("pcrf", NOVEMBER, 4_000_000_000, True, own_bytes=3_000_000_000, period="2026-11-01")
        agent.ledger = reconcile(agent.ledger, count, agent.clock.now(), agent.config.plan)
        await sealing.look()
        first, second = told(agent)
        assert (second["before"], second["UsedBytes"]) == (first["hash"], 4_000_000_000)

    with StandIn(tmp_path, Config()) as agent:
        asyncio.run(story(agent))


def test_a_disk_that_refuses_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(agent: StandIn) -> None:
        month_over(agent)
        sealing = Sealing(agent, unheard)
        with monkeypatch.context() as broken:
            broken.setattr(Database, "keep", refuse)
            with pytest.raises(StoreError):
                await sealing.look()
        await sealing.look()
        assert len(told(agent)) == 1

    def refuse(self: Database, ledger: Ledger) -> None:
        raise StoreError("full")

    with StandIn(tmp_path, Config()) as agent:
        asyncio.run(story(agent))
