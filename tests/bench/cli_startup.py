"""How long a technician waits for `--help` and `status`: wall time of the whole process, its start-up included.

And what one `ubus call modem-agent status` takes of a router, beside the verb, which answers where no file is kept.

Run: python -m tests.bench.cli_startup
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from agent.daemon.status_file import StatusFile
from tests.bench.rows import Bench
from tests.cli import sample
from tests.control.conftest import Table, serving

RUNS = 40
BRIDGE = Path(__file__).parents[2] / "firmware-config/openwrt/modem-agent/files/modem-agent.rpcd"
VERB_WATCHED = """
import atexit, sys
atexit.register(lambda: sys.stderr.write(open("/proc/self/status").read()))
sys.argv = sys.argv[1:]
from agent.cli import main
main()
"""
PEERS = ("pass", "import click")  # the interpreter alone, and with the one library that no verb can do without


def times_ms(words: list[str], **environment: str) -> tuple[float, float, float]:
    """Of many runs: median and 95th percentile of the wall time, and the median of the processor time."""
    walls, busy = [], []
    for _ in range(RUNS):
        began, before = time.perf_counter(), _children_s()
        subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
            env={"PATH": os.environ["PATH"], "TERM": "vt100", **environment},
        )
        walls.append((time.perf_counter() - began) * 1000)
        busy.append((_children_s() - before) * 1000)
    walls.sort()
    return walls[RUNS // 2], walls[int(RUNS * 0.95)], sorted(busy)[RUNS // 2]


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def peak_mb(words: list[str], **environment: str) -> float:
    """Resident memory at its highest, as the process itself shows /proc/self/status on stderr when it ends."""
    done = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], "TERM": "vt100", **environment},
    )
    found = re.search(r"^VmHWM:\s*(\d+) kB$", done.stderr, re.MULTILINE)
    assert found, done.stderr
    return int(found[1]) * 1024 / 1e6


def ubus(bench: Bench, folder: Path, verb: list[str]) -> None:
    """rpcd's bridge with a file that the agent has just written, beside the verb."""
    what, target = "`ubus call modem-agent status`: rpcd's bridge under ash", "without starting Python"
    busybox = shutil.which("busybox")
    if busybox is None:
        bench.row(what, target, "not measured: no busybox", None)
        return
    StatusFile(folder).write(sample.status())
    (folder / "uptime").write_text("300012.34 1.0\n")
    places = {"AGENT": "/bin/false", "STATUS": str(folder / "status.json"), "UPTIME": str(folder / "uptime")}
    bridge = [busybox, "ash", str(BRIDGE), "call", "status"]
    watched = [busybox, "ash", "-c", f"trap 'cat /proc/$$/status >&2' EXIT; . {BRIDGE}", *bridge[2:]]
    watched_verb = [sys.executable, "-c", VERB_WATCHED, *verb]
    bench.row(
        what,
        target,
        f"median {times_ms(bridge, **places)[0]:.0f} ms, {peak_mb(watched, **places):.1f} MB",
        True,
        f"by the verb {times_ms(verb)[0]:.0f} ms, {peak_mb(watched_verb):.1f} MB",
    )


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
            ubus(bench, Path(folder), [*tool, "status", "--json", "--socket", str(path)])
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
