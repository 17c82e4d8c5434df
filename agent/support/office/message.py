"""One message of a device into what the database stores. Pure; agent/mqtt/README.md says what the messages mean.

A message that breaks the rules of numbering is refused with a reason, and stored as refused. A value of a known report
that is of a wrong type is unknown: the report still counts as arrived, else it would show as a gap.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, NamedTuple

from agent.json_nesting import nested_deeper

if TYPE_CHECKING:
    from agent.json_types import Json, JsonObject

# Far above any body that the agent makes (a bundle's chunk is the largest); the broker's max_packet_size is 1 MiB.
LARGEST_BYTES = 1 << 20
DEEPEST = 32  # the deepest of ours, the result of `status`, has 7 levels; PostgreSQL's parser recurses too
_BIGGEST = 2**63 - 1  # PostgreSQL, bigint
_LAST_NUMBER = 2**53  # of a report: above what JSON readers agree on (RFC 8259, 6)
_LONGEST_UP_S = 10**10

_DEVICE = re.compile(r"[A-Za-z0-9._:-]{1,64}")  # agent/mqtt/README.md, Topics
_TOPIC = re.compile(r"(m|e|a)/[A-Za-z0-9._:-]{1,64}|cmd/[^/]{1,64}/[^/]{1,64}/res")
_BOOT = re.compile(r"[0-9a-f]{1,8}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_CLOCKS = ("sync", "nitz", "stored", "unsync")
_PRESENCES = ("online", "stopping", "offline", "lost")  # in the order in which one session goes through them
_NUMBERING = frozenset({"v", "boot", "seq", "up", "time", "clk"})
_PLACES = frozenset({"CellID", "TAC", "PCI", "EARFCN"})  # where a home is: nothing here needs it


class RefusedError(Exception):
    """Why a message is not what a device of ours sends."""


class Traffic(NamedTuple):
    """What is known of a home by its newest measurement; None is unknown."""

    state: str | None
    bps: int | None
    start: date | None
    used: int | None
    remaining: int | None
    received: int | None
    sent: int | None
    agent: int | None


@dataclass(frozen=True, slots=True)
class Report:
    """A numbered report."""

    device: str
    boot: str
    seq: int
    topic: str
    said: datetime
    clk: str
    up: int
    body: str  # JSON without what the other fields hold
    lost: tuple[tuple[str, int, int], ...] = ()  # of e/lost: boot, first, last
    traffic: Traffic | None = None  # of m/traffic


@dataclass(frozen=True, slots=True)
class Presence:
    device: str
    session: int
    step: int
    state: str
    version: str


class PlanTwin(NamedTuple):
    device: str
    rev: int
    limit_bytes: int | None
    period_end: date | None
    meter: str | None = None  # the operator's newest count (plan.reconcile): whose, of when, and what it was
    meter_at: datetime | None = None
    meter_bytes: int | None = None
    meter_difference: int | None = None
    meter_correction: int | None = None


Said = Report | Presence | PlanTwin


def read(topic: str, payload: bytes, root: str) -> Said | None:
    """What a message says; None for one that is not stored. Raises RefusedError."""
    prefix = f"{root}/v1/"
    device, _, below = topic.removeprefix(prefix).partition("/")
    if not topic.startswith(prefix) or not _DEVICE.fullmatch(device):
        raise RefusedError("topic: no device id of 1 to 64 letters, digits and . _ : -")
    if not payload:  # takes an alarm or a twin off the broker
        return None
    if below == "status":
        return _presence(device, _body(payload))
    if below == "twin/plan":
        return _plan(device, _body(payload))
    if _TOPIC.fullmatch(below):
        return _report(device, below, _body(payload))
    if below.startswith("twin/") or below.endswith("/req"):
        return None
    raise RefusedError("topic: none that a device sends on")


def _report(device: str, topic: str, body: JsonObject) -> Report:
    clk = body.get("clk")
    if clk not in _CLOCKS:
        raise RefusedError("clk: not one of " + " ".join(_CLOCKS))
    lost = _ranges(body) if topic == "e/lost" else ()
    return Report(
        device,
        _boot(body.get("boot")),
        _count(body, "seq", 1, _LAST_NUMBER),
        topic,
        _time(body.get("time")),
        str(clk),
        _count(body, "up", 0, _LONGEST_UP_S),
        _ENCODE(_kept(topic, body)),
        lost,
        _traffic(body) if topic == "m/traffic" else None,
    )


def _traffic(body: Mapping[str, object]) -> Traffic:
    plan, ip = _object(body.get("plan")), _object(body.get("ip"))
    return Traffic(
        _text(plan.get("State")),
        whole(plan.get("ShapingRate")),
        day(plan.get("PeriodStart")),
        whole(plan.get("UsedBytes")),
        whole(plan.get("RemainingBytes")),
        whole(ip.get("BytesReceived")),
        whole(ip.get("BytesSent")),
        whole(body.get("AgentBytes")),
    )


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _kept(topic: str, body: Mapping[str, object]) -> dict[str, object]:
    """What is stored of a body: no place of a home, and of a command's result not what it brought (it may be a log)."""
    kept = {key: value for key, value in body.items() if key not in _NUMBERING}
    if topic.startswith("cmd/"):
        kept.pop("out", None)
    if isinstance(cell := kept.get("cell"), dict):
        kept["cell"] = {key: value for key, value in cell.items() if key not in _PLACES}
    return kept


