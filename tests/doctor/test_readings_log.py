"""The diary of readings: a line a quarter of an hour, more when something changes, never more than its two files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.doctor import readings_log
from agent.doctor.readings_log import Diary
from tests.cli import sample


def at(up: int, ci: int = 1, imei: str = "990000862471854") -> Any:
    status = sample.status(up=up)
    status["modem"]["reading"]["registration"]["ci"] = ci
    status["modem"]["reading"]["identity"]["imei"] = imei
    return status


def test_a_line_a_quarter_and_at_each_change(tmp_path: Path) -> None:
    kept = Diary(tmp_path)
    assert kept.note(at(1_000))
    assert not kept.note(at(1_060))
    assert kept.note(at(1_120, ci=2))
    assert not kept.note(at(1_125, ci=1))  # flaps
    assert kept.note(at(1_140, ci=1))
    assert not kept.note(at(2_000, ci=1))
    assert kept.note(at(2_041, ci=1))
    lines = [json.loads(line) for line in (tmp_path / "readings.jsonl").read_text().splitlines()]
    assert [line["up"] for line in lines] == [1_000, 1_120, 1_140, 2_041]
    assert lines[0]["signal"]["rsrp_dbm"] == -94
    assert "990000862471854" not in (tmp_path / "readings.jsonl").read_text()


def test_two_files_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings_log, "FILE_BYTES", 2_000)
    kept = Diary(tmp_path)
    for number in range(40):
        assert kept.note(at(number * 1_000))
    sizes = {file.name: file.stat().st_size for file in tmp_path.iterdir()}
    assert set(sizes) == {"readings.jsonl", "readings.1.jsonl"}
    assert max(sizes.values()) < 3_000


def test_a_modem_that_is_gone_is_a_line_too_and_a_missing_folder_no_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gone = Diary(tmp_path)
    assert gone.note(sample.status(modem={"state": "absent", "reading": None}))
    lost = Diary(tmp_path / "absent")
    assert not lost.note(at(1))
    assert not lost.note(at(2_000))
    assert caplog.text.count("absent") == 1
