"""A session whose connections do what the test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

from agent.events import Occurrence
from agent.keeper import Report
from agent.mqtt.session import Tick
from agent.mqtt.transport import Accepted, Closed, Connection, Inbound, Message, Target
from agent.net.wire_cost import Cost
from tests.commands.standin import StandIn, config_for

Told = Callable[[Any], None]


class Line:
    """agent.mqtt.transport.Connection without a broker: the test says what comes."""

    def __init__(self, target: Target, on_event: Told, *, will: Message) -> None:
        self.target, self.tell, self.will = target, on_event, will
        self.published: list[Message] = []
        self.acknowledged: list[int] = []
        self.subscribed: list[str] = []
        self.cut, self.graceful, self.skipping = False, False, False
        self.used = Cost()
        self.failure: Exception | None = None

    async def open(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def close(self, *, graceful: bool) -> Cost:
        self.graceful = graceful
        return self.used

    def subscribe(self, topic: str) -> None:
        self.subscribed.append(topic)

    def publish(self, message: Message) -> int:
        self.published.append(message)
        return len(self.published)

    def acknowledge(self, *mids: int) -> None:
        self.acknowledged += mids

    def cost(self) -> Cost:
        return self.used

    def peer(self) -> tuple[str, int]:
        return "192.0.2.7", 8883

    def peer_certificate(self) -> None:
        """There is no TLS."""

    def drop(self) -> None:
        self.cut = True
        self.tell(Closed(0, "dropped"))

    def mids(self, part: str) -> list[int]:
        """The numbers of what was published on topics with this in them."""
        return [mid for mid, message in enumerate(self.published, 1) if part in message.topic]

    def bodies(self, part: str) -> list[dict[str, Any]]:
        return [json.loads(message.payload) for message in self.published if part in message.topic]


class Home:
    """A device whose connections are Lines."""

    def __init__(self, agent: StandIn) -> None:
        self.agent, self.session = agent, agent.session
        self.lines: list[Line] = []
        self.told: list[Occurrence] = []
        self.failure: Exception | None = None
        self.running: asyncio.Task[None] | None = None
        self.session._connect = cast("Callable[..., Connection]", self._connect)
        self.session._emit = self.told.append

    def _connect(self, target: Target, on_event: Told, *, will: Message) -> Line:
        self.lines.append(Line(target, on_event, will=will))
        self.lines[-1].failure = self.failure
        return self.lines[-1]

    @property
    def line(self) -> Line:
        return self.lines[-1]

    async def until(self, done: Callable[[], Any]) -> None:
        for _ in range(20_000):
            if done():
                return
            await asyncio.sleep(0.001)
        raise AssertionError("it never came to be")

    async def turns(self) -> None:
        """As many as anything takes that waits for nothing."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def connected(self, number: int = 1) -> None:
        await self.until(lambda: len(self.lines) >= number)
        self.line.tell(Accepted(session_present=False))
        await self.until(lambda: self.session.state.connected)

    async def ticks(self) -> None:
        """The session looks after its connection, and has done all that it had to."""
        self.line.tell(Tick())
        await self.until(self.session._events.empty)
        await self.turns()


def live(tmp_path: Path, story: Callable[[Home], Awaitable[None]]) -> None:
    async def run() -> None:
        with StandIn(tmp_path, config_for("mqtt://broker.example:1883")) as agent:
            home = Home(agent)
            await agent.outbox.open()
            home.running = asyncio.create_task(home.session.run())
            await story(home)
            await home.session.stop()
            home.line.tell(Closed(0, "stopped"))
            await asyncio.wait_for(home.running, 20)

    asyncio.run(run())


def command(home: Home, mid: int, id: str = "c") -> Inbound:
    body = {"v": 1, "id": id, "type": "throttle.auto", "args": {}}
    return Inbound(home.agent.topics.request("throttle.auto", id), json.dumps(body).encode(), mid, False)


async def reported(home: Home, number: int) -> None:
    await home.agent.outbox.add(Report(home.agent.topics.event("test"), {"number": number}))
