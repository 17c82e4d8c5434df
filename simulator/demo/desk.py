"""Support's desk: an MQTT client in the operator's namespace that sees what the device says and sends commands."""

from __future__ import annotations

import json
import queue
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt

from simulator.demo.network import OPERATOR, inside

LINE = 100  # characters of a message that are shown
FINAL_STATES = frozenset({"succeeded", "failed", "rejected", "expired", "cancelled", "timed-out"})


@dataclass(frozen=True, slots=True)
class Message:
    """One message as support sees it; `payload` is parsed JSON, or None for an empty one."""

    at_s: float
    topic: str
    payload: Any


class Desk:
    """Subscribes to everything below the root and keeps it."""

    def __init__(
        self,
        address: str,
        port: int,
        clock: Callable[[], float],
        *,
        say: Callable[[str, str], None] = lambda text, style: None,
        root: str = "modem-agent",
    ) -> None:
        self.messages: list[Message] = []
        self._clock, self._say = clock, say
        self._root = root
        self._arrived: queue.Queue[Message] = queue.Queue()
        self._client = _client()
        self._client.on_connect = lambda client, *_: client.subscribe(f"{root}/#", qos=1)
        self._client.on_message = self._take
        with inside(OPERATOR):  # the client's thread is born here and stays
            self._client.connect(address, port)
            self._client.loop_start()

    def _take(self, _client: Any, _data: Any, message: Any) -> None:
        try:
            payload = json.loads(message.payload) if message.payload else None
        except ValueError:
            payload = repr(message.payload[:80])
        entry = Message(self._clock(), message.topic, payload)
        self.messages.append(entry)
        self._say(f"  mqtt  {_short(entry, self._root)}", "dim")
        self._arrived.put(entry)

    def wait_for(self, wanted: Callable[[Message], bool], timeout_s: float, since: int = 0) -> Message | None:
        """The first message from index `since` on that is wanted, waiting for it if need be."""
        deadline = time.monotonic() + timeout_s
        seen = since
        while True:
            for message in self.messages[seen:]:
                seen += 1
                if wanted(message):
                    return message
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            try:
                self._arrived.get(timeout=min(left, 0.5))
            except queue.Empty:
                continue

    def command(self, device: str, kind: str, args: dict[str, Any], timeout_s: float = 20) -> tuple[list[Any], float]:
        """Send one command and wait for its final answer: (all answers, seconds it took)."""
        identity, since, start = uuid.uuid4().hex, len(self.messages), time.monotonic()
        topic = f"{self._root}/v1/{device}/cmd/{kind}/{identity}"
        envelope = {"v": 1, "id": identity, "type": kind, "args": args, "ttl": 60, "iss": "support:demo", "aud": device}
        self._client.publish(topic + "/req", json.dumps(envelope), qos=1)
        self.wait_for(
            lambda m: m.topic == topic + "/res" and m.payload and m.payload["state"] in FINAL_STATES, timeout_s, since
        )
        took = time.monotonic() - start
        return [m.payload for m in self.messages[since:] if m.topic == topic + "/res"], took

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def _client() -> Any:
    """A client of either generation of paho."""
    if hasattr(mqtt, "CallbackAPIVersion"):
        return mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="support-desk")
    return mqtt.Client(client_id="support-desk")


def _short(message: Message, root: str) -> str:
    """One message on one line, as support's eye would pick it out."""
    name = "/".join(message.topic.removeprefix(f"{root}/v1/").split("/")[1:])
    if not isinstance(message.payload, dict):
        return f"{name} {message.payload if message.payload is not None else '(empty)'}"
    skip = {"v", "seq", "boot", "up", "time", "clk"}
    shown = json.dumps({k: v for k, v in message.payload.items() if k not in skip}, separators=(",", ":"))
    return f"{name} {shown if len(shown) <= LINE else shown[: LINE - 1] + '…'}"
