"""12 000 devices on one mosquitto with its default queue, listed by `modem-support fleet`: time, memory, completeness.

.venv/bin/python -m tests.bench.operator_fleet [DEVICES]      Called by `make bench`.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.rows import Bench
from tests.mqtt.broker import Mosquitto
from tests.support.publisher import fleet_of, retain

DEVICES = 12_000
QUIET = "allow_anonymous true\nlog_type warning\n"
LONGEST_S = 20.0
MOST_MB = 200.0


def listed(url: str) -> tuple[dict[str, object], float, float]:
    """What the tool printed, how long it took, and its peak memory in MB."""
    program = [sys.executable, "-c", "from agent.support.cli import main; main()", "--broker", url, "fleet", "--json"]
    began = time.monotonic()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(program, stdout=out)
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0  # it was waited for here, for the sake of its memory
        seconds = time.monotonic() - began
        out.seek(0)
        return json.load(out), seconds, used.ru_maxrss / 1024


def main() -> int:
    devices = int(sys.argv[1]) if len(sys.argv) > 1 else DEVICES
    bench = Bench("operator_fleet", issue=19)
    with tempfile.TemporaryDirectory() as scratch, Mosquitto(Path(scratch), extra=QUIET) as broker:
        asyncio.run(retain(broker.port, fleet_of(devices)))
        found, seconds, memory_mb = listed(broker.url)
    rows = found["devices"]
    assert isinstance(rows, list)
    whole = sum(row["presence"] == "online" and row["limit_bytes"] is not None for row in rows)
    bench.row(
        "devices listed with presence and plan, on mosquitto's default queue", f"all {devices}",
        f"{whole}, said to be {'complete' if found['complete'] else 'incomplete'}",
        whole == devices and found["complete"] is True, exact=True,
    )  # fmt: skip
    bench.row("time to list them", f"under {LONGEST_S:g} s", f"{seconds:.1f} s", seconds < LONGEST_S)
    bench.row("memory of the tool", f"under {MOST_MB:g} MB", f"{memory_mb:.0f} MB", memory_mb < MOST_MB)
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
