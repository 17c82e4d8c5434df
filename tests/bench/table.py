"""The one table: every row that the scripts left in report/bench, as Markdown by subject and as JSON.

Called by tests/bench/all.py, results.py and report.py. Draws what was written and judges nothing anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from tests.bench.rows import REPORT, machine

Rows = list[dict[str, Any]]

# By the number that a script gives its Bench, in the order of the table.
SUBJECTS = {
    2: "The main job",
    4: "Counting",
    5: "Shaping",
    15: "Shaping",
    3: "The modem",
    6: "The operator's side",
    19: "The operator's side",
    24: "The operator's side",
    7: "The technician's tool",
    9: "On the device",
    8: "The simulator",
    10: "Faults at random",
    22: "Updates of the agent",
}
OTHER = "Not measured in this run"
HEAD = ("what", "target", "measured", "peer, same run", "")


def collect(names: Iterable[str], troubles: Mapping[str, str]) -> Rows:
    """The rows of these scripts, and of whatever else left some: the campaign, the fuzzing, the guests.

    A script without rows, or that was stopped, gives one row that says so; `troubles` has its words by its name.
    """
    files = {path.stem: path for path in sorted(REPORT.glob("*.json"))}
    return rows_of(names, {name: json.loads(file.read_text()) for name, file in files.items()}, troubles)


def rows_of(names: Iterable[str], documents: Mapping[str, dict[str, Any]], troubles: Mapping[str, str]) -> Rows:
    """The rows of these documents, those of `names` first, each with what its script says of all of them."""
    rows: Rows = []
    for name in dict.fromkeys([*names, *documents]):
        if document := documents.get(name):
            common = {key: document.get(key) for key in ("bench", "issue", "arguments", "short", "date", "machine")}
            rows += [{**common, **row} for row in document["rows"]]
        if name in troubles or not document:
            rows.append(_absent(name, troubles.get(name, "not run")))
    return rows


def _absent(name: str, why: str) -> dict[str, Any]:
    row = {"what": name, "target": "", "measured": why, "kept": None, "peer": "", "exact": False}
    return {"bench": name, "issue": None, "arguments": [], "short": False, "date": "", "machine": "", **row}


VERDICT = {True: "kept", False: "**missed**", None: "not judged"}
NO_TARGET = ("", "printed", "(peer)")


def verdict(row: dict[str, Any]) -> str:
    if not row["date"]:
        return "not measured"
    if row["kept"] is None and row["target"] in NO_TARGET:
        return ""
    return VERDICT[row["kept"]] + (", short form" if row["short"] else "")


def by_subject(rows: Rows) -> dict[str, Rows]:
    """In the order of SUBJECTS; what has no subject comes last."""
    found: dict[str, Rows] = {subject: [] for subject in (*SUBJECTS.values(), OTHER)}
    for row in rows:
        found[SUBJECTS.get(row["issue"], OTHER)].append(row)
    return {subject: part for subject, part in found.items() if part}


def cells(row: dict[str, Any]) -> list[str]:
    return [str(row[key]) for key in ("what", "target", "measured", "peer")] + [verdict(row)]


def grid(rows: Rows) -> str:
    return grid_of(HEAD, map(cells, rows))


def grid_of(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """One table; a bar or a line end in a cell would break it."""
    found = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for line in lines:
        found.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |")
    return "\n".join(found) + "\n"


def summary(rows: Rows) -> str:
    """One sentence: how many numbers were kept, missed and not measured, when and where."""
    machines = sorted({row["machine"] for row in rows if row["machine"]})
    return f"{count(rows)} On {'; '.join(machines) or machine()}."


def count(rows: Rows) -> str:
    judged = [row for row in rows if row["kept"] is not None]
    missed = sum(row["kept"] is False for row in judged)
    absent = sum(not row["date"] for row in rows)
    parts = [f"{len(judged) - missed} of {len(judged)} numbers kept", f"{missed} missed"]
    parts += [f"{absent} not measured"] if absent else []
    parts += ["some in the short form only"] if any(row["short"] for row in judged) else []
    return f"Measured {days(rows) or 'never'}: {', '.join(parts)}."


def days(rows: Rows) -> str:
    """The day of the rows, or the first and the last."""
    found = sorted({datetime.fromisoformat(row["date"]).date() for row in rows if row["date"]})
    words = [f"{day.day} {day:%B %Y}" for day in (found[:1] + found[-1:] if len(found) > 1 else found)]
    return " to ".join(words)


def markdown(rows: Rows, level: str = "##") -> str:
    parts = [summary(rows) + "\n"]
    for subject, part in by_subject(rows).items():
        when = days(part)
        parts.append(f"{level} {subject}" + (f" ({when})" if when else "") + f"\n\n{grid(part)}")
    return "\n".join(parts)


def write(rows: Rows) -> None:
    """report/bench.md and bench.json."""
    REPORT.mkdir(parents=True, exist_ok=True)
    (REPORT.parent / "bench.md").write_text(markdown(rows))
    (REPORT.parent / "bench.json").write_text(json.dumps(rows, indent=1) + "\n")
