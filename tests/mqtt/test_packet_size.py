"""Messages larger than a device can bear, over a real mosquitto that takes the largest there are."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from agent.mqtt.sender import Sender
from agent.mqtt.session import MOST_WAITING
from agent.mqtt.target import LARGEST_PACKET_BYTES
from agent.mqtt.transport import Accepted, Connection, Message, Target
from agent.net.wire_cost import Cost
from tests.bench.operator_ear import CONNACK, CONNECT, PUBACK, PUBLISH, packet, text
from tests.commands.standin import DEVICE, FAST, StandIn, config_for
from tests.mqtt.broker import Mosquitto
from tests.mqtt.desk import Desk

REQUESTS = f"modem-agent/v1/{DEVICE}/cmd"
MEMORY_BYTES = 96_000_000  # MemoryMax of systemd/modem-agent.service
LARGEST_BYTES = 268_435_455  # MQTT 5.0, 1.5.5; mosquitto 2.1 takes 2 MB unless told


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    with Mosquitto(folder, f"allow_anonymous true\nmax_packet_size {LARGEST_BYTES}\n") as running:
        yield running


class Device:
    """A process of its own; `peak_bytes` once it has ended."""

    def __init__(self) -> None:
        self.peak_bytes = 0

    @contextlib.asynccontextmanager
    async def online(self, desk: Desk, folder: Path, url: str, protocol: str) -> AsyncIterator[None]:
        words = [sys.executable, "-m", "tests.mqtt.device", str(folder), url, protocol]
        process = await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        births = len([b for b in desk.bodies("/status") if b["state"] == "online"])
        await desk.until(lambda: len([b for b in desk.bodies("/status") if b["state"] == "online"]) > births, 60)
        yield
        said, _ = await process.communicate(b"")
        self.peak_bytes = max(self.peak_bytes, int(said))


class Reports(Desk):
    """Hears what the device says, not the large message itself."""

    async def __aenter__(self) -> Reports:
        await super().__aenter__()
        self.connection.subscribe(f"modem-agent/v1/{DEVICE}/status")
        return self

    def ask(self, id: str) -> None:
        self.send(f"{REQUESTS}/status/{id}/req", {"v": 1, "id": id, "type": "status"})


def publish(broker: Mosquitto, id: str, size: int) -> None:
    """One message of QoS 1 with `size` bytes, acknowledged by the broker."""
    with socket.create_connection(("127.0.0.1", broker.port), timeout=60) as client, client.makefile("rb") as answers:
        client.sendall(packet(CONNECT, 0, text("MQTT") + b"\x04\x02\x00\x3c" + text("large")))
        assert answers.read(4)[0] == CONNACK << 4
        client.sendall(packet(PUBLISH, 2, text(f"{REQUESTS}/status/{id}/req") + b"\x00\x01" + bytes(size)))
        assert answers.read(4)[0] == PUBACK << 4


async def until(done: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if done():
            return
        await asyncio.sleep(0.02)
    raise AssertionError


@pytest.mark.parametrize(
    ("protocol", "size"), [("5", 30_000_000), ("5", 200_000_000), ("3.1.1", 30_000_000), ("3.1.1", 200_000_000)]
)
def test_a_large_message_costs_no_memory_and_comes_once(
    broker: Mosquitto, tmp_path: Path, protocol: str, size: int
) -> None:
    async def story() -> None:
        device = Device()
        async with Reports(broker.port, f"{REQUESTS}/+/+/res") as desk:
            async with device.online(desk, tmp_path, broker.url, protocol):
                pass  # its session keeps what comes while it is away
            publish(broker, "large", size)
            desk.ask("after")
            async with device.online(desk, tmp_path, broker.url, protocol):
                await desk.until(lambda: desk.answers("after"), 120)
            async with device.online(desk, tmp_path, broker.url, protocol):
                desk.ask("again")
                await desk.until(lambda: desk.answers("again"), 60)
            # With MQTT 5 the broker knows the limit and drops the message (3.1.2.11.4).
            told = [a["state"] for a in desk.answers("large")]
            assert told == ([] if protocol == "5" else ["rejected"])
            assert len([b for b in desk.bodies("/status") if b["state"] == "lost"]) == 0
        assert device.peak_bytes < MEMORY_BYTES

    asyncio.run(story())


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("over", [-200, 1], ids=["below", "above"])
def test_the_limit_itself(broker: Mosquitto, tmp_path: Path, protocol: str, over: int) -> None:
    """Whatever reaches the device is answered; nothing ends its session."""

    async def story() -> None:
        async with (
            Reports(broker.port, f"{REQUESTS}/+/+/res") as desk,
            StandIn(tmp_path, config_for(broker.url, protocol=protocol)) as agent,
        ):
            await desk.until(lambda: desk.bodies("/status"))
            publish(broker, "edge", LARGEST_PACKET_BYTES + over)
            desk.ask("after")
            await desk.until(lambda: desk.answers("after"))
            heard = protocol == "3.1.1" or over < 0
            assert [a["state"] for a in desk.answers("edge")] == (["rejected"] if heard else [])
            assert "operator.session-lost" not in agent.session.faults

    asyncio.run(story())


def test_a_command_of_qos_0_is_answered_and_not_acknowledged(broker: Mosquitto, tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            Reports(broker.port, f"{REQUESTS}/+/+/res") as desk,
            StandIn(tmp_path, config_for(broker.url)) as agent,
        ):
            await desk.until(lambda: desk.bodies("/status"))
            body = b'{"v": 1, "id": "once", "type": "status"}'
            desk.connection.publish(Message(f"{REQUESTS}/status/once/req", body, qos=0))
            await desk.until(lambda: desk.answers("once"))
            desk.ask("after")
            await desk.until(lambda: desk.answers("after"))
            assert "operator.session-lost" not in agent.session.faults

    asyncio.run(story())


def test_a_flood_of_qos_0_does_not_pile_up(broker: Mosquitto, tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            Reports(broker.port, f"{REQUESTS}/+/+/res") as desk,
            StandIn(tmp_path, config_for(broker.url)) as agent,
        ):
            await desk.until(lambda: desk.bodies("/status"))
            held, deliver = asyncio.Event(), agent.session._deliver

            async def slow(message: object) -> None:
                await held.wait()
                await deliver(message)  # type: ignore[arg-type]

            agent.session._deliver = slow
            for _ in range(6 * MOST_WAITING):
                desk.connection.publish(Message(f"{REQUESTS}/status/flood/req", b"{}", qos=0))
            await until(lambda: agent.session.faults.get("operator.inbound-dropped", 0) >= MOST_WAITING)
            held.set()
            await until(lambda: agent.runner.faults.get("commands.command-rejected", 0) > 0)
            assert "operator.session-lost" not in agent.session.faults

    asyncio.run(story())


class Slow(Connection):
    """A connection that is not there: `skipping` and what it received are what the test says."""

    skipping = False
    received_bytes = 0

    def publish(self, message: Message) -> int:
        return 1

    def cost(self) -> Cost:
        return Cost(0, self.received_bytes)


def test_what_waits_behind_a_packet_beyond_the_limit_is_waited_for(tmp_path: Path) -> None:
    """On a slow line a PUBACK comes after it, however long that takes: a new session would bring it again."""

    async def story() -> None:
        with StandIn(tmp_path, config_for("mqtt://127.0.0.1:9")) as agent:
            await agent.outbox.open()
            slow = Slow(Target("127.0.0.1", 9, "x", 60), lambda event: None)
            sender = Sender(
                slow, Accepted(False), agent.outbox, agent.twins, "status", FAST, agent.clock.now, lambda name: None
            )
            sender.publish_presence(b"{}")
            looks = [(True, 1_000, ""), (True, 2_000, ""), (True, 2_000, "no PUBACK"), (False, 3_000, "no PUBACK")]
            for skipping, slow.received_bytes, ends in looks:
                slow.skipping = skipping  # type: ignore[misc]
                agent.clock.boot_s += FAST.puback_s + 1
                assert await agent.session._look_after(slow, sender) == ends

    asyncio.run(story())
