"""The operator's back office beside a fleet: hears everything, checks the order of reports, sends commands."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Mapping

from agent.mqtt.transport import Accepted, Closed, Connection, Event, Inbound, Message, Refused, Subscribed, Target
from simulator.errors import SimulatorError
from simulator.fleet.connection import LoopConnection

# mosquitto(8), "Broker Status": messages dropped because of the limits for a client that is slow to take them.
# Sent every sys_interval, by default 10 s.
DROPPED_TOPIC = "$SYS/broker/publish/messages/dropped"
DROPPED_EVERY_S = 10.0


class Desk:
    """One connection that subscribes to the whole root. What it saw stands in its attributes."""

    def __init__(self, host: str, port: int, root: str) -> None:
        # A session of its own: what the broker took from a device just before it went down still comes.
        self._target = Target(host, port, "back-office", 60, receive_maximum=1_000)
        self._root = root
        self.messages = self.payload_bytes = 0
        self.kinds: Counter[str] = Counter()
        self.repeated = 0  # reports that came more than once, as QoS 1 may
        self.finals: dict[str, set[str]] = defaultdict(set)  # command id -> its final answers, whole
        self.online: dict[str, str] = {}
        self.dropped: int | None = (
            None  # messages that the broker threw away since the beginning; None: it says nothing
        )
        self._counter: int | None = None
        self._seen: dict[tuple[str, str], set[int]] = defaultdict(set)
        self._ready = asyncio.Event()
        self._connection: Connection | None = None
        self._closed = False

    async def start(self) -> None:
        self._ready.clear()
        self._connection = LoopConnection(self._target, self._event)
        await self._connection.open()
        await asyncio.wait_for(self._ready.wait(), 30)

    async def stop(self) -> None:
        self._closed = True
        if self._connection is not None:
            await self._connection.close(graceful=True)

    async def again(self) -> None:
        """After the broker came back."""
        for _ in range(100):
            try:
                if self._connection is not None:
                    await self._connection.close(graceful=False)
                await self.start()
                return
            except (OSError, asyncio.TimeoutError, TimeoutError):
                await asyncio.sleep(0.1)
        raise SimulatorError("the broker did not come back")

    def send(self, device: str, command: str, id: str, args: dict[str, object]) -> None:
        body = json.dumps({"v": 1, "id": id, "type": command, "args": args}).encode()
        assert self._connection is not None
        self._connection.publish(Message(f"{self._root}/v1/{device}/cmd/{command}/{id}/req", body))

    def _event(self, event: Event) -> None:
        match event:
            case Accepted():
                assert self._connection is not None
                self._connection.subscribe(f"{self._root}/v1/#")
                self._connection.subscribe(DROPPED_TOPIC)
            case Subscribed():
                self._ready.set()
            case Refused(_, reason, _) if not self._closed:
                raise SimulatorError(f"the broker refused the desk: {reason}")
            case Closed():
                self._ready.set()
            case Inbound():
                self._take(event)

    def _take(self, message: Inbound) -> None:
        if self._connection is not None:
            self._connection.acknowledge(message.mid)
        if message.topic == DROPPED_TOPIC:
            self._count_dropped(int(message.payload))
            return
        parts = message.topic.split("/")
        device, kind = parts[2], parts[3]
        if parts[-1] == "req":
            return
        self.messages += 1
        self.payload_bytes += len(message.payload)
        self.kinds[kind] += 1
        if not message.payload:
            return
        body = json.loads(message.payload)
        if kind == "status":
            self.online[device] = body["state"]
        if "seq" in body:
            seen = self._seen[(device, body["boot"])]
            self.repeated += body["seq"] in seen
            seen.add(body["seq"])
        if parts[-1] == "res" and body.get("state") in ("succeeded", "failed", "rejected"):
            self.finals[body["id"]].add(json.dumps(body, sort_keys=True))

    def missing(self, delivered: Mapping[tuple[str, str], int]) -> int:
        """Reports that never came, of those that devices delivered: (device, boot) -> the last one's number."""
        return sum(last - sum(seq <= last for seq in self._seen[key]) for key, last in delivered.items())

    def _count_dropped(self, counter: int) -> None:
        """The first one is what was before; a lower one is that of a broker that has been started again."""
        before = counter if self._counter is None else self._counter if counter >= self._counter else 0
        self.dropped = (self.dropped or 0) + counter - before
        self._counter = counter

    def ask_dropped(self) -> None:
        """Have the counter sent again, as it is retained: the broker may have thrown its own message away too."""
        if self._connection is not None:
            self._connection.subscribe(DROPPED_TOPIC)
