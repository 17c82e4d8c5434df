"""The operator's end for tests: a raw client that records what it is told and sends commands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from agent.mqtt.transport import Accepted, Closed, Connection, Event, Inbound, Message, Refused, Subscribed, Target
from tests.mqtt import contract


class Desk:
    """Subscribes to everything; `messages` holds topic, payload and retain flag in the order of arrival."""

    def __init__(self, port: int, topic_filter: str = "#", **target: Any) -> None:
        arguments = {"host": "127.0.0.1", "port": port, "client_id": "desk", "keepalive_s": 60, "clean": True, **target}
        self.target = Target(**arguments)
        self.topic_filter = topic_filter
        self.messages: list[tuple[str, bytes, bool]] = []
        self.problems: list[str] = []  # messages that are not as published
        self._news = asyncio.Event()
        self.refused: Refused | Closed | None = None
        self._ready = asyncio.Event()

    async def __aenter__(self) -> Desk:
        self.connection = Connection(self.target, self._event)
        await self.connection.open()
        await asyncio.wait_for(self._ready.wait(), 10)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close(graceful=True)
        assert not self.problems, self.problems[0]

    def _event(self, event: Event) -> None:
        match event:
            case Accepted():
                self.connection.subscribe(self.topic_filter)
            case Subscribed():
                self._ready.set()
            case Refused() | Closed():
                self.refused = event
                self._ready.set()
            case Inbound():
                self.messages.append((event.topic, event.payload, event.retained))
                if not event.topic.endswith("/req"):
                    self._check(event)
                self.connection.acknowledge(event.mid)
                self._news.set()

    def _check(self, event: Inbound) -> None:
        try:
            contract.check(event.topic, event.payload)
        except Exception as problem:
            self.problems.append(f"{event.topic}: {problem}")

    def send(self, topic: str, body: Any, *, retain: bool = False) -> None:
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.connection.publish(Message(topic, payload, retain=retain))

    async def until(self, done: Callable[[], Any], seconds: float = 15.0) -> Any:
        """Wait until `done()` is true of what has been received."""

        async def wait() -> Any:
            while not (result := done()):
                self._news.clear()
                await self._news.wait()
            return result

        return await asyncio.wait_for(wait(), seconds)

    def bodies(self, part: str) -> list[dict[str, Any]]:
        """JSON payloads of the topics that contain `part`."""
        return [json.loads(payload) for topic, payload, _ in self.messages if part in topic and payload]

    def answers(self, id: str) -> list[dict[str, Any]]:
        return [body for body in self.bodies("/res") if body["id"] == id]
