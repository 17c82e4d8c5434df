"""Tests of the tests: mutmut changes one thing of a module at a time, and a test or the type checker has to notice.

`make mutate` runs all modules of the table, `make mutate SHORT=1` the pure ones, `ONLY=period` one. Each runs in a copy
of the tree, since mutmut writes beside what it mutates and has one selection of tests a configuration. A mutant that
nothing notices is a fault unless survivors.toml gives a reason why it changes nothing that matters. `--digits 258`
tries three mutants of ten, by the last digit of their number, and `--children 1` leaves the other cores alone.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from agent.toml import tomllib

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "report" / "mutation"
TARGET = 0.9  # of the mutants, noticed
# What the tests need beside agent/ itself.
BESIDE = ("simulator", "tests", "systemd", "firmware-config", "README.md", "pyproject.toml")
# A log's wording is for people; no test should hold it.
NOT_MUTATED = (r"log\.(debug|info|warning|error|exception|log)\(",)
TEST_S = 30  # a mutant that makes a test wait for ever is noticed after so long
# Of the copies of a method beside each other, and not of what was changed in one.
TYPES_IGNORED = ("--disable-error-code", "unused-ignore", "--disable-error-code", "no-redef")
NOTICED = ("killed", "caught by type check", "timeout", "segfault")


@dataclass(frozen=True, slots=True)
class Module:
    """A file of agent/ and the tests that ought to notice what changes in it."""

    path: str
    tests: tuple[str, ...]
    short: bool = False  # whether CI's form has it: pure, and done in a minute or two

    @property
    def name(self) -> str:
        return Path(self.path).stem

    @property
    def place(self) -> Path:
        """Where its copy of the tree stands."""
        return WORK / "-".join(Path(self.path).with_suffix("").parts[1:])


CONFIG = ("tests/commands/test_config_trial.py", "tests/commands/test_pushed_config.py")
MODULES = (
    Module("agent/plan/period.py", ("tests/plan/test_period.py", "tests/plan/test_billing_day.py"), short=True),
    Module("agent/plan/settling.py", ("tests/plan",)),
    Module("agent/plan/sampling.py", ("tests/plan",)),
    Module("agent/plan/observing.py", ("tests/plan",)),
    Module("agent/commands/authority.py", ("tests/commands/test_grant.py",), short=True),
    Module("agent/store/counter_window.py", ("tests/store/test_counter_window.py",), short=True),
    Module(
        "agent/commands/runner.py",
        tuple(f"tests/commands/test_runner{part}.py" for part in ("", "_answers", "_final_answer")),
    ),
    Module("agent/keeper.py", ("tests/test_keeper.py", "tests/test_keeper_commit.py")),
    Module("agent/mqtt/outbox.py", ("tests/mqtt/test_outbox.py", "tests/mqtt/test_outbox_numbers.py")),
    Module("agent/mqtt/session.py", ("tests/mqtt/test_session_order.py", "tests/mqtt/test_session_end.py")),
    Module("agent/modem/recovery.py", ("tests/modem/test_recovery_memory.py", "tests/daemon/test_recovery.py")),
    Module(
        "agent/daemon/tasks/recovery.py",
        tuple(f"tests/daemon/test_{part}.py" for part in ("recovery", "recovery_evidence", "silence")),
    ),
    Module(
        "agent/daemon/accounting.py",
        tuple(f"tests/daemon/test_{part}.py" for part in ("accounting", "counting", "line_speed")),
    ),
    Module("agent/commands/pushed_config.py", CONFIG),
    Module("agent/commands/config_trial.py", CONFIG),
    Module("agent/traffic/enforce.py", ("tests/traffic/test_enforce.py", "tests/traffic/test_enforce_requests.py")),
)


@dataclass(frozen=True, slots=True)
class Result:
    module: Module
    outcomes: dict[str, str]  # mutant's name: what became of it
    took_s: float

    @property
    def counts(self) -> Counter[str]:
        return Counter(self.outcomes.values())

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {outcome}" for outcome, count in self.counts.most_common())
        total = len(self.outcomes)
        return f"{self.share:6.1%} of {total} mutants of {self.module.path} in {self.took_s:.0f} s: {counts}"

    @property
    def survivors(self) -> list[str]:
        return [name for name, outcome in self.outcomes.items() if outcome not in NOTICED]

    @property
    def share(self) -> float:
        return 1 - len(self.survivors) / len(self.outcomes) if self.outcomes else 0.0


def run(module: Module, *, digits: str = "", children: int | None = None) -> Result:
    """The mutants of one module, in a copy of the tree. Raises SystemExit where mutmut itself fails."""
    began, place = time.monotonic(), module.place
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for name in ("agent", *BESIDE):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, place / name)
    with (place / "pyproject.toml").open("a") as file:
        file.write(settings(module))
    log = place / "mutmut.log"
    words = ["--max-children", str(children)] if children else []
    words += [f"*__mutmut_*[{digits}]"] if digits else []
    with log.open("wb") as output:
        status = subprocess.run(
            [str(Path(sys.executable).parent / "mutmut"), "run", *words],
            cwd=place, stdout=output, stderr=output, check=False,
            env={"PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(place)},
        ).returncode  # fmt: skip
    outcomes = results(place)
    if status or not outcomes:
        raise SystemExit(f"{module.path}: mutmut ended with {status}; see {log}")
    return Result(module, outcomes, time.monotonic() - began)


def settings(module: Module) -> str:
    """mutmut's section of pyproject.toml for one module."""
    rows: dict[str, object] = {
        "source_paths": ["agent"],
        "only_mutate": [module.path],
        "also_copy": list(BESIDE),
        "pytest_add_cli_args": ["-q", "-x", "-p", "no:cacheprovider", "--timeout", str(TEST_S)],
        "timeout_multiplier": 4.0,
        "timeout_constant": 10.0,
        "pytest_add_cli_args_test_selection": list(module.tests),
        "do_not_mutate_patterns": list(NOT_MUTATED),
        "type_check_command": ["mypy", "-p", "agent", "--output", "json", *TYPES_IGNORED],
    }
    return "\n[tool.mutmut]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in rows.items())


