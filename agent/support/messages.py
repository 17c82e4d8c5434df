"""What a device publishes, read by type. Pure: a topic and bytes in, a typed message or NotUnderstood out.

A device's certificate may be stolen: whatever it writes ends here in one of these, never in another exception. Fields
that are not read here pass unseen, as the contract says ("ignore what you do not know").
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, TypeVar

from agent.errors import OperatorError
from agent.json_nesting import nested_deeper
from agent.mqtt.topics import LEVEL

if TYPE_CHECKING:
    from agent.json_types import Json, JsonObject

LONGEST_BYTES = 1_048_576  # max_packet_size of firmware-config/broker/mosquitto.conf
DEEPEST = 32  # the deepest of ours, the result of `status`, has 7 levels
T = TypeVar("T")
LARGEST = 2**63 - 1  # what a signed 64-bit reader of the same message could hold; TR-181 counters are 64 bit
LONGEST_TEXT = 200
LONGEST_ADDRESS = 2_000
PRESENCES = frozenset({"online", "stopping", "offline", "lost"})
STATES = frozenset({"accepted", "running", "succeeded", "failed", "rejected", "expired", "cancelled", "timed-out"})


class NotUnderstood(OperatorError):
    """A message that does not fit its schema; the text says what does not."""


@dataclass(frozen=True, slots=True)
class Presence:
    state: str
    session: int
    version: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Of `twin/plan` or `m/traffic`; None is unknown, or not a subject of that message."""

    state: str | None
    used_bytes: int | None
    limit_bytes: int | None
    agent_bytes: int | None


@dataclass(frozen=True, slots=True)
class Radio:
    status: str | None
    technology: str | None
    rsrp_dbm: int | None
    modem: str | None


@dataclass(frozen=True, slots=True)
class Alarm:
    name: str
    raised: bool


@dataclass(frozen=True, slots=True)
class Result:
    id: str
    state: str
    code: int
    reason: str
    progress: int | None
    out: Mapping[str, object] | None
    body: Mapping[str, object] = field(repr=False)


Content = Presence | Plan | Radio | Alarm | Result | None  # None: a topic without a type here


@dataclass(frozen=True, slots=True)
class DeviceMessage:
    """One message of a device. Either `problem` says why it was not understood, or `content` holds it by type."""

    device: str
    topic: str  # below the device's own level, such as m/traffic
    retained: bool = False
    body: Mapping[str, object] | None = field(default=None, repr=False)  # None: empty, or not understood
    content: Content = None
    time: datetime | None = None  # when the device says that it was written, where its clock was set
    problem: str = ""


def read(root: str, topic: str, payload: bytes, *, retained: bool = False) -> DeviceMessage | None:
    """A message of `{root}/v1/{device}/...`; None for a topic that is no device's."""
    levels = topic.split("/", 3)
    if len(levels) != 4 or levels[:2] != [root, "v1"] or not LEVEL.fullmatch(levels[2]):
        return None
    device, below = levels[2], levels[3]
    try:
        body = object_of(payload) if payload else None
        content = _content(below, body)
        written = _time(body) if body is not None else None
    except NotUnderstood as problem:
        return DeviceMessage(device, below, retained, problem=str(problem))
    return DeviceMessage(device, below, retained, body, content, written)


def decode(text: str | bytes) -> Json:
    """JSON within bounds that every later step can bear. Raises NotUnderstood."""
    try:
        text = text if isinstance(text, str) else text.decode()
        if nested_deeper(text, DEEPEST):
            raise NotUnderstood("nested too deeply")
        value: Json = json.loads(text, parse_int=_integer, parse_float=_number, parse_constant=_no_constant)
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are such
        raise NotUnderstood(f"not JSON: {str(error)[:80]}") from None
    return value


def object_of(payload: bytes) -> JsonObject:
    if len(payload) > LONGEST_BYTES:
        raise NotUnderstood(f"{len(payload)} bytes; at most {LONGEST_BYTES}")
    body = decode(payload)
    if not isinstance(body, dict):
        raise NotUnderstood("not a JSON object")
    return body


def _integer(text: str) -> int:
    # Twenty characters hold every 64-bit number; int() of a million digits takes minutes.
    if len(text) > 20 or abs(value := int(text)) > LARGEST:
        raise ValueError("a number beyond 64 bits")
    return value


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number beyond double precision")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


