"""`usage`: plots that fit the console, CSV, NetJSON, and the store's numbers while no agent runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from agent.cli import bar_chart, group, plot
from agent.cli.netjson import monitoring
from agent.cli.verbs.status import SPEEDS
from agent.cli.verbs.usage import lines, outlook, runs_out, told
from tests.cli.screens import stage

GB = 10**9


def answer(used: int = 30 * GB, **more: Any) -> Any:
    """22 November 2026, 16:00 in Brussels; each of 21 days and a half took its share."""
    days = [{"day": f"2026-11-{d:02d}", "received_bytes": used // 22, "sent_bytes": 0} for d in range(1, 23)]
    usage = {
        "received_bytes": used,
        "sent_bytes": 0,
        "charged_bytes": used,
        "management_bytes": 0,
        "allowance_bytes": 40 * GB,
        "topup_bytes": 0,
        "limit_bytes": 40 * GB,
        "remaining_bytes": max(0, 40 * GB - used),
        "percent": used / 40 / GB * 100,
    }
    period = {"label": "2026-11-01", "start": "2026-10-31T23:00:00Z", "end": "2026-11-30T23:00:00Z"}
    return {"time": "2026-11-22T15:00:00Z", "clk": "sync", "usage": usage, "period": period, "days": days, **more}


@pytest.mark.parametrize("room", [20, 30, 40, 60, 80, 132])
@pytest.mark.parametrize("used", [0, 1, 30 * GB, 400 * GB])
def test_no_plot_line_is_wider_than_the_screen(room: int, used: int) -> None:
    months = [{"period": f"2025-{m:02d}-01", "received_bytes": used, "sent_bytes": 1} for m in range(1, 13)]
    plotted = lines(answer(used, months=months), room=room)
    at = plotted.index("")
    assert all(len(line) <= max(room, 32) for line in plotted[at:])
    assert all(line.isascii() for line in plotted)


def test_bars_stand_against_the_even_pace() -> None:
    shown = plot.columns([0, 5, 10, None], ["1", "", "", "4"], pace=5, room=80)
    assert shown == [
        "    10 B |      ##",
        "         |      ##",
        "         |      ##",
        "         |      ##",
        "     5 B |---##-##----",
        "         |   ## ##",
        "         |   ## ##",
        "         |   ## ##",
        "         +------------",
        "          1        4",
    ]


def test_lying_bars_mark_the_limit() -> None:
    assert plot.bars([("a", 5), ("b", 20)], limit=10, room=33) == [
        "a #####     |                5 B",
        "b ####################      20 B",
    ]
    assert plot.bars([], limit=10, room=33) == []


def test_the_forecast_in_words() -> None:
    assert outlook(answer()) == "used up on 29 Nov at the pace of late"
    assert outlook(answer(10 * GB)) == "lasts until the period ends"
    assert outlook(answer(40 * GB)) == "the allowance is used up"


def test_the_forecast_as_an_instant() -> None:
    assert told(runs_out(answer())) == "2026-11-29T23:00:00Z"
    assert told(runs_out(answer(10 * GB))) is None


def test_days_without_traffic_slow_the_pace() -> None:
    """Four days of the last week with nothing: at the pace of the other three it would not last."""
    shown = answer(30 * GB)
    used = {f"2026-11-{d:02d}" for d in (1, 2, 3, 15, 16, 17)}
    shown["days"] = [dict(d, received_bytes=2 * GB) for d in shown["days"] if d["day"] in used]
    assert outlook(shown) == "lasts until the period ends"


@pytest.mark.parametrize("state", ["throttled", "forced", "lifted", "suspended", "expired"])
def test_a_plan_out_of_the_ordinary_is_said(state: str) -> None:
    text = "\n".join(lines(answer(plan={"state": state, "reason": "as decided"}), room=80))
    assert f"{SPEEDS[state]}: as decided" in text
    assert SPEEDS["normal"] not in "\n".join(lines(answer(plan={"state": "normal", "reason": "64 % used"}), room=80))


def test_what_a_technician_must_not_miss() -> None:
    text = "\n".join(lines(answer(39_999_000_000, clk="stored", stored={"age_s": 7200}), room=80))
    assert "99.9 %" in text
    assert "100.0 %" not in text
    assert "written 2 h ago" in text
    assert "not yet known" in text


def test_netjson_of_a_tree_like_sysfs(tmp_path: Path) -> None:
    for name in ("wwan0", "lo"):
        folder = tmp_path / name / "statistics"
        folder.mkdir(parents=True)
        (folder / "rx_bytes").write_text("12345678901\n")
        (folder / "tx_bytes").write_text("nonsense\n")
        (tmp_path / name / "operstate").write_text("unknown\n")
    assert monitoring(["ww*"], tmp_path) == {
        "type": "DeviceMonitoring",
        "interfaces": [
            {"name": "wwan0", "type": "virtual", "up": True, "statistics": {"rx_bytes": 12345678901}},
        ],
    }
    assert monitoring(["ww*"], tmp_path / "absent")["interfaces"] == []


def test_netjson_of_this_machine_reads_the_kernel() -> None:
    found: Any = monitoring(["lo"])
    (loopback,) = found["interfaces"]
    assert loopback["statistics"]["rx_bytes"] == loopback["statistics"]["tx_bytes"]
    json.dumps(loopback)


def test_a_picture_has_a_bar_for_each_period_and_the_limit() -> None:
    rows = [("1 <Sep>", 10_000_000_000), ("1 Oct", 40_000_000_000), ("1 Nov", 0)]
    root = ElementTree.fromstring(bar_chart.svg("Used & more", rows, limit=20_000_000_000))
    space = "{http://www.w3.org/2000/svg}"
    bars = [float(bar.attrib["width"]) for bar in root.findall(f"{space}rect") if "x" in bar.attrib]
    assert bars[1] == 4 * bars[0] > 0
    assert bars[2] == 0
    texts = [text.text for text in root.findall(f"{space}text")]
    assert {"1 <Sep>", "40.00 GB", "allowance 20.00 GB", "Used & more"} <= set(texts)
    limit = root.find(f"{space}path")
    assert limit is not None
    assert float(limit.attrib["d"].split()[0].removeprefix("M")) == bar_chart.LEFT + bars[1] / 2


def test_a_picture_of_nothing_is_a_picture() -> None:
    assert "<rect x=" not in bar_chart.svg("Used by day", [], limit=None)


@pytest.mark.parametrize("words", [("--months",), ()])
def test_the_picture_goes_into_a_file_or_to_standard_output(
    tmp_path: Path, words: tuple[str, ...], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    with stage() as folder:
        config = ("--config", str(folder / "config.toml"))
        assert group.run(["usage", *words, "--svg", str(tmp_path / "used.svg"), *config]) == 0
        assert group.run(["usage", *words, "--svg", "-", *config]) == 0
    drawn = (tmp_path / "used.svg").read_bytes()
    assert ElementTree.fromstring(drawn).tag.endswith("svg")
    assert drawn.count(b"<rect x=") == (3 if words else 22)
