"""What is kept of the newest whole run: results.json, and RESULTS.md and the README's figures that follow from it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.bench import results, rows, table

README_BYTES = 9000


def document(name: str, date: str, *measured: tuple[str, bool | None], short: bool = False) -> dict[str, Any]:
    found = [
        {"what": what, "target": "at most 1 (of 2)", "measured": "1 | 2", "kept": kept, "peer": "", "exact": False}
        for what, kept in measured
    ]
    common = {"issue": 6, "arguments": [], "short": short, "machine": "here", "curves": {}}
    return {"bench": name, "date": f"2026-11-{date}T00:00:00+00:00", "rows": found, **common}


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree with a kept run of two benches, beside a folder of newer ones."""
    benches = [document("operator_day", "20", ("old", True)), document("operator_cuts", "20", ("cuts", False))]
    for name in ("KEPT", "TABLE", "README"):
        monkeypatch.setattr(results, name, tmp_path / name)
    monkeypatch.setattr(results, "DEMO", tmp_path / "demo")
    monkeypatch.setattr(results, "REPORT", tmp_path / "report" / "bench")
    monkeypatch.setattr(results, "FIGURES", (("operator_day", ""), ("never_run", "")))
    (tmp_path / "report" / "bench").mkdir(parents=True)
    results.KEPT.write_text(
        results.written({"scripts": [], "benches": {one["bench"]: one for one in benches}, "campaign": None})
    )
    results.README.write_text(f"before\n{results.BEGIN}\nyesterday\n{results.END}\nafter\n")
    return tmp_path


def left(folder: Path, one: dict[str, Any]) -> None:
    (folder / "report" / "bench" / f"{one['bench']}.json").write_text(json.dumps(one))


@pytest.mark.parametrize(("new", "wins"), [
    (document("operator_day", "21", ("new", True)), "new"),
    (document("operator_day", "21", ("new", True), short=True), "old"),
    (document("operator_day", "19", ("new", True)), "old"),
    (document("operator_fleet", "01", ("first", True), short=True), "first"),
])  # fmt: skip
def test_a_whole_run_stands_above_a_short_one_and_a_newer_above_an_older(
    kept: Path, new: dict[str, Any], wins: str
) -> None:
    left(kept, new)
    found = results.documents(kept / "demo")
    assert found[new["bench"]]["rows"][0]["what"] == wins
    assert "operator_cuts" in found  # what was not run this time stays


def test_the_figures_and_everything_missed_go_between_the_marks(kept: Path) -> None:
    results.keep(["operator_day", "never_run"])
    text = results.README.read_text()
    assert text.startswith("before\n")
    assert text.endswith(f"{results.END}\nafter\n")
    assert "yesterday" not in text
    assert "| old | at most 1 | 1 \\| 2 |" in text
    assert "| cuts | at most 1 | 1 \\| 2 |" in text.partition("Missed, all of them")[2]
    assert "1 of 2 numbers kept, 1 missed, 1 not measured" in text
    assert "(of 2)" in results.TABLE.read_text()
    results.keep(["operator_day", "never_run"])
    assert results.README.read_text() == text
    results.README.write_text("no place")
    with pytest.raises(ValueError, match="no place between"):
        results.keep([])


def test_a_target_that_is_asked_again_is_written_once() -> None:
    both = {"a": document("a", "20", ("one", False), ("two", False))}
    assert "| two | the same |" in results.short(table.rows_of([], both, {}))


def test_the_demo_becomes_rows_and_a_curve(tmp_path: Path) -> None:
    (tmp_path / "promises.md").write_text("| a | b | c | |\n|---|---|---|---|\n| x | 1 | 2 | **missed** |\n")
    os.utime(tmp_path / "promises.md", (1_800_000_000, 1_800_000_000))
    rate = [{"s": second, "down_bps": 5000, "up_bps": 100} for second in range(4 * rows.POINTS)]
    (tmp_path / "rate.json").write_text(json.dumps({"rate": rate, "events": [[1, "40 GB"]]}))
    found = results.demo_document(tmp_path)
    assert [(row["what"], row["kept"]) for row in found["rows"]] == [("x", False)]
    assert found["date"] == "2027-01-15T08:00:00+00:00"
    assert found["curves"]["download, kbit/s"][-1] == [4 * rows.POINTS - 1, 5.0]
    assert len(found["curves"]["upload, kbit/s"]) <= rows.POINTS + 1
    assert found["marks"] == [[1, "40 GB"]]


def test_results_and_readme_show_what_is_kept() -> None:
    found = results.kept_rows()
    assert results.whole(found) == results.TABLE.read_text(), "python -m tests.bench.all --keep"
    text = results.README.read_text()
    assert text.partition(results.BEGIN)[2].partition(results.END)[0].strip() == results.short(found).strip()
    shown = text.partition("Missed, all of them")[2]
    for row in found:
        if row["kept"] is False:
            assert f"| {results.plain(row['what'])} |" in shown
    assert len(text.encode()) <= README_BYTES


def test_each_figure_stands_for_another_subject() -> None:
    found = results.figures(results.kept_rows())
    subjects = [table.SUBJECTS[row["issue"]] for row in found]
    assert len(set(subjects)) == len(subjects) == len(results.FIGURES) == len(set(table.SUBJECTS.values()))
