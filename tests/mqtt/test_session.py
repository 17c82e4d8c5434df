"""The session against a real mosquitto: born, heard, cut, back, and never lying about presence."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.mqtt import reports
from agent.mqtt.transport import Event, Inbound
from tests.commands.standin import DEVICE, StandIn, config_for
from tests.mqtt.broker import Mosquitto
from tests.mqtt.desk import Desk

BASE = f"modem-agent/v1/{DEVICE}"


def envelope(type: str, id: str, args: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"v": 1, "id": id, "type": type, "args": args or {}, **more}


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_birth_reports_and_a_command(broker: Mosquitto, tmp_path: Path, protocol: str) -> None:
    async def story() -> None:
        async with Desk(broker.port) as desk, StandIn(tmp_path, config_for(broker.url, protocol=protocol)):
            await desk.until(
                lambda: desk.bodies("/m/traffic") and desk.bodies("/m/state") and desk.bodies("/twin/info")
            )
            birth = desk.bodies("/status")[0]
            assert birth["state"] == "online"
            desk.send(f"{BASE}/cmd/status/one/req", envelope("status", "one"))
            await desk.until(lambda: [a for a in desk.answers("one") if a["state"] == "succeeded"])
            assert [(a["n"], a["state"]) for a in desk.answers("one")] == [(1, "succeeded")]
            assert desk.answers("one")[-1]["out"]["device"] == DEVICE
            desk.send(f"{BASE}/cmd/throttle.auto/two/req", envelope("throttle.auto", "two"))
            await desk.until(lambda: [a for a in desk.answers("two") if a["state"] == "succeeded"])
            assert [(a["n"], a["state"]) for a in desk.answers("two")] == [
                (1, "accepted"),
                (2, "running"),
                (3, "succeeded"),
            ]

    asyncio.run(story())


def test_clean_end_says_offline_and_a_cut_says_lost(broker: Mosquitto, tmp_path: Path) -> None:
    async def story() -> None:
        async with Desk(broker.port) as desk:
            async with StandIn(tmp_path, config_for(broker.url)) as agent:
                await desk.until(lambda: desk.bodies("/status"))
                first = desk.bodies("/status")[0]["session"]
                assert agent.session._connection is not None
                agent.session._connection.drop()
                await desk.until(lambda: [b for b in desk.bodies("/status") if b["state"] == "lost"])
                await desk.until(lambda: [b for b in desk.bodies("/status") if b["session"] > first])
            await desk.until(lambda: desk.bodies("/status")[-1]["state"] == "offline")
            seen = [(b["state"], b["session"]) for b in desk.bodies("/status")]
            assert ("lost", first) in seen
            assert seen[-1] == ("offline", first + 1)

    asyncio.run(story())


def test_top_up_is_done_once_however_often_it_is_sent(broker: Mosquitto, tmp_path: Path) -> None:
    async def story() -> None:
        async with Desk(broker.port) as desk, StandIn(tmp_path, config_for(broker.url)) as agent:
            await desk.until(lambda: desk.bodies("/status"))
            before = agent.snapshot().usage.limit_bytes
            for _ in range(3):
                desk.send(f"{BASE}/cmd/plan.topup/t1/req", envelope("plan.topup", "t1", {"bytes": 5_000_000_000}))
            await desk.until(lambda: len([a for a in desk.answers("t1") if a["state"] == "succeeded"]) >= 1)
            desk.send(f"{BASE}/cmd/status/after/req", envelope("status", "after"))
            await desk.until(lambda: [a for a in desk.answers("after") if a["state"] == "succeeded"])
            assert agent.snapshot().usage.limit_bytes == before + 5_000_000_000
            finals = {json.dumps(a["out"]) for a in desk.answers("t1") if a["state"] == "succeeded"}
            assert len(finals) == 1

    asyncio.run(story())


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (b"not json", "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[]", "not a JSON object"),
        (b"x" * 100_000, "payload of 100000 bytes"),
        (b"[" * 60_000, "nested too deeply"),
        (json.dumps(envelope("status", "two")).encode(), "id does not agree"),
        (json.dumps({**envelope("status", "bad"), "aud": "imei::1"}).encode(), "another device"),
        (json.dumps(envelope("status", "bad", {"x": 1})).encode(), "unknown argument"),
    ],
    ids=["text", "bytes", "list", "large", "deep", "id", "device", "argument"],
)
def test_nonsense_is_rejected_with_a_reason(broker: Mosquitto, tmp_path: Path, payload: bytes, says: str) -> None:
    async def story() -> None:
        async with Desk(broker.port) as desk, StandIn(tmp_path, config_for(broker.url)) as agent:
            await desk.until(lambda: desk.bodies("/status"))
            desk.send(f"{BASE}/cmd/status/bad/req", payload)
            await desk.until(lambda: desk.answers("bad"))
            assert desk.answers("bad")[0]["state"] == "rejected"
            assert says in desk.answers("bad")[0]["reason"]
            desk.send(f"{BASE}/cmd/status/good/req", envelope("status", "good"))
            await desk.until(lambda: [a for a in desk.answers("good") if a["state"] == "succeeded"])
            assert agent.runner.faults["commands.command-rejected"] == 1

    asyncio.run(story())


def test_reports_of_an_outage_arrive_in_order_and_without_a_gap(broker: Mosquitto, tmp_path: Path) -> None:
    async def story() -> None:
        async with Desk(broker.port) as desk, StandIn(tmp_path, config_for(broker.url)) as agent:
            await desk.until(lambda: desk.bodies("/m/"))
            broker.stop(kill=True)
            for number in range(40):
                body = reports.traffic(agent.snapshot().to_dict(), agent_bytes=1_000_000 + number)
                await agent.outbox.measure(agent.topics.measurement("traffic"), body)
                if number % 10 == 0:
                    agent.event("stalled", {"task": str(number)})
                    await agent.reporter.report()
        assert desk.refused is not None
        broker.start()
        async with Desk(broker.port) as desk, StandIn(tmp_path, config_for(broker.url), instance="2") as agent:
            await desk.until(lambda: [b for b in desk.bodies("/m/traffic") if b["AgentBytes"] == 1_000_039])
            numbers = [b["AgentBytes"] - 1_000_000 for b in desk.bodies("/m/traffic") if b["AgentBytes"] >= 1_000_000]
            assert list(dict.fromkeys(numbers)) == list(range(40))
            seqs = {b["seq"] for part in ("/m/", "/e/") for b in desk.bodies(part)}
            lost = {n for b in desk.bodies("/e/lost") for _, low, high in b["ranges"] for n in range(low, high + 1)}
            assert not lost
            assert set(range(min(seqs), max(seqs) + 1)) == seqs

    asyncio.run(story())


class Hearing(Desk):
    """Also keeps what an answer was correlated with, by topic."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.correlations: dict[str, bytes] = {}

    async def __aenter__(self) -> Hearing:
        await super().__aenter__()
        return self

    def _event(self, event: Event) -> None:
        if isinstance(event, Inbound):
            self.correlations[event.topic] = event.correlation
        super()._event(event)

    def ask(self, topic: str, body: dict[str, Any], response_topic: str) -> None:
        properties = Properties(PacketTypes.PUBLISH)
        properties.ResponseTopic, properties.CorrelationData = response_topic, b"42"
        self.connection._client.publish(topic, json.dumps(body).encode(), 1, False, properties)


