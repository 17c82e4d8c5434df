"""What is retained is there again when the broker lost it, or is another one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.config import Config
from tests.commands.standin import StandIn, config_for
from tests.mqtt.broker import Mosquitto
from tests.mqtt.desk import Desk

TWINS = {"info", "sim", "plan", "config"}


def broker_in(folder: Path) -> Mosquitto:
    folder.mkdir()
    return Mosquitto(folder)


def retained(desk: Desk) -> set[str]:
    """The last levels of the topics that the broker holds for the device."""
    return {topic.rpartition("/")[2] for topic, payload, held in desk.messages if held and payload}


async def shown(broker: Mosquitto, wanted: set[str]) -> dict[str, Any]:
    """Look at the broker until it holds all that is wanted; the plan that it holds."""
    for _ in range(100):
        async with Desk(broker.port, "modem-agent/v1/+/#") as desk:
            if await _comes(desk, lambda: wanted <= retained(desk)):
                return desk.bodies("/twin/plan")[-1]
    raise AssertionError(f"retained are {retained(desk)} of {wanted}")


async def _comes(desk: Desk, done: Callable[[], bool]) -> bool:
    try:
        await desk.until(done, 0.3)
    except (asyncio.TimeoutError, TimeoutError):
        return False
    return True


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_broker_that_lost_its_database_is_told_anew(tmp_path: Path, protocol: str) -> None:
    async def story() -> None:
        broker = broker_in(tmp_path / "broker")
        with broker:
            async with StandIn(tmp_path, config_for(broker.url, protocol=protocol)) as agent:
                agent.reporter.alarm("shaper", {"reason": "unenforced", "advice": ""})
                before = await shown(broker, TWINS | {"status", "shaper"})
                broker.stop()
                (broker.folder / "mosquitto.db").unlink()
                broker.start()
                after = await shown(broker, TWINS | {"status", "shaper"})
                assert after["rev"] == before["rev"]  # the content did not change

    asyncio.run(story())


def test_usage_is_retained(tmp_path: Path) -> None:
    async def story() -> None:
        with broker_in(tmp_path / "broker") as broker:
            async with StandIn(tmp_path, config_for(broker.url)) as agent:
                agent.ledger = replace(agent.ledger, received_bytes=10_390_000_000)
                await agent.reporter.report()
            plan = await shown(broker, {"plan"})
            assert (plan["UsedPercent"], plan["LimitBytes"]) == (25, 40_000_000_000)

    asyncio.run(story())


def test_a_device_that_was_down_meanwhile_does_the_same(tmp_path: Path) -> None:
    async def story() -> None:
        broker = broker_in(tmp_path / "broker")
        with broker:
            config = config_for(broker.url)
            async with StandIn(tmp_path, config):
                await shown(broker, TWINS | {"status"})
            broker.stop()
            (broker.folder / "mosquitto.db").unlink()
            broker.start()
            async with StandIn(tmp_path, config, instance="2"):
                await shown(broker, TWINS | {"status"})

    asyncio.run(story())


def test_another_broker_is_told_all_and_so_is_the_first_one_on_return(tmp_path: Path) -> None:
    """Its session there is still present, but what changed meanwhile was acknowledged by the other."""

    async def story() -> None:
        with broker_in(tmp_path / "first") as first, broker_in(tmp_path / "second") as second:
            for number, (broker, days) in enumerate([(first, 1), (second, 2), (first, 2)]):
                config = _billed_from(config_for(broker.url), days)
                async with StandIn(tmp_path, config, instance=str(number)):
                    for _ in range(50):
                        if (await shown(broker, TWINS | {"status"}))["BillingDay"] == days:
                            break
                    else:
                        raise AssertionError(f"not told of day {days}")

    asyncio.run(story())


def _billed_from(config: Config, day: int) -> Config:
    return replace(config, plan=replace(config.plan, billing_day=day))


def test_a_session_that_is_present_costs_no_twin(tmp_path: Path) -> None:
    async def story() -> None:
        with broker_in(tmp_path / "broker") as broker:
            config = config_for(broker.url)
            async with StandIn(tmp_path, config):
                await shown(broker, TWINS | {"status"})
            async with Desk(broker.port, "modem-agent/v1/+/#") as desk:
                async with StandIn(tmp_path, config, instance="2"):
                    await desk.until(lambda: [t for t, _, held in desk.messages if "/m/traffic" in t and not held])
                assert not [topic for topic, _, held in desk.messages if "/twin/" in topic and not held]

    asyncio.run(story())


def test_a_rebirth_brings_the_raised_alarms_too(tmp_path: Path) -> None:
    """Where the broker does not send what is retained for wildcards, it is the way to them."""

    async def story() -> None:
        with broker_in(tmp_path / "broker") as broker:
            async with Desk(broker.port) as desk, StandIn(tmp_path, config_for(broker.url)) as agent:
                agent.reporter.alarm("shaper", {"reason": "unenforced", "advice": ""})
                agent.reporter.alarm("store", {"reason": "read-only", "text": "x"})
                agent.reporter.alarm("store", None)
                await desk.until(lambda: [b for b in desk.bodies("/a/store") if b["state"] == "cleared"])
                told = len(desk.bodies("/a/shaper"))
                await agent.rebirth()
                await desk.until(lambda: len(desk.bodies("/a/shaper")) > told)
                assert desk.bodies("/a/store")[-1]["state"] == "cleared"

    asyncio.run(story())
