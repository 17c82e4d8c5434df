"""What a broker asks for is obeyed: another server, time to breathe, few messages at once; refusals are believed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agent.config import Config
from agent.keeper import Report
from agent.mqtt import reconnection
from agent.mqtt.reconnection import End
from tests.commands.standin import BOOT, StandIn, config_for
from tests.mqtt.scripted import RECEIVE_MAXIMUM, TOPIC_ALIAS_MAXIMUM, Says, Scripted, reference, two_bytes

LATER = "0a0a0a0a-0000-4000-8000-000000000002"


def tell(tmp_path: Path, broker: Scripted, story: Callable[[StandIn], Awaitable[None]], **operator: Any) -> None:
    async def run() -> None:
        async with broker, StandIn(tmp_path, config_for(broker.url, **operator)) as agent:
            await story(agent)

    asyncio.run(run())


async def until(done: Callable[[], Any]) -> None:
    for _ in range(1_000):
        if done():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to be")


@pytest.mark.parametrize("code", [reconnection.USE_ANOTHER_SERVER, reconnection.SERVER_MOVED])
@pytest.mark.parametrize("when", ["at CONNACK", "later"])
def test_another_server_is_gone_to(tmp_path: Path, code: int, when: str) -> None:
    async def run() -> None:
        async with Scripted() as other:
            there = reference(f"127.0.0.1:{other.port}")
            says = Says(code=code, properties=there) if when == "at CONNACK" else Says(ends=code, ends_with=there)
            async with Scripted((says,)) as first, StandIn(tmp_path, config_for(first.url)) as agent:
                await until(lambda: any(topic.endswith(b"/m/traffic") for topic in other.published))
                assert (first.connections, other.connections) == (1, 1)
                assert agent.session.state.broker == f"127.0.0.1:{other.port}"

    asyncio.run(run())


def test_a_server_that_does_not_answer_where_we_were_sent_is_given_up(tmp_path: Path) -> None:
    """The configured one is tried again."""
    nobody = reference("127.0.0.1:9")
    broker = Scripted((Says(code=reconnection.USE_ANOTHER_SERVER, properties=nobody), Says()))

    async def story(agent: StandIn) -> None:
        await until(lambda: agent.session.state.connected)
        assert broker.connections == 2

    tell(tmp_path, broker, story)


@pytest.mark.parametrize(
    ("says", "end", "at_least_s"),
    [
        (Says(code=reconnection.SERVER_BUSY), End.REFUSED, 450),
        (Says(code=reconnection.QUOTA_EXCEEDED), End.REFUSED, 450),
        (Says(code=reconnection.BAD_CREDENTIALS), End.REFUSED, 1_800),
        (Says(code=reconnection.NOT_AUTHORIZED), End.REFUSED, 1_800),
        (Says(code=reconnection.BANNED), End.REFUSED, 1_800),
        (Says(ends=reconnection.SERVER_BUSY), End.LOST, 450),
        (Says(ends=reconnection.RATE_EXCEEDED), End.LOST, 450),
        (Says(ends=reconnection.QUOTA_EXCEEDED), End.LOST, 450),
    ],
)
def test_a_broker_that_wants_peace_gets_it(tmp_path: Path, says: Says, end: End, at_least_s: float) -> None:
    async def run() -> None:
        async with Scripted((says,)) as broker:
            with StandIn(tmp_path, config_for(broker.url, protocol="5")) as agent:
                await agent.outbox.open()
                outcome = await agent.session._attempt()
                assert (outcome.end, outcome.code) == (end, says.code or says.ends)
                assert reconnection.Reconnection(dice=Random(1)).after(outcome) >= at_least_s

    asyncio.run(run())


def test_no_more_is_in_flight_than_the_broker_takes(tmp_path: Path) -> None:
    broker = Scripted((Says(properties=two_bytes(RECEIVE_MAXIMUM, 3), acknowledges=False),))

    async def story(agent: StandIn) -> None:
        for number in range(10):
            agent.event("warning", {"number": number})
        await until(lambda: len(broker.published) == 3)
        await asyncio.sleep(0.2)
        assert len(broker.published) == 3

    tell(tmp_path, broker, story)


@pytest.mark.parametrize(("most", "in_full"), [(0, 4), (1, 4), (9, 1)])
def test_a_measurement_is_named_in_full_once_where_the_broker_knows_aliases(
    tmp_path: Path, most: int, in_full: int
) -> None:
    """m/traffic and m/state come first and take the aliases that there are."""
    broker = Scripted((Says(properties=two_bytes(TOPIC_ALIAS_MAXIMUM, most)),))

    async def story(agent: StandIn) -> None:
        await until(lambda: any(topic.endswith(b"/m/state") for topic in broker.published))
        for _ in range(4):
            await agent.outbox.measure(agent.topics.measurement("test"), {})
        await until(lambda: not agent.outbox.rows)
        named = sum(topic.endswith(b"/m/test") for topic in broker.published)
        assert (named, broker.published.count(b"")) == (in_full, 4 - in_full)

    tell(tmp_path, broker, story)


def test_a_broker_that_owes_its_puback_is_left(tmp_path: Path) -> None:
    """The TCP connection stands and pings are answered: only the PUBACK tells that nothing arrives."""
    broker = Scripted((Says(acknowledges=False), Says()))

    async def story(agent: StandIn) -> None:
        agent.session._timing = replace(agent.session._timing, puback_s=60.0)
        await until(lambda: broker.published)
        assert agent.session.state.connected
        agent.clock.boot_s += 61
        await until(lambda: broker.connections == 2 and agent.session.state.connected and not agent.outbox.rows)
        assert agent.session.faults["operator.session-silent"] == 1
        assert agent.session.state.keepalive_s == 500  # it died in silence

    tell(tmp_path, broker, story)


def test_a_refused_report_is_given_up_and_told(tmp_path: Path) -> None:
    """PUBACK 0x87: sending it again would only be refused again."""
    broker = Scripted((Says(puback=lambda body: 0x87 if b"/e/secret" in body else 0),))

    async def story(agent: StandIn) -> None:
        agent.event("secret", {})
        await until(lambda: agent.session.faults.get("operator.refused-publish"))
        agent.event("other", {})
        await until(lambda: any(topic.endswith(b"/e/lost") for topic in broker.published))
        assert broker.connections == 1

    tell(tmp_path, broker, story)


def test_a_refused_report_of_an_earlier_boot_is_told_too(tmp_path: Path) -> None:
    says = Says(puback=lambda body: 0x87 if b"/e/secret" in body else 0)

    async def run() -> None:
        with StandIn(tmp_path, Config()) as agent:
            await agent.outbox.open()
            await agent.outbox.add(Report(agent.topics.event("secret"), {}))
            await agent.outbox.flush(last=True)
        async with Scripted((says,)) as broker, StandIn(tmp_path, config_for(broker.url), boot=LATER) as agent:
            await until(lambda: agent.session.faults.get("operator.refused-publish"))
            agent.event("other", {})
            await until(lambda: broker.bodies(b"/e/lost"))
            assert broker.bodies(b"/e/lost")[0]["ranges"] == [[BOOT[:8], 1, 1]]

    asyncio.run(run())


def test_a_broker_out_of_room_ends_the_session_and_the_report_is_kept(tmp_path: Path) -> None:
    """PUBACK 0x97 (quota): not for ever, so the report is sent again after a wait."""
    says = Says(puback=lambda body: reconnection.QUOTA_EXCEEDED if b"/e/mark" in body else 0)

    async def run() -> None:
        async with Scripted((says,)) as broker:
            with StandIn(tmp_path, config_for(broker.url)) as agent:
                await agent.outbox.open()
                await agent.outbox.add(Report(agent.topics.event("mark"), {}))
                outcome = await agent.session._attempt()
                assert (outcome.end, outcome.code) == (End.LOST, reconnection.QUOTA_EXCEEDED)
                assert reconnection.Reconnection(dice=Random(1)).after(outcome) >= 450
                assert agent.outbox.rows == 1

    asyncio.run(run())
