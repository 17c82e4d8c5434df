"""The agent and the desk against RabbitMQ and NATS: what both promise on mosquitto holds there, over MQTT 3.1.1."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.mqtt.transport import Target
from agent.support.client import Client, new_envelope
from agent.support.fleet import Fleet
from tests.brokers.engines import ENGINES, Engine, Nats
from tests.commands.standin import DEVICE, StandIn, config_for
from tests.mqtt.desk import Desk
from tests.mqtt.events import notice

pytestmark = [pytest.mark.brokers, pytest.mark.timeout(240)]
REPORTS = "modem-agent/v1/+/#"


@pytest.fixture(scope="module", params=ENGINES, ids=lambda engine: engine.name)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    running = request.param(tmp_path_factory.mktemp(request.param.name))
    try:
        running.start()
        yield running
    finally:
        running.stop()


def desk_of(engine: Engine, topic_filter: str = REPORTS, **target: Any) -> Desk:
    return Desk(engine.port, topic_filter, protocol="3.1.1", **target)


def test_the_agent_falls_back_to_mqtt_3_and_everything_works(engine: Engine, tmp_path: Path) -> None:
    async def story() -> None:
        async with desk_of(engine) as desk, StandIn(tmp_path, config_for(engine.url, keepalive_s=60)) as agent:
            await desk.until(lambda: desk.bodies("/m/traffic") and desk.bodies("/twin/info"), 60)
            assert agent.session.state.protocol == "3.1.1"
            assert desk.bodies("/status")[-1]["state"] == "online"
            before = agent.snapshot().usage.limit_bytes
            body = {"v": 1, "id": "t1", "type": "plan.topup", "args": {"bytes": 1_000_000_000}}
            for _ in range(2):
                desk.send(agent.topics.request("plan-topup", "t1"), body)
            await desk.until(lambda: [a for a in desk.answers("t1") if a["state"] == "succeeded"], 30)
            assert agent.snapshot().usage.limit_bytes == before + 1_000_000_000

    asyncio.run(story())


def test_presence_through_a_cut(engine: Engine, tmp_path: Path) -> None:
    async def story() -> None:
        async with desk_of(engine) as desk, StandIn(tmp_path, config_for(engine.url, protocol="3.1.1")) as agent:
            await desk.until(lambda: [b for b in desk.bodies("/status") if b["state"] == "online"], 60)
            first = agent.session.state.session
            assert agent.session._connection is not None
            agent.session._connection.drop()
            await desk.until(lambda: [b for b in desk.bodies("/status") if b["session"] > first], 60)
            await desk.until(
                lambda: ("lost", first) in [(b["state"], b["session"]) for b in desk.bodies("/status")], 60
            )

    asyncio.run(story())


def test_a_command_waits_for_a_device_that_is_away(engine: Engine, tmp_path: Path) -> None:
    async def story() -> None:
        config = config_for(engine.url, protocol="3.1.1")
        async with StandIn(tmp_path, config) as agent:
            await _connected(agent)
        async with desk_of(engine) as desk:
            desk.send(agent.topics.request("status", "w1"), {"v": 1, "id": "w1", "type": "status"})
            async with StandIn(tmp_path, config, instance="2"):
                await desk.until(lambda: desk.answers("w1"), 60)
                assert desk.answers("w1")[-1]["state"] == "succeeded"

    asyncio.run(story())


def test_reports_outlive_a_restart_of_the_broker(engine: Engine, tmp_path: Path) -> None:
    async def story() -> None:
        config = config_for(engine.url, protocol="3.1.1")
        async with StandIn(tmp_path, config) as agent:
            await _connected(agent)
            engine.stop()
            for number in range(5):
                agent.event("warning", notice("warning", number))
            await agent.reporter.report()
            engine.start()
            async with desk_of(engine, client_id="late") as desk:
                agent.event("warning", notice("warning", 99))
                await desk.until(lambda: [b for b in desk.bodies("/e/warning") if b["percent"] == 99], 60)
            await _drained(agent)

    asyncio.run(story())


def test_the_desk_sees_its_fleet(engine: Engine, tmp_path: Path) -> None:
    """With what is retained where the broker sends it for wildcards, by asking for a rebirth where it does not."""

    async def story() -> None:
        config = config_for(engine.url, protocol="3.1.1")
        async with StandIn(tmp_path, config) as agent:
            await _connected(agent)
            target = Target("127.0.0.1", engine.port, "", 60, protocol="auto")
            fleet = Fleet()
            async with Client(target, "modem-agent", dots=False) as client:
                for below in ("status", "twin/plan", "m/traffic", "a/+"):
                    client.subscribe(below)
                if not isinstance(engine, Nats):
                    client.request(DEVICE, new_envelope("agent.rebirth", {}, device=DEVICE, issuer="support", ttl_s=60))
                async for message in client.messages(20):
                    member = fleet.take(message)
                    if member.presence == "online" and member.limit_bytes:
                        break
            assert fleet.members[DEVICE].presence == "online"

    asyncio.run(story())


async def _connected(agent: StandIn) -> None:
    for _ in range(1_200):
        if agent.session.state.connected:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(agent.session.state.last_error)


async def _drained(agent: StandIn) -> None:
    for _ in range(600):
        if agent.outbox.rows == 0:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{agent.outbox.rows} reports are left")