def toml(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(toml(item) for item in value)}]"
    return f"'{value}'" if isinstance(value, str) else str(value)


def results(place: Path) -> dict[str, str]:
    said = subprocess.run(
        [str(Path(sys.executable).parent / "mutmut"), "results", "--all", "true"],
        cwd=place, capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    rows = (line.strip().partition(": ") for line in said.splitlines() if "__mutmut_" in line)
    return {name: outcome for name, _, outcome in rows if outcome != "not checked"}


def change(module: Module, mutant: str) -> str:
    """The changed lines of one mutant."""
    said = subprocess.run(
        [str(Path(sys.executable).parent / "mutmut"), "show", mutant],
        cwd=module.place, capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    return "\n".join(line for line in said.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---"))


def survivors() -> list[dict[str, str]]:
    """The changes that nothing needs to notice, each with its reason."""
    found: list[dict[str, str]] = tomllib.loads((Path(__file__).parent / "survivors.toml").read_text())["survivor"]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="the pure modules only, for CI")
    parser.add_argument("--only", nargs="+", default=None, metavar="NAME", help="these modules only")
    parser.add_argument("--digits", default="", help="only the mutants whose number ends in one of these")
    parser.add_argument("--children", type=int, default=None, metavar="N", help="so many mutants at a time")
    options = parser.parse_args()
    chosen = [m for m in MODULES if (m.short or not options.short) and m.name in (options.only or [m.name])]
    if not chosen:
        parser.error(f"no such module; there are {', '.join(m.name for m in MODULES)}")
    reasons = {row["change"].strip("\n"): row["reason"] for row in survivors()}
    bad = 0
    for module in chosen:
        result = run(module, digits=options.digits, children=options.children)
        print(result, flush=True)
        for mutant in result.survivors:
            text = change(module, mutant)
            if not (reason := reasons.get(text)):
                bad += 1
            print(f"\n{mutant}: {reason or 'no reason given'}\n{text}")
        bad += result.share < TARGET
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
