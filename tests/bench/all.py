"""`make bench`: every bench script of this folder, one after the other, and one table of all their numbers.

    python -m tests.bench.all [--short] [--only NAME…] [--budget S] [--table]

A script is `<room>_<what>.py` (or `footprint*.py`) that can be run by itself; each gets a limit of time, and what is
left of the budget. The table is drawn from `report/bench/*.json` as they were written: what was not run, ran out of
time or left no rows stands there as such. Exit status 1 if a script broke, was stopped or found a fault; 3 if a number
that depends on the machine was missed (in the short form, which runs anywhere, that is told and is no failure).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.rows import FAULT, KEPT, MISSED, REPORT, machine

HERE = Path(__file__).parent
ROOMS = ("at_", "ledger_", "shaping_", "operator_", "simulator_", "cli_", "footprint")
LIMIT_S, SHORT_LIMIT_S = 600.0, 120.0
BUDGET_S, SHORT_BUDGET_S = 1200.0, 300.0
# Scripts that take numbers instead of --short: what they are given in the short form.
SHORT_NUMBERS = {
    "at_fuzz": ["20000"],
    "at_storm": ["0.5"],
    "at_throughput": ["3"],
    "cli_watch": ["10"],
    "ledger_flaps": ["60"],
    "operator_commands": ["400"],
    "operator_cuts": ["300", "300"],
    "simulator_fleet": ["100"],
}
# What one script takes in the whole run, so that all of them fit twenty minutes; the guests have commands of their own.
WHOLE_NUMBERS = {"at_storm": ["6"], "shaping_line": ["--here"]}
OWN_COMMAND = {"footprint": "make bench-footprint"}  # needs a 32-bit root, built for ten minutes the first time
OUTCOMES = {KEPT: "ok", MISSED: "missed", FAULT: "fault"}


@dataclass(frozen=True, slots=True)
class Run:
    """What became of one script."""

    name: str
    took_s: float
    outcome: str  # ok, missed, fault, failed, out of time, not run
    detail: str = ""

    @property
    def broken(self) -> bool:
        return self.outcome in ("fault", "failed", "out of time")


def scripts() -> list[str]:
    """Names of the scripts that can be run, in the order of the rooms."""
    found = []
    for path in sorted(HERE.glob("*.py")):
        text = path.read_text()
        if path.name.startswith(ROOMS) and '__name__ == "__main__"' in text and re.search(r"\bBench\(", text):
            found.append(path.stem)
    return sorted(found, key=lambda name: next(n for n, room in enumerate(ROOMS) if name.startswith(room)))


def arguments(name: str, short: bool) -> list[str]:
    """What the script is called with."""
    if not short:
        return WHOLE_NUMBERS.get(name, [])
    text = (HERE / f"{name}.py").read_text()
    for flag in ("--short", "--brief"):
        if f'"{flag}"' in text:
            return [flag, "--here"] if '"--here"' in text else [flag]
    return SHORT_NUMBERS.get(name, [])


def run(name: str, short: bool, limit_s: float) -> Run:
    """One script under its limit; its group is ended with it, so that no traffic goes on."""
    command = [sys.executable, "-m", f"tests.bench.{name}", *arguments(name, short)]
    print(f"\n== {' '.join(command[2:])} (at most {limit_s:.0f} s)", flush=True)
    log = REPORT / f"{name}.log"
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            status = process.wait(limit_s)
        except BaseException as stopped:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
                _gone(process)
            if not isinstance(stopped, subprocess.TimeoutExpired):
                raise
            return Run(name, time.monotonic() - began, "out of time", f"stopped after {limit_s:.0f} s")
    took_s = time.monotonic() - began
    if status not in OUTCOMES or not (REPORT / f"{name}.json").exists():  # only a script that came to its end has rows
        return Run(name, took_s, "failed", f"status {status}, no rows: {_last_line(log)}")
    return Run(name, took_s, OUTCOMES[status])


def _gone(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no output"


def run_all(names: list[str], short: bool, budget_s: float) -> list[Run]:
    """All scripts within the budget; old rows go first, so that nothing of another day stands in the table."""
    ends, done = time.monotonic() + budget_s, []
    for name in names:
        left_s = ends - time.monotonic()
        if name in OWN_COMMAND:
            done.append(Run(name, 0.0, "not run", f"has a command of its own: {OWN_COMMAND[name]}"))
            continue
        (REPORT / f"{name}.json").unlink(missing_ok=True)
        if left_s < 5:
            done.append(Run(name, 0.0, "not run", f"the budget of {budget_s:.0f} s was used up"))
        else:
            done.append(run(name, short, min(left_s, SHORT_LIMIT_S if short else LIMIT_S)))
        print(f"   {done[-1].outcome} after {done[-1].took_s:.0f} s {done[-1].detail}", flush=True)
    return done


# -- the one table -------------------------------------------------------------------------------------------------


def collect(runs: list[Run]) -> list[dict[str, Any]]:
    """Every row of every script, with where and when it was measured; a script without rows gives one that says so."""
    told = {run.name: run for run in runs}
    rows = []
    for name in [*scripts(), *_others()]:
        file = REPORT / f"{name}.json"
        if file.exists():
            document = json.loads(file.read_text())
            common = {key: document[key] for key in ("bench", "issue", "date", "machine")}
            rows += [{**common, **row} for row in document["rows"]]
            if name in told and told[name].outcome == "out of time":
                rows.append(_absent(name, told[name].detail))
            continue
        outcome = told.get(name)
        why = f"{outcome.outcome}: {outcome.detail}" if outcome else "not run"
        rows.append(_absent(name, why))
    return rows


def _others() -> list[str]:
    """Rows that other commands left: the campaign, the fuzzing, the guests."""
    known = set(scripts())
    return sorted(path.stem for path in REPORT.glob("*.json") if path.stem not in known and path.stem != "all")


def _absent(name: str, why: str) -> dict[str, Any]:
    row = {"what": name, "target": "", "measured": why, "kept": None, "peer": ""}
    return {"bench": name, "issue": None, "date": "", "machine": "", **row}


VERDICT = {True: "kept", False: "**missed**", None: "not judged"}


def verdict(row: dict[str, Any]) -> str:
    return VERDICT[row["kept"]] if row["date"] else "not measured"


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table; the machine stands once above it where it is the same for all."""
    machines = sorted({row["machine"] for row in rows if row["machine"]})
    lines = [f"Machine: {'; '.join(machines) or machine()}", ""]
    lines += ["| bench | what | target | measured | peer, same run | verdict | date |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        cells = [row["bench"], row["what"], row["target"], row["measured"], row["peer"], verdict(row), row["date"][:16]]
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def write_table(runs: list[Run]) -> list[dict[str, Any]]:
    rows = collect(runs)
    REPORT.mkdir(parents=True, exist_ok=True)
    (REPORT.parent / "bench.md").write_text(markdown(rows))
    (REPORT.parent / "bench.json").write_text(json.dumps(rows, indent=1) + "\n")
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="the short form of each, for CI")
    parser.add_argument("--only", nargs="+", default=None, metavar="NAME", help="these scripts or rooms only")
    parser.add_argument("--budget", type=float, default=None, metavar="S", help="seconds for all of them")
    parser.add_argument("--table", action="store_true", help="run nothing; draw the table from what was written")
    options = parser.parse_args()
    names = [name for name in scripts() if not options.only or name.startswith(tuple(options.only))]
    if not names:
        parser.error(f"no such bench; there are {', '.join(scripts())}")
    budget_s = options.budget or (SHORT_BUDGET_S if options.short else BUDGET_S)
    REPORT.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(FAULT))  # an exception, so that the script that runs is ended too
    runs = [] if options.table else run_all(names, options.short, budget_s)
    rows = write_table(runs)
    print("\n" + markdown(rows))
    print(f"{REPORT.parent}/bench.md and bench.json")
    broken = [run for run in runs if run.broken]
    for one in broken:
        print(f"{one.outcome}: {one.name} {one.detail}; see {REPORT / one.name}.log")
    missed = any(row["kept"] is False for row in rows)
    return FAULT if broken else MISSED if missed and not options.short else KEPT


if __name__ == "__main__":
    sys.exit(main())
