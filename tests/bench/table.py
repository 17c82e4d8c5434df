"""The one table: every row that the scripts left in report/bench, as Markdown by subject, as JSON, and for the README.

Called by tests/bench/all.py and report.py. Draws what was written and judges nothing anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.bench.rows import REPORT, machine

Rows = list[dict[str, Any]]

# By the number that a script gives its Bench, in the order of the table.
SUBJECTS = {
    2: "The main job",
    4: "Counting",
    5: "Shaping",
    3: "The modem",
    6: "The operator's side",
    7: "The technician's tool",
    20: "In the home",
    9: "On the device",
    8: "The simulator",
    10: "Faults at random",
    22: "Updates of the agent",
}
OTHER = "Not measured in this run"
BEGIN, END = "<!-- bench -->", "<!-- /bench -->"
HEAD = ("what", "target", "measured", "peer, same run", "")


def collect(names: Iterable[str], troubles: dict[str, str]) -> Rows:
    """The rows of these scripts, and of whatever else left some: the campaign, the fuzzing, the guests.

    A script without rows, or that was stopped, gives one row that says so; `troubles` has its words by its name.
    """
    others = sorted(path.stem for path in REPORT.glob("*.json"))
    rows: Rows = []
    for name in dict.fromkeys([*names, *others]):
        file = REPORT / f"{name}.json"
        if file.exists():
            document = json.loads(file.read_text())
            common = {key: document.get(key) for key in ("bench", "issue", "arguments", "short", "date", "machine")}
            rows += [{**common, **row} for row in document["rows"]]
        if name in troubles or not file.exists():
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
    """One table; a bar or a line end in a cell would break it."""
    lines = ["| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|"]
    for row in rows:
        plain = (cell.replace("|", "\\|").replace("\n", " ") for cell in cells(row))
        lines.append("| " + " | ".join(plain) + " |")
    return "\n".join(lines) + "\n"


def summary(rows: Rows) -> str:
    """One sentence: how many numbers were kept, missed and not measured, when and where."""
    judged = [row for row in rows if row["kept"] is not None]
    missed = sum(row["kept"] is False for row in judged)
    absent = sum(not row["date"] for row in rows)
    machines = sorted({row["machine"] for row in rows if row["machine"]})
    parts = [f"{len(judged) - missed} of {len(judged)} numbers kept", f"{missed} missed"]
    parts += [f"{absent} not measured"] if absent else []
    parts += ["some in the short form only"] if any(row["short"] for row in judged) else []
    return f"Measured {days(rows) or 'never'} on {'; '.join(machines) or machine()}: {', '.join(parts)}."


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


def put_into(readme: Path, rows: Rows) -> None:
    """Between the two marks of the README: what was promised or compared. Raises ValueError without the marks."""
    text = readme.read_text()
    before, begun, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended:
        raise ValueError(f"{readme}: no place between {BEGIN} and {END}")
    shown = [row for row in rows if row["target"] or row["peer"] or not row["date"] or row["issue"] == 5]
    readme.write_text(f"{before}{BEGIN}\n\n{markdown(shown, '###')}{END}{after}")
