"""The meter: an antenna turned in no time, and what stands on the screen."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from agent import quality
from agent.cli.meter import Meter
from tests.cli import sample

START = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)


def heard(rsrp: float | None, sinr: float | None = 8.0, **more: Any) -> Any:
    reading = sample.status()["modem"]["reading"]
    return {**reading, "signal": {**reading["signal"], "rsrp_dbm": rsrp, "sinr_db": sinr, **more}}


def turned(*values: float) -> Meter:
    meter = Meter()
    for number, value in enumerate(values):
        meter.take(heard(value), START + timedelta(seconds=number))
    return meter


def test_the_best_and_when() -> None:
    meter = turned(-100, -90, -86, -95, -101)
    assert meter.best["rsrp_dbm"].value == -86
    assert meter.best["rsrp_dbm"].at == START + timedelta(seconds=2)
    assert "best -86 dBm  at 12:00:02" in "\n".join(meter.lines(80, START))
    assert meter.summary().startswith("best: RSRP -86 dBm at 12:00:02, RSRQ -9 dB")
    assert Meter().summary() == "no signal was read"


def test_a_new_best_is_worth_a_beep_the_first_value_is_not() -> None:
    meter = Meter()
    assert not meter.take(heard(-100), START)
    assert not meter.take(heard(-100), START)
    assert meter.take(heard(-99), START)
    assert not meter.take(heard(-104), START)


@pytest.mark.parametrize(
    ("values", "trend"),
    [
        ([-100] * 10, "steady"),
        ([-100, -101, -99, -100, -101, -99, -100, -101, -100, -100], "steady"),
        (list(range(-110, -95)), "rising"),
        (list(range(-90, -105, -1)), "falling"),
        ([-100], "..."),
    ],
)
def test_the_trend(values: list[float], trend: str) -> None:
    assert turned(*values).trend == trend


@pytest.mark.parametrize("columns", [40, 41, 60, 80, 132])
def test_it_fits_its_screen(columns: int) -> None:
    meter = turned(*[-100 + n % 17 for n in range(200)])
    meter.fail("no answer to AT+QENG within 3 s, and a long sentence about what to do now, to be folded")
    lines = meter.lines(columns, START + timedelta(seconds=200))
    assert len(lines) <= 23
    assert max(map(len, lines)) <= columns
    assert all(line.isascii() for line in lines)


def test_the_cell_its_mast_and_its_changes() -> None:
    meter = turned(-90)
    assert "cell 27439877 (mast 107187, sector 5), PCI 193, EARFCN 1650" in meter.lines(80, START)[1]
    other = heard(-90, pci=201)
    other["registration"] = {**other["registration"], "ci": 1}
    meter.take(other, START)
    assert "1 change of cell" in meter.lines(80, START)[1]


def test_a_technology_without_rsrp_and_no_signal_at_all() -> None:
    meter = Meter()
    meter.take({"signal": {"rssi_dbm": -80}, "registration": {}, "operator": {}}, START)
    assert "RSSI  -80 dBm" in "\n".join(meter.lines(80, START))
    assert meter.leading == "rssi_dbm"
    empty = Meter()
    empty.take({"signal": {}, "registration": {}}, START)
    assert "not registered" in empty.lines(80, START)[0]
    empty.fail("modem absent")
    assert "! modem absent" in "\n".join(empty.lines(80, START))
    assert empty.to_dict()["problem"] == "modem absent"


def test_a_line_of_the_stream() -> None:
    line: dict[str, Any] = turned(-100, -90).to_dict()
    assert line["v"] == 1
    assert line["words"]["rsrp_dbm"] == "good"
    assert line["best"]["rsrp_dbm"] == {"value": -90, "at": "2026-11-22T12:00:01+00:00"}
    assert line["quality"] == "fair"
    assert line["problem"] is None


def test_the_words() -> None:
    assert [quality.word("rsrp_dbm", v) for v in (-80, -81, -91, -101, -111)] == list(quality.WORDS)
    assert quality.word("sinr_db", None) is None
    assert quality.overall({"rsrp_dbm": -75, "sinr_db": -3}) == "bad"
    assert quality.overall({"rssi_dbm": -60, "rsrp_dbm": -105}) == "weak"
    assert quality.overall({}) is None
    assert (quality.share("rsrp_dbm", -130), quality.share("rsrp_dbm", -60)) == (0.0, 1.0)
