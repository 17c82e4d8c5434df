"""Every recorded reply reads as what its origin asserts, whole and cut at every byte, with news spliced in."""

from __future__ import annotations

from typing import Any

import pytest

from agent.at import Engine, Response, decode, find
from agent.at.engine.grammar import number_list
from agent.at.standard.operator_names import plmn
from tests.at.corpus import Near, OneOf, Row, rows, translate

ROWS = rows()
_VALUES_ONLY = ("plmn", "number_list")  # captures of a value, not of a reply: read by the field's own function
# A signal that says `no service` is an error to its origin and a reading without strengths to us.
_STRENGTHS = ("rssi_dbm", "rsrp_dbm", "rsrq_db", "sinr_db")


def _id(row: Row) -> str:
    return f"{row['kind']}-{row['vendor']}-{row['reply'][:24]!r}"


def look_up(reading: Any, path: str) -> Any:
    """`a.b.0` into the reading; `x|y`: the first that is known; `list#`: its length."""
    if path.endswith("#"):
        return len(look_up(reading, path[:-1]) or ())
    head, _, rest = path.partition(".")
    found: Any = None
    if isinstance(reading, list):
        found = reading[int(head)] if int(head) < len(reading) else None
    elif isinstance(reading, dict):
        found = next((reading[name] for name in head.split("|") if reading.get(name) is not None), None)
    return look_up(found, rest) if rest else found


def check(decoded: dict[str, Any], path: str, wanted: Any) -> None:
    reading = decoded["reading"]
    if path == "!error":
        assert decoded["final"] != "OK"
        assert reading is None or "sysmode" in reading
        assert not any((reading or {}).get(key) is not None for key in _STRENGTHS)
    elif path == "!failed":
        assert decoded["final"] is not None
        assert (decoded["final"] not in ("OK", "CONNECT")) == wanted
    elif path == "!unsolicited":
        assert wanted in decoded["unsolicited"]
    elif path == "!unsolicited*":
        assert decoded["unsolicited"] == wanted
    elif path == "!body":
        kept = [*decoded["unsolicited"], *decoded["stray"], *([decoded["final"]] if decoded["final"] else [])]
        assert kept == [line for line in wanted.replace("\r", "\n").split("\n") if line]
    elif path.startswith("!"):
        assert decoded[path[1:]] == wanted
    elif path.endswith("~"):
        assert sorted(value.lower() for value in look_up(reading, path[:-1])) == sorted(wanted)
    else:
        compare(look_up(reading, path), wanted)


def compare(found: Any, wanted: Any) -> None:
    if isinstance(wanted, OneOf):
        assert found in wanted
    elif isinstance(wanted, Near):
        assert found == pytest.approx(float(wanted), abs=1.0)
    else:
        assert found == wanted


@pytest.mark.parametrize("row", [r for r in ROWS if r["kind"] not in _VALUES_ONLY], ids=_id)
def test_a_recorded_reply_reads_as_its_origin_asserts(row: Row) -> None:
    decoded = decode(row["command"], row["reply"])
    for path, wanted in translate(row):
        check(decoded, path, wanted)


@pytest.mark.parametrize("row", [r for r in ROWS if r["kind"] in _VALUES_ONLY], ids=_id)
def test_a_recorded_value_reads_as_its_origin_asserts(row: Row) -> None:
    if row["kind"] == "plmn":
        assert plmn(row["reply"]) is None
    else:
        assert number_list(row["reply"]) == row["expected"]["numbers"]


def test_the_sample_is_whole() -> None:
    assert len(ROWS) == 282


def reading_of(command: str, chunks: list[bytes]) -> Any:
    engine = Engine(find)
    engine.submit(command)
    for chunk in chunks:
        engine.receive(chunk)
    engine.flush()
    engine.expire(float("inf"))
    found: Response | None = None
    while (event := engine.next_event()) is not None:
        found = event if isinstance(event, Response) else found
    assert found is not None
    return (found.final, found.lines)


WIRE = [r for r in ROWS if r["command"].startswith("AT") and "OK" in r["reply"][-6:]]


@pytest.mark.parametrize("row", WIRE, ids=_id)
def test_every_split_point_reads_the_same(row: Row) -> None:
    wire = row["reply"].encode()
    whole = reading_of(row["command"], [wire])
    for cut in range(len(wire)):
        assert reading_of(row["command"], [wire[:cut], wire[cut:]]) == whole
    assert reading_of(row["command"], [wire[i : i + 1] for i in range(len(wire))]) == whole


@pytest.mark.parametrize("row", WIRE, ids=_id)
@pytest.mark.parametrize(
    "news", ['+CMTI: "ME",1', "+QIND: PB DONE", "RING", "^RSSI:13", "+CGEV: NW PDN DEACT 1", "+CTZV: +8"]
)
def test_news_at_every_line_boundary_leaves_the_reading_alone(row: Row, news: str) -> None:
    lines = [line for line in row["reply"].replace("\r", "\n").split("\n") if line]
    plain = decode(row["command"], "\r\n".join(lines) + "\r\n")
    for position in range(len(lines) + 1):
        spliced = [*lines[:position], news, *lines[position:]]
        found = decode(row["command"], "\r\n".join(spliced) + "\r\n")
        assert (found["reading"], found["final"], found["code"]) == (plain["reading"], plain["final"], plain["code"])
        assert news in found["unsolicited"]  # type: ignore[operator]


@pytest.mark.parametrize("row", WIRE, ids=_id)
def test_echo_on_or_off_reads_the_same(row: Row) -> None:
    text = row["reply"]
    body = text.replace(row["command"], "", 1) if row["command"] in text else text
    off, on = decode(row["command"], body), decode(row["command"], f"{row['command']}\r\r\n{body}")
    assert off == on
