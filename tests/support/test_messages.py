"""Whatever a device writes is read by type or not understood; nothing raises, and nothing ends a listing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli import screen
from agent.support.cli import fleet_lines, screen_lines
from agent.support.fleet import MOST_ALARMS, Fleet, Member, counts
from agent.support.messages import LARGEST, LONGEST_BYTES, Alarm, DeviceMessage, Plan, Presence, Radio, Result, read
from agent.support.words import summary
from tests.support.now import NOW

TOPICS = ("status", "twin/plan", "twin/info", "m/traffic", "m/state", "a/shaper", "e/boot", "cmd/status/1/res", "x")
NAMES = (
    "v", "state", "session", "version", "nonce", "State", "UsedBytes", "LimitBytes",
    "plan", "AgentBytes", "cell", "CurrentAccessTechnology", "Status", "RSRP", "modem", "id",
    "code", "reason", "progress", "out", "time", "clk",
)  # fmt: skip

PRESENCE = {"v": 1, "state": "online", "session": 2, "boot": "9f1c2e34", "version": "0.1.0", "nonce": "0" * 16}

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400), 2**63, LARGEST])
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(["online", "raised", "cleared", "succeeded", "2026-11-29T12:00:00Z", "9999-99-99T99:99:99Z"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6)
)
PAYLOADS = (
    st.binary(max_size=40)
    | VALUES.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(st.sampled_from(NAMES), VALUES).map(lambda value: json.dumps(value).encode())
    | st.integers(1, 50_000).map(lambda depth: b"[" * depth)
    | st.integers(1, 50_000).map(lambda depth: b'{"plan":' * depth + b"1" + b"}" * depth)
    | st.integers(1, 50_000).map(lambda digits: b'{"session": ' + b"9" * digits + b"}")
)


def message(topic: str, payload: bytes) -> DeviceMessage:
    found = read("modem-agent", f"modem-agent/v1/c/{topic}", payload)
    assert found is not None
    return found


@given(st.lists(st.tuples(st.sampled_from(TOPICS), PAYLOADS), max_size=6))
def test_any_payload_is_read_listed_and_shown(payloads: list[tuple[str, bytes]]) -> None:
    fleet = Fleet()
    for topic, payload in payloads:
        heard = message(topic, payload)
        fleet.take(heard)
        screen.clean(summary(heard))
        json.dumps({"body": heard.body}, allow_nan=False)
        if isinstance(heard.content, Result):
            [screen.clean(line) for line in screen_lines(heard.content)]
    rows = fleet.sorted()
    assert fleet_lines(rows, counts(rows), NOW)
    json.dumps([member.to_dict(NOW) for member in rows], allow_nan=False)


@given(st.text(max_size=40), PAYLOADS)
def test_any_topic_is_a_devices_or_none(topic: str, payload: bytes) -> None:
    read("modem-agent", topic, payload)
    found = read("modem-agent", f"modem-agent/v1/{topic}", payload)
    assert found is None or len(found.device) <= 64


@pytest.mark.parametrize(("topic", "body", "content"), [
    ("status", PRESENCE, Presence("online", 2, "0.1.0", "0" * 16)),
    ("twin/plan", {"LimitBytes": 40, "State": "Normal"}, Plan("Normal", None, 40, None)),
    ("twin/plan", {"LimitBytes": LARGEST, "UsedBytes": None}, Plan(None, None, LARGEST, None)),
    ("m/traffic", {"plan": {"UsedBytes": 7, "State": "Forced"}, "AgentBytes": 3}, Plan("Forced", 7, None, 3)),
    ("m/state", {"cell": {"Status": "Up", "RSRP": -95}, "modem": "ready"}, Radio("Up", None, -95, "ready")),
    ("a/shaper", {"state": "raised"}, Alarm("shaper", True)),
    ("a/shaper", {"state": "cleared"}, Alarm("shaper", False)),
])  # fmt: skip
def test_what_fits_is_read_by_type(topic: str, body: dict[str, Any], content: object) -> None:
    heard = message(topic, json.dumps(body).encode())
    assert (heard.content, heard.problem) == (content, "")


@pytest.mark.parametrize(("topic", "payload", "problem"), [
    ("twin/plan", b'{"LimitBytes": 1' + b"0" * 400 + b"}", "not JSON: a number beyond 64 bits"),
    ("twin/plan", b'{"LimitBytes": 9223372036854775808}', "not JSON: a number beyond 64 bits"),
    ("twin/plan", b'{"LimitBytes": -1}', "LimitBytes is below 0"),
    ("twin/plan", b'{"LimitBytes": 1.5}', "LimitBytes is no whole number"),
    ("twin/plan", b'{"LimitBytes": true}', "LimitBytes is no whole number"),
    ("twin/plan", b'{"LimitBytes": NaN}', "not JSON: NaN is no JSON number"),
    ("twin/plan", b'{"LimitBytes": -Infinity}', "not JSON: -Infinity is no JSON number"),
    ("twin/plan", b'{"LimitBytes": 1e999}', "not JSON: a number beyond double precision"),
    ("twin/plan", b'{"State": ["Normal"]}', "State is no text"),
    ("a/deep", b"[" * 60_000, "nested too deeply"),
    ("a/deep", b"[" * 40 + b"]" * 40, "nested too deeply"),
    ("x", b'{"a":' * 33 + b"{}" + b"}" * 33, "nested too deeply"),
    ("a/shaper", b'{"state": {}}', "state is no text"),
    ("a/shaper", b'{"state": "burning"}', "state is none of cleared, raised"),
    ("m/traffic", b'{"plan": "abc"}', "plan is no object"),
    ("m/traffic", b'{"plan": {"UsedBytes": "abc"}}', "plan.UsedBytes is no whole number"),
    ("m/state", b'{"cell": "abc"}', "cell is no object"),
    ("status", b'{"state": "online"}', "session is missing"),
    ("status", b'{"state": "online", "session": "nonsense"}', "session is no whole number"),
    ("status", b'{"session": 1}', "state is none of lost, offline, online, stopping"),
    ("cmd/status/1/res", b'{"id": "1", "state": "failed", "code": "x"}', "code is no whole number"),
    ("e/boot", b'{"time": "yesterday", "clk": "sync"}', "time is no UTC time such as 2026-11-29T12:00:00Z"),
    ("x", b"\xff", "not JSON"),
    ("x", b"[]", "not a JSON object"),
    ("x", b" " * (LONGEST_BYTES + 1), f"{LONGEST_BYTES + 1} bytes; at most {LONGEST_BYTES}"),
])  # fmt: skip
def test_what_does_not_fit_is_named(topic: str, payload: bytes, problem: str) -> None:
    heard = message(topic, payload)
    assert heard.problem.startswith(problem)
    assert (heard.body, heard.content) == (None, None)
    assert summary(heard).startswith(f"not understood: {problem}")
    fleet = Fleet()
    assert fleet.take(heard) == Member("c", problem=f"{topic}: {heard.problem}")


def test_a_device_that_invents_alarms_does_not_fill_the_memory() -> None:
    fleet = Fleet()
    for number in range(10 * MOST_ALARMS):
        fleet.take(message(f"a/{number}", b'{"state": "raised"}'))
    assert len(fleet.members["c"].alarms) == MOST_ALARMS
    assert fleet.members["c"].problem == f"more than {MOST_ALARMS} alarms"