def _ranges(body: Mapping[str, object]) -> tuple[tuple[str, int, int], ...]:
    ranges = body.get("ranges")
    if not isinstance(ranges, list):
        raise RefusedError("ranges: not a list")
    out = []
    for item in ranges:
        if not isinstance(item, list) or len(item) != 3:
            raise RefusedError("ranges: not lists of boot, first and last")
        numbers = dict(zip(("first", "last"), item[1:], strict=True))
        first = _count(numbers, "first", 1, _LAST_NUMBER)
        out.append((_boot(item[0]), first, _count(numbers, "last", first, _LAST_NUMBER)))
    return tuple(out)


def _presence(device: str, body: JsonObject) -> Presence:
    state, version = body.get("state"), body.get("version")
    if state not in _PRESENCES:
        raise RefusedError("state: not one of " + " ".join(_PRESENCES))
    known = version[:64] if isinstance(version, str) else ""
    return Presence(device, _count(body, "session", 0, _BIGGEST), _PRESENCES.index(state), str(state), known)


def _plan(device: str, body: JsonObject) -> PlanTwin:
    return PlanTwin(
        device,
        _count(body, "rev", 1, _BIGGEST),
        whole(body.get("LimitBytes")),
        day(body.get("PeriodEnd")),
        _text(body.get("OperatorSource")),
        _moment(body.get("OperatorAsOf")),
        whole(body.get("OperatorUsedBytes")),
        whole(body.get("DifferenceBytes")),
        whole(body.get("CorrectionBytes")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _body(payload: bytes) -> JsonObject:
    if len(payload) > LARGEST_BYTES:
        raise RefusedError(f"payload: longer than {LARGEST_BYTES} bytes")
    try:
        text = payload.decode()
        if nested_deeper(text, DEEPEST):
            raise RefusedError("payload: nested too deeply")
        body: Json = _DECODE(text)
    except ValueError as error:  # no UTF-8, no JSON, or a number of more digits than Python reads
        raise RefusedError(f"payload: {error}"[:200]) from None
    if not isinstance(body, dict):
        raise RefusedError("payload: not a JSON object")
    if "\\u0000" in text or "\\ud" in text.lower():
        _check_text(body)
    return body


def _no_number(name: str) -> float:
    raise RefusedError(f"payload: {name} is no JSON")


def _number(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise RefusedError("payload: a number beyond any that is measured")
    return number


# Made once: of two thousand messages a second each would otherwise make its own.
_DECODE = json.JSONDecoder(parse_constant=_no_number, parse_float=_number).decode
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode


def _check_text(value: object) -> None:
    """PostgreSQL stores neither the character NUL nor half a surrogate pair."""
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= sign <= "\udfff" for sign in value):
            raise RefusedError("payload: text with a NUL or half a surrogate pair")
    elif isinstance(value, list):
        for item in value:
            _check_text(item)
    elif isinstance(value, dict):
        _check_text([*value, *value.values()])


def _boot(value: object) -> str:
    if not isinstance(value, str) or not _BOOT.fullmatch(value):
        raise RefusedError("boot: not one to eight hexadecimal digits")
    return value


def _count(body: Mapping[str, object], name: str, least: int, most: int) -> int:
    value = body.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise RefusedError(f"{name}: not a whole number from {least} to {most}")
    return value


def _time(value: object) -> datetime:
    moment = _moment(value)
    if moment is None:
        raise RefusedError("time: not like 2026-01-31T12:00:00Z")
    return moment


def _moment(value: object) -> datetime | None:
    if isinstance(value, str) and _TIME.fullmatch(value):
        try:
            return datetime.fromisoformat(f"{value[:-1]}+00:00")  # Python 3.10 does not read the Z
        except ValueError:
            pass
    return None


def whole(value: object) -> int | None:
    """A number of bytes or bit/s; anything else is unknown."""
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _BIGGEST:
        return None
    return value


def day(value: object) -> date | None:
    try:
        return date.fromisoformat(value[:10]) if isinstance(value, str) else None
    except ValueError:
        return None
