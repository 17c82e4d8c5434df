"""How long a technician waits for `--help` and `status`: wall time of the whole process, its start-up included.

Run: python -m tests.bench.cli_startup
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.rows import Bench
from tests.cli import sample
from tests.control.conftest import Table, serving

RUNS = 40
PEERS = ("pass", "import click")  # the interpreter alone, and with the one library that no verb can do without


def times_ms(words: list[str]) -> tuple[float, float, float]:
    """Of many runs: median and 95th percentile of the wall time, and the median of the processor time."""
    walls, busy = [], []
    for _ in range(RUNS):
        began, before = time.perf_counter(), _children_s()
        subprocess.run(words, stdout=subprocess.DEVNULL, check=True, env={"PATH": os.environ["PATH"], "TERM": "vt100"})
        walls.append((time.perf_counter() - began) * 1000)
        busy.append((_children_s() - before) * 1000)
    walls.sort()
    return walls[RUNS // 2], walls[int(RUNS * 0.95)], sorted(busy)[RUNS // 2]


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Agent(Table):
    """Answers `status` as a full agent does."""

    async def _status(self, args: dict[str, Any], progress: Any) -> Any:
        return sample.status()


def main() -> int:
    bench = Bench("cli_startup", 7)
    tool = [str(Path(sys.executable).with_name("modem-agent"))]
    peers = ", ".join(f"'{text}' {times_ms([sys.executable, '-c', text])[0]:.0f} ms" for text in PEERS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "control.sock"
        with serving(path, Agent()):
            for name, limit_ms, words in (
                ("--help", 100, ["--help"]),
                ("signal --help", 100, ["signal", "--help"]),
                ("status", 150, ["status", "--socket", str(path)]),
                ("status --json", 150, ["status", "--json", "--socket", str(path)]),
            ):
                middle, most, busy = times_ms([*tool, *words])
                text = f"median {middle:.0f} ms, p95 {most:.0f} ms (processor {busy:.0f} ms)"
                bench.row(f"`{name}`", f"under {limit_ms} ms", text, middle < limit_ms, peers)
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
