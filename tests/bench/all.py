"""`make bench`: every bench script of this folder, and one table of all their numbers.

    python -m tests.bench.all [--short] [--only NAME…] [--budget S] [--table] [--keep]

A script is `<room>_<what>.py` (or `footprint*.py`) that makes a Bench and can be run by itself. Those that measure time
come first, with the machine for themselves; the others then run two at a time (in the short form, all of them). Each
has a limit, and what is left of the budget. The table is drawn from `report/bench/*.json` as they were written: what
was not run, was stopped or left no rows stands there as such. Exit status 1 if a script broke, was stopped or found a
fault; 3 if a number that depends on the machine was missed (in the short form, which runs anywhere, no failure).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.bench import results, table
from tests.bench.rows import FAULT, KEPT, MISSED, REPORT, SHORT

HERE = Path(__file__).parent
ROOMS = (
    "at_",
    "ledger_",
    "shaping_",
    "operator_",
    "simulator_",
    "cli_",
    "office_",
    "update_",
    "household_",
    "footprint",
)
LIMIT_S, SHORT_LIMIT_S = 660.0, 300.0
BUDGET_S, SHORT_BUDGET_S = 1200.0, 840.0
TOGETHER = 2  # at a time, of those that do not measure time
LONG = ("at_storm", "operator_cuts", "ledger_cuts", "ledger_flaps")  # begin first: nothing waits for them at the end
OUTCOMES = {KEPT: "ok", MISSED: "missed", FAULT: "fault"}


@dataclass(frozen=True, slots=True)
class Plan:
    """How one script is run: its arguments in both forms, and whether it measures time."""

    whole: str = ""
    short: str = ""
    alone: bool = False
    own: str = ""  # the command that runs it instead


# A script without a line here is run without arguments, beside another one.
PLANS = {
    "at_fuzz": Plan(short="20000"),
    "at_storm": Plan(whole="6", short="0.5"),
    "at_throughput": Plan(short="3", alone=True),
    "cli_clients": Plan(alone=True),
    "cli_startup": Plan(alone=True),
    "cli_watch": Plan(whole="15", short="10", alone=True),
    "footprint": Plan(own="make bench-footprint"),  # needs a 32-bit root, built for ten minutes the first time
    "footprint_modemmanager": Plan(own="make bench-footprint"),
    "household_browser": Plan(own="make bench-browser"),  # three quarters of an hour
    "ledger_cuts": Plan(whole="100", short="60"),
    "ledger_flaps": Plan(whole="150", short="40"),
    "ledger_flash": Plan(whole="50", short="10"),
    "ledger_loss": Plan(whole="8", short="2"),
    "ledger_overshoot": Plan(alone=True),
    "office_cluster": Plan(own="make bench-office"),  # these need PostgreSQL
    "office_kills": Plan(own="make bench-office"),
    "office_replay": Plan(own="make bench-office"),
    "office_views": Plan(own="make bench-office"),
    "operator_certificates": Plan(short="4 10"),
    "operator_commands": Plan(short="400", alone=True),
    "operator_cuts": Plan(short="300 300"),
    "operator_damage": Plan(short="300 10"),
    "operator_fleet": Plan(short="3000", alone=True),
    "operator_plain": Plan(short="8"),
    # `make bench-shaping` takes longer for each number, and measures in a guest with cake too.
    "shaping_line": Plan(whole="--here --seconds 4", short="--here --brief --seconds 3", alone=True),
    "shaping_events": Plan(short="5", alone=True),
    "simulator_fleet": Plan(short="100", alone=True),
    "simulator_guest": Plan(own="make bench-guest"),
    "simulator_modems": Plan(alone=True),
    "simulator_power": Plan(own="make campaign-power"),
    "update_judge": Plan(short="2 6"),
    "update_upgrades": Plan(own="make bench-upgrades"),  # twenty in a guest: half an hour
}


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

    def __str__(self) -> str:
        return f"{self.took_s:6.0f} s  {self.name:<22} {self.outcome}" + (f": {self.detail}" if self.detail else "")


def scripts() -> list[str]:
    """Names of the scripts that can be run, in the order of the rooms."""
    found = []
    for path in sorted(HERE.glob("*.py")):
        text = path.read_text()
        if path.name.startswith(ROOMS) and '__name__ == "__main__"' in text and re.search(r"\bBench\(", text):
            found.append(path.stem)
    return sorted(found, key=lambda name: next(n for n, room in enumerate(ROOMS) if name.startswith(room)))


class Runner:
    """Runs scripts until the budget is used up; `with` ends what still runs, so that no traffic goes on."""

    def __init__(self, short: bool, budget_s: float) -> None:
        self.short, self.budget_s = short, budget_s
        self._limit_s = SHORT_LIMIT_S if short else LIMIT_S
        self._ends = time.monotonic() + budget_s
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        for process in list(self._running.values()):
            _end(process)

    def all(self, names: list[str]) -> list[Run]:
        """What became of each, in the order given; old rows go first, so that nothing of another day stands there."""
        plans = {name: PLANS.get(name, Plan()) for name in names}
        done = {
            name: Run(name, 0.0, "not run", f"has a command of its own, {plan.own}")
            for name, plan in plans.items()
            if plan.own
        }
        for name in names:
            if name not in done:
                (REPORT / f"{name}.json").unlink(missing_ok=True)
        if not self.short:  # which judges no time
            done |= {name: self.one(name) for name, plan in plans.items() if plan.alone and not plan.own}
        beside = sorted((name for name in names if name not in done), key=lambda name: name not in LONG)
        with ThreadPoolExecutor(TOGETHER) as pool:
            try:
                done |= zip(beside, pool.map(self.one, beside), strict=True)
            except BaseException:
                self.__exit__()
                pool.shutdown(cancel_futures=True)
                raise
        return [done[name] for name in names]

    def one(self, name: str) -> Run:
        """One script, if there is time left for it."""
        left_s = self._ends - time.monotonic()
        if left_s < 5:
            made = Run(name, 0.0, "not run", f"the budget of {self.budget_s:.0f} s was used up")
        else:
            made = self.run(name, min(left_s, self._limit_s))
        print(made, flush=True)
        return made

    def run(self, name: str, limit_s: float) -> Run:
        """One script under its limit; its group is ended with it."""
        plan = PLANS.get(name, Plan())
        words = (plan.short if self.short else plan.whole).split()
        log, began = REPORT / f"{name}.log", time.monotonic()
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", f"tests.bench.{name}", *words],
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                env={**os.environ, **({SHORT: "1"} if self.short and plan.short else {})},
            )  # fmt: skip
            self._running[process.pid] = process
            try:
                status = process.wait(limit_s)
            except subprocess.TimeoutExpired:
                return Run(name, time.monotonic() - began, "out of time", f"stopped after {limit_s:.0f} s")
            finally:
                _end(process)
                del self._running[process.pid]
        took_s = time.monotonic() - began
        if status not in OUTCOMES or not (REPORT / f"{name}.json").exists():  # only one that came to its end has rows
            return Run(name, took_s, "failed", f"status {status}, no rows: {_last_line(log)}")
        return Run(name, took_s, OUTCOMES[status])


def _end(process: subprocess.Popen[bytes]) -> None:
    """The script and whatever it left in its group."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
            return


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no output"


