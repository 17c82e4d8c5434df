"""One row of the bench: what, target, what was measured, what a peer did in the same run.

Every script in this folder makes a `Bench`, adds rows and ends with `sys.exit(bench.finish())`: the rows go to standard
output as a Markdown table, and to `report/bench/<script>.json`, from which `make bench` and `make report` draw the one
table of all. A number that is missed stands there as missed; one that could not be measured says why.

The exit status tells a slow machine from a fault: KEPT, MISSED (it ran whole, a number that depends on the machine was
missed), FAULT (an exact number was missed: a byte, a message, a command; a script that breaks ends with it too).
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

REPORT = Path(os.environ.get("MODEM_AGENT_REPORT", "report")) / "bench"
KEPT, FAULT, MISSED = 0, 1, 3
POINTS = 300  # of a curve
SHORT = "MODEM_AGENT_BENCH_SHORT"  # set where a script runs in its short form, whose numbers prove less


@dataclass(frozen=True, slots=True)
class Row:
    """`kept` is None where nothing was promised, or where the number was not measured (`measured` then says why).

    `exact` numbers are the same on any machine, however slow or busy: to miss one is a fault.
    """

    what: str
    target: str
    measured: str
    kept: bool | None
    peer: str = ""
    exact: bool = False


class Bench:
    """The rows of one script."""

    def __init__(self, name: str, issue: int) -> None:
        self.name, self.issue = name, issue
        self.rows: list[Row] = []
        self.curves: dict[str, list[tuple[float, float]]] = {}

    def row(
        self, what: str, target: str, measured: str, kept: bool | None, peer: str = "", *, exact: bool = False
    ) -> None:
        self.rows.append(Row(what, target, measured, kept, peer, exact))
        print(f"{_mark(kept):>12}  {what}: {measured}" + (f"   [{peer}]" if peer else ""), flush=True)

    def curve(self, name: str, points: Sequence[tuple[float, float]]) -> None:
        """A line for the report; `name` ends with its unit, as "memory, MB". Thinned to what a page can show."""
        self.curves[name] = [*points[:: max(1, len(points) // POINTS)], *points[-1:]]

    def finish(self) -> int:
        """Write the rows; the exit status of the script."""
        REPORT.mkdir(parents=True, exist_ok=True)
        document = {
            "bench": self.name,
            "issue": self.issue,
            "arguments": sys.argv[1:],
            "short": SHORT in os.environ or "--short" in sys.argv,
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "machine": machine(),
            "rows": [asdict(row) for row in self.rows],
            "curves": self.curves,
        }
        (REPORT / f"{self.name}.json").write_text(json.dumps(document, indent=1) + "\n")
        print("\n" + markdown(self.rows))
        missed = [row for row in self.rows if row.kept is False]
        return FAULT if any(row.exact for row in missed) else MISSED if missed else KEPT


def machine() -> str:
    """Cores, processor, kernel and Python, in one line."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{os.cpu_count()} cores, {model}, Linux {platform.release()}, Python {platform.python_version()}"


def markdown(rows: list[Row]) -> str:
    """The rows as a table."""
    lines = ["| what | target | measured | peer, same run | |", "|---|---|---|---|---|"]
    lines += [f"| {r.what} | {r.target} | {r.measured} | {r.peer} | {_mark(r.kept)} |" for r in rows]
    return "\n".join(lines)


def _mark(kept: bool | None) -> str:
    return {True: "kept", False: "**missed**", None: "not judged"}[kept]
