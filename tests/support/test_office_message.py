"""What an office takes from a message, and what it refuses: no database needed."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from agent.support.office.message import DEEPEST, PlanTwin, Presence, RefusedError, Report, read

DEVICE = "imei::990000862471854"
NUMBERED = {"v": 1, "boot": "ab12cd34", "seq": 7, "up": 60, "time": "2026-03-02T10:00:00Z", "clk": "sync"}


def said(topic: str, payload: bytes | dict[str, Any], device: str = DEVICE) -> object:
    return read(
        f"modem-agent/v1/{device}/{topic}", payload if isinstance(payload, bytes) else encoded(payload), "modem-agent"
    )


def encoded(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()


def test_a_report_keeps_its_numbering_apart_and_its_body_whole() -> None:
    report = said("m/traffic", {**NUMBERED, "AgentBytes": 5, "later": {"x": None}})
    assert isinstance(report, Report)
    assert (report.device, report.boot, report.seq, report.up, report.clk) == (DEVICE, "ab12cd34", 7, 60, "sync")
    assert json.loads(report.body) == {"AgentBytes": 5, "later": {"x": None}}


def test_where_a_home_is_and_what_a_command_brought_are_not_kept() -> None:
    state = said("m/state", {**NUMBERED, "cell": {"RSRP": -90, "CellID": 1, "TAC": 2, "PCI": 3, "EARFCN": 4}})
    result = said("cmd/log.get/id1/res", {**NUMBERED, "state": "succeeded", "out": {"events": ["private"]}})
    assert isinstance(state, Report)
    assert isinstance(result, Report)
    assert json.loads(state.body) == {"cell": {"RSRP": -90}}
    assert json.loads(result.body) == {"state": "succeeded"}


def test_presence_plan_and_lost_numbers() -> None:
    presence = said("status", {"state": "lost", "session": 3, "version": 5})
    plan = said("twin/plan", {"rev": 2, "LimitBytes": "many", "PeriodEnd": "2026-04-01T00:00:00+02:00"})
    lost = said("e/lost", {**NUMBERED, "ranges": [["ab", 1, 9_007_199_254_740_992]]})
    assert presence == Presence(DEVICE, 3, 3, "lost", "")
    assert plan == PlanTwin(DEVICE, 2, None, date(2026, 4, 1))
    assert isinstance(lost, Report)
    assert lost.lost == (("ab", 1, 2**53),)


@pytest.mark.parametrize("topic", ["a/shaper", "twin/plan"])
def test_an_empty_message_takes_something_off_the_broker_and_says_nothing(topic: str) -> None:
    assert said(topic, b"") is None


@pytest.mark.parametrize("topic", ["twin/info", "twin/sim", "cmd/status/id1/req"])
def test_identifiers_and_commands_are_not_stored(topic: str) -> None:
    assert said(topic, b"not even JSON") is None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seq": 0}, "seq"), ({"seq": 2**53 + 1}, "seq"), ({"seq": True}, "seq"), ({"seq": 1.5}, "seq"),
        ({"seq": "7"}, "seq"),
        ({"seq": 10**400}, "seq"), ({"seq": None}, "seq"), ({"boot": "AB"}, "boot"), ({"boot": 5}, "boot"),
        ({"boot": "123456789"}, "boot"), ({"up": -1}, "up"), ({"up": 10**11}, "up"),
        ({"time": "2026-02-30T00:00:00Z"}, "time"),
        ({"time": 5}, "time"), ({"time": "2026-03-02T10:00:00Z\n"}, "time"), ({"clk": "sundial"}, "clk"),
        ({"clk": []}, "clk"),
    ],
)  # fmt: skip
def test_a_report_with_a_wrong_number_is_refused_by_its_name(change: dict[str, Any], named: str) -> None:
    with pytest.raises(RefusedError, match=rf"^{named}: "):
        said("m/traffic", {**NUMBERED, **change})


@pytest.mark.parametrize(
    "lost",
    [["ab", 1], ["ab", 0, 1], ["ab", 5, 4], ["ab", 1, 2**60], ["zz", 1, 2], ["ab", True, 2], 5, None, {"boot": "ab"}],
)
def test_lost_numbers_that_are_none_are_refused(lost: object) -> None:
    with pytest.raises(RefusedError):
        said("e/lost", {**NUMBERED, "ranges": [lost]})
    with pytest.raises(RefusedError):
        said("e/lost", {**NUMBERED, "ranges": 5})


@pytest.mark.parametrize("depth", [DEEPEST, 1_000, 5_000, 100_000])
def test_depth_is_bounded_on_every_python(depth: int) -> None:
    def nested(depth: int) -> bytes:
        return encoded(NUMBERED)[:-1] + b', "x": ' + b"[" * depth + b"]" * depth + b"}"

    assert isinstance(said("m/traffic", nested(DEEPEST - 1)), Report)
    with pytest.raises(RefusedError, match="nested too deeply"):  # any other exception would end the consumer
        said("m/traffic", nested(depth))


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff", b"{", b"[]", b"5", b"null", b'{"seq": NaN}', b'{"x": -Infinity}', b'{"x": 1e999}',
        b'{"x": ' + b"9" * 5_000 + b"}",
        b'{"x": ' * 100_000 + b"1" + b"}" * 100_000, b'{"x": "\\u0000"}', b'{"\\ud800": 1}', b'{"x": ["\\udfff"]}',
        b'{"x": "' + b"a" * (1 << 20) + b'"}',
    ],
    ids=range(14),
)  # fmt: skip
def test_a_payload_that_no_database_bears_is_refused(payload: bytes) -> None:
    with pytest.raises(RefusedError):
        said("m/traffic", payload)


def test_a_pair_of_surrogates_is_a_letter_like_another() -> None:
    assert isinstance(said("m/traffic", encoded({**NUMBERED, "x": "\U0001f4f6"})), Report)


@pytest.mark.parametrize("device", ["", "a b", "<b>", "x" * 65, "a'; drop table device --"])
def test_a_device_that_is_none_is_refused(device: str) -> None:
    with pytest.raises(RefusedError, match="topic"):
        said("m/traffic", NUMBERED, device)


@pytest.mark.parametrize("topic", ["m/", "m/a/b", "x/y", "e/<script>", "status/x", ""])
def test_a_topic_on_which_no_device_sends_is_refused(topic: str) -> None:
    with pytest.raises(RefusedError, match="topic"):
        said(topic, NUMBERED)