def troubles(runs: list[Run]) -> dict[str, str]:
    """What the table has to say of scripts that did not come to their end."""
    return {run.name: f"{run.outcome}: {run.detail}" for run in runs if run.outcome in ("failed", "out of time")} | {
        run.name: run.detail for run in runs if run.outcome == "not run" and not (REPORT / f"{run.name}.json").exists()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="the short form of each, for CI")
    parser.add_argument("--only", nargs="+", default=None, metavar="NAME", help="these scripts or rooms only")
    parser.add_argument("--budget", type=float, default=None, metavar="S", help="seconds for all of them")
    parser.add_argument("--table", action="store_true", help="run nothing; draw the table from what was written")
    parser.add_argument(
        "--keep", action="store_true", help="run nothing; keep the newest run: RESULTS.md and README.md"
    )
    options = parser.parse_args()
    names = [name for name in scripts() if not options.only or name.startswith(tuple(options.only))]
    if not names:
        parser.error(f"no such bench; there are {', '.join(scripts())}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(FAULT))  # an exception, so that what runs is ended too
    REPORT.mkdir(parents=True, exist_ok=True)
    began, runs = time.monotonic(), list[Run]()
    if options.keep:
        results.keep(scripts())
        return KEPT
    if not options.table:
        with Runner(options.short, options.budget or (SHORT_BUDGET_S if options.short else BUDGET_S)) as runner:
            runs = runner.all(names)
    rows = table.collect(scripts(), troubles(runs))
    table.write(rows)
    print("\n" + table.markdown(rows))
    print(f"{REPORT.parent}/bench.md and bench.json" + (f"; {time.monotonic() - began:.0f} s" if runs else ""))
    broken = [run for run in runs if run.broken]
    for one in broken:
        print(f"{one.outcome}: {one.name} {one.detail}; see {REPORT / one.name}.log")
    missed = any(row["kept"] is False for row in rows)
    return FAULT if broken else MISSED if missed and not options.short else KEPT


if __name__ == "__main__":
    sys.exit(main())
