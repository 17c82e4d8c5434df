"""The operator's desk: what `modem-support` does over MQTT, and a model for an operator's own consumer.

Keeps no session at the broker. Works with every broker of README.md, those without retained messages for wildcard
filters (RabbitMQ) included: there a fleet is asked for a rebirth instead.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agent.errors import OperatorError
from agent.mqtt.topics import Topics
from agent.mqtt.transport import Accepted, Closed, Connection, Event, Inbound, Message, Published, Refused, Target

CONNECT_S = 20.0
FINAL = frozenset({"succeeded", "failed", "rejected", "expired", "cancelled", "timed-out"})


@dataclass(frozen=True, slots=True)
class Heard:
    """One message of a device; `body` is None when it was empty or not JSON."""

    device: str
    topic: str  # below the device's own level, such as m/traffic
    body: dict[str, Any] | None
    retained: bool


class Desk:
    """`async with Desk(target, root) as desk`. Raises OperatorError when the broker is not to be had."""

    def __init__(self, target: Target, root: str, *, dots: bool = True) -> None:
        self.target = replace(target, clean=True, client_id=target.client_id or f"desk-{uuid.uuid4().hex[:12]}")
        self.root, self._dots = root, dots
        self._events: asyncio.Queue[Event] = asyncio.Queue()

    async def __aenter__(self) -> Desk:
        for protocol in ("5", "3.1.1") if self.target.protocol == "auto" else (self.target.protocol,):
            self._events = asyncio.Queue()
            self._connection = Connection(replace(self.target, protocol=protocol), self._events.put_nowait)
            problem = await self._connect()
            if not problem:
                return self
            await self._connection.close(graceful=False)
        raise OperatorError(f"{self.target.host}:{self.target.port}: {problem}")

    async def _connect(self) -> str:
        """Why there is no session, or nothing."""
        try:
            await self._connection.open()
            event = await asyncio.wait_for(self._events.get(), CONNECT_S)
        except (asyncio.TimeoutError, TimeoutError):
            return "no answer"
        except OSError as error:
            return error.strerror or str(error)
        match event:
            case Accepted():
                return ""
            case Refused(_, reason) | Closed(_, reason):
                return f"refused: {reason}"
        return "not an MQTT broker"

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close(graceful=True)

    def subscribe(self, below: str, device: str = "+") -> None:
        """Everything under `below` (such as `m/#`) of one device or all."""
        self._connection.subscribe(f"{self.root}/v1/{device}/{below}")

    async def messages(self, limit_s: float | None = None) -> AsyncIterator[Heard]:
        """What comes, until the time is over. Raises OperatorError when the session ends."""
        end_s = None if limit_s is None else time.monotonic() + limit_s
        while True:
            left_s = None if end_s is None else end_s - time.monotonic()
            if left_s is not None and left_s <= 0:
                return
            try:
                event = await asyncio.wait_for(self._events.get(), left_s)
            except (asyncio.TimeoutError, TimeoutError):
                return
            match event:
                case Inbound():
                    self._connection.acknowledge(event.mid)
                    if heard := self._heard(event):
                        yield heard
                case Published(_, code) if code >= 0x80:
                    raise OperatorError(f"the broker refused the message (0x{code:02x}): not permitted for this user?")
                case Closed(_, reason):
                    raise OperatorError(f"the broker ended the session: {reason}")

    def _heard(self, event: Inbound) -> Heard | None:
        levels = event.topic.split("/", 3)
        if len(levels) != 4 or levels[0] != self.root or levels[1] != "v1":
            return None
        try:
            body = json.loads(event.payload) if event.payload else None
        except ValueError:
            body = None
        return Heard(levels[2], levels[3], body if isinstance(body, dict) else None, event.retained)

    # -- commands ----------------------------------------------------------------------------------------------------

    def spelled(self, type: str) -> str:
        """A command's name as a topic level; RabbitMQ makes two levels of a dot, NATS before 2.10 ends the session."""
        return type if self._dots else type.replace(".", "-")

    async def delivered(self, limit_s: float = CONNECT_S) -> None:
        """Wait until the broker has the last command. Raises OperatorError."""

        async def wait() -> None:
            while not isinstance(event := await self._events.get(), Published):
                if isinstance(event, Closed):
                    raise OperatorError(f"the broker ended the session: {event.reason}")
            if event.code >= 0x80:
                raise OperatorError(f"the broker refused the message (0x{event.code:02x})")

        try:
            await asyncio.wait_for(wait(), limit_s)
        except (asyncio.TimeoutError, TimeoutError):
            raise OperatorError("the broker did not acknowledge the command") from None

    def ask(self, device: str, envelope: Mapping[str, Any]) -> None:
        """Publish a command; its results come as messages of `cmd/{type}/{id}/res`, if subscribed to."""
        topic = Topics(self.root, device).request(self.spelled(str(envelope["type"])), str(envelope["id"]))
        payload = json.dumps(envelope, separators=(",", ":")).encode()
        ttl = envelope.get("ttl")
        self._connection.publish(Message(topic, payload, expiry_s=int(ttl) if ttl else None))

    async def results(self, id: str, limit_s: float) -> AsyncIterator[dict[str, Any]]:
        """Result messages of one command, the final one last; ends early when the time is over."""
        async for heard in self.messages(limit_s):
            if heard.topic.endswith("/res") and heard.body and heard.body.get("id") == id:
                yield heard.body
                if heard.body.get("state") in FINAL:
                    return


def new_envelope(type: str, args: Mapping[str, Any], *, device: str, issuer: str, ttl_s: int) -> dict[str, Any]:
    """A command that was never sent before."""
    now = time.time()
    return {
        "v": 1,
        "id": uuid.uuid4().hex,
        "type": type,
        "args": dict(args),
        "ttl": ttl_s,
        "iat": int(now),
        "iss": issuer,
        "aud": device,
    }


@dataclass
class Member:
    """What is known of one device of the fleet."""

    device: str
    presence: str = "unknown"
    session: int = 0
    version: str = ""
    used_bytes: int | None = None
    limit_bytes: int | None = None
    state: str | None = None
    seen: str = ""
    alarms: set[str] = field(default_factory=set)

    def to_dict(self) -> dict[str, Any]:
        return {**self.__dict__, "alarms": sorted(self.alarms)}


class Fleet:
    """Messages in, one row a device out. Presence is believed as README.md tells: never an old session's will."""

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}

    def hear(self, heard: Heard) -> None:
        member = self.members.setdefault(heard.device, Member(heard.device))
        body = heard.body
        kind, _, name = heard.topic.partition("/")
        if kind == "a":
            raised = body is not None and body.get("state") == "raised"
            (member.alarms.add if raised else member.alarms.discard)(name)
        elif body is None:
            return
        elif kind == "status":
            self._presence(member, body)
        elif heard.topic == "twin/plan":
            member.limit_bytes, member.state = _whole(body.get("LimitBytes")), body.get("State")
        elif heard.topic == "m/traffic" and isinstance(body.get("plan"), dict):
            member.used_bytes = _whole(body["plan"].get("UsedBytes"))
            member.state = body["plan"].get("State")
            member.seen = str(body.get("time", ""))

    @staticmethod
    def _presence(member: Member, body: Mapping[str, Any]) -> None:
        session = _whole(body.get("session")) or 0
        if session < member.session:  # a late will of a session that was followed by another
            return
        member.session, member.presence = session, str(body.get("state", "unknown"))
        member.version = str(body.get("version", ""))


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
