"""The fleet against one mosquitto: 2 000 devices, or as many as asked, and a storm: the broker goes and comes back.

More than 5 000 are shared out to a process for each processor.

.venv/bin/python -m tests.bench.simulator_fleet [DEVICES]
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import tempfile
from pathlib import Path

from simulator.fleet import Fleet, Plan
from simulator.fleet.broker import Mosquitto, raise_file_limit
from tests.bench.rows import Bench

TARGET = 2_000


def main() -> int:
    devices = int(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    bench = Bench("simulator_fleet", issue=8)
    logging.getLogger("agent").setLevel(logging.CRITICAL)
    # The agent's beat is 900 s; here as much faster as one Python process can carry beside the broker.
    processes = (os.cpu_count() or 1) if devices > 5_000 else 1
    beat_s = max(60, devices // 20)
    plan = Plan(devices, devices / 40, steady_s=60.0, beat_s=beat_s, patience_s=300.0, processes=processes)
    with tempfile.TemporaryDirectory() as scratch:
        raise_file_limit(devices * 3 + 200)
        broker = Mosquitto(Path(scratch))
        broker.start()
        try:
            report = asyncio.run(Fleet(plan, broker.url, broker, lambda text: print(text, flush=True)).run())
        finally:
            broker.stop()
    latency = ", ".join(f"{name} {value:.1f} ms" for name, value in report.puback_ms.items())
    storm = ", ".join(f"{share} after {seconds:.1f} s" for share, seconds in report.storm_s.items())
    bench.row(
        f"virtual devices on one mosquitto, in {processes} process{'es' * (processes > 1)}",
        f"at least {TARGET}, aim 5000",
        f"{report.connected} of {devices} connected, {report.memory_mb:.0f} MB",
        report.connected >= min(devices, TARGET),
    )
    bench.row(
        "processor",
        "printed",
        f"broker {report.broker_cpu_s:.0f} s, back office {report.desk_cpu_s:.0f} s, "
        f"devices {report.fleet_cpu_s:.0f} s",
        None,
    )
    bench.row("PUBACK of all reports", "printed", latency, None)
    bench.row(
        "storm: the broker away for 5 s, all reconnect by the agent's jitter",
        "all back",
        f"{storm}; at most {report.storm_peak_per_s} a second",
        "100 %" in report.storm_s,
    )
    bench.row(
        "reports missing after gaps and storm", "0", str(report.missing_reports), report.missing_reports == 0,
        peer=f"{report.messages} messages, {report.repeated_reports} repeated", exact=True,
    )  # fmt: skip
    bench.row(
        "commands answered; done twice though sent twice",
        "all; 0",
        f"{report.commands_answered} of {report.commands}; {report.done_twice} of {report.commands_doubled}",
        report.commands_answered == report.commands and not report.done_twice,
        exact=True,
    )
    day_kb = (report.birth_bytes + 96 * report.beat_bytes) / 1000
    bench.row(
        "bytes a device on the wire", "printed",
        f"{report.birth_bytes:.0f} to be born, {report.beat_bytes:.0f} a beat, {day_kb:.0f} kB a day of 96 beats", None,
    )  # fmt: skip
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