@pytest.mark.parametrize(
    ("asked", "used"),
    [
        (f"{BASE}/cmd/desk/inbox/res", f"{BASE}/cmd/desk/inbox/res"),
        (f"{BASE}/status", f"{BASE}/cmd/status/one/res"),  # it would lie about presence
        ("modem-agent/v1/other/cmd/desk/inbox/res", f"{BASE}/cmd/status/one/res"),
        ("elsewhere", f"{BASE}/cmd/status/one/res"),
    ],
)
def test_a_response_topic_is_honoured_inside_the_own_prefix_alone(
    broker: Mosquitto, tmp_path: Path, asked: str, used: str
) -> None:
    async def story() -> None:
        async with Hearing(broker.port) as desk, StandIn(tmp_path, config_for(broker.url)):
            await desk.until(lambda: desk.bodies("/status"))
            desk.ask(f"{BASE}/cmd/status/one/req", envelope("status", "one"), asked)
            await desk.until(lambda: desk.answers("one"))
            (topic,) = [topic for topic, payload, _ in desk.messages if b'"succeeded"' in payload]
            assert topic == used
            assert desk.correlations[topic] == (b"42" if asked == used else b"")
            assert not [topic for topic, _, _ in desk.messages if topic == asked != used and "/status" not in topic]

    asyncio.run(story())