class Fields:
    """The fields of one object, each read by type; a missing one and null are both unknown."""

    def __init__(self, body: Mapping[str, object], name: str = "") -> None:
        self.body, self._prefix = body, f"{name}." if name else ""

    def _get(self, key: str, kind: type[T], words: str) -> T | None:
        value = self.body.get(key)
        if value is None:
            return None
        if not isinstance(value, kind) or isinstance(value, bool):
            raise NotUnderstood(f"{self._prefix}{key} is no {words}")
        return value

    def text(self, key: str) -> str | None:
        value = self._get(key, str, "text")
        return value[:LONGEST_TEXT] if value is not None else None

    def whole(self, key: str, *, least: int = -LARGEST) -> int | None:
        value = self._get(key, int, "whole number")
        if value is not None and value < least:
            raise NotUnderstood(f"{self._prefix}{key} is below {least}")
        return value

    def one_of(self, key: str, allowed: frozenset[str]) -> str:
        value = self.text(key)
        if value not in allowed:
            raise NotUnderstood(f"{self._prefix}{key} is none of {', '.join(sorted(allowed))}")
        return value

    def object(self, key: str) -> Mapping[str, object] | None:
        return self._get(key, dict, "object")

    def fields(self, key: str) -> Fields:
        return Fields(self.object(key) or {}, key)

    def objects(self, key: str) -> list[Fields]:
        """A list of objects; a missing one is empty."""
        found: list[object] = self._get(key, list, "list") or []
        if not all(isinstance(item, dict) for item in found):
            raise NotUnderstood(f"{self._prefix}{key} holds what is no object")
        return [Fields(item, f"{self._prefix}{key}") for item in found if isinstance(item, dict)]

    def address(self, key: str) -> str | None:
        """A URL: whole, or not at all."""
        value: str | None = self._get(key, str, "text")
        if value is not None and len(value) > LONGEST_ADDRESS:
            raise NotUnderstood(f"{self._prefix}{key} has {len(value)} characters; at most {LONGEST_ADDRESS}")
        return value


def _presence(fields: Fields) -> Presence:
    session = fields.whole("session", least=0)
    if session is None:
        raise NotUnderstood("session is missing")
    state = fields.one_of("state", PRESENCES)
    return Presence(state, session, fields.text("version") or "", fields.text("nonce") or "")


def _twin_plan(fields: Fields) -> Plan:
    used, limit = (fields.whole(key, least=0) for key in ("UsedBytes", "LimitBytes"))
    return Plan(fields.text("State"), used, limit, None)


def _traffic(fields: Fields) -> Plan:
    plan = fields.fields("plan")
    return Plan(plan.text("State"), plan.whole("UsedBytes", least=0), None, fields.whole("AgentBytes", least=0))


def _radio(fields: Fields) -> Radio:
    cell = fields.fields("cell")
    technology = cell.text("CurrentAccessTechnology")
    return Radio(cell.text("Status"), technology, cell.whole("RSRP"), fields.text("modem"))


def _result(fields: Fields) -> Result:
    return Result(
        id=fields.text("id") or "",
        state=fields.one_of("state", STATES),
        code=fields.whole("code", least=0) or 0,
        reason=fields.text("reason") or "",
        progress=fields.whole("progress", least=0),
        out=fields.object("out"),
        body=fields.body,
    )


_READERS: dict[str, Callable[[Fields], Content]] = {
    "status": _presence,
    "twin/plan": _twin_plan,
    "m/traffic": _traffic,
    "m/state": _radio,
}


def _content(below: str, body: Mapping[str, object] | None) -> Content:
    kind, _, name = below.partition("/")
    if kind == "a" and LEVEL.fullmatch(name):
        # An alarm that is over is cleared, then taken off the broker by an empty message.
        raised = body is not None and Fields(body).one_of("state", frozenset({"raised", "cleared"})) == "raised"
        return Alarm(name, raised)
    if body is None:
        return None
    if kind == "cmd" and below.endswith("/res"):
        return _result(Fields(body))
    reader = _READERS.get(below)
    return reader(Fields(body)) if reader else None


def _time(body: Mapping[str, object]) -> datetime | None:
    fields = Fields(body)
    text = fields.text("time")
    if text is None or fields.text("clk") in ("unsync", "stored"):
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        raise NotUnderstood("time is no UTC time such as 2026-11-29T12:00:00Z") from None
