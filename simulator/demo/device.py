"""The device under demonstration: its configuration, its ledger before the story, the real daemon, and its CLI."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from agent import config as configuration
from agent.clock import Clock
from agent.plan import Ledger
from agent.store import Database
from simulator.demo.network import BROKER_ADDRESS, MODEM
from simulator.demo.processes import BROKER_PORT, Processes

ALLOWANCE_BYTES = 40_000_000_000
USED_BEFORE_BYTES = 39_985_000_000
EXECUTABLE = Path(sys.executable).with_name("modem-agent")

CONFIG = """# Written by the demo. The plan is the real one, only the time zone is odd: midnight is the month end.
[device]
state_dir = "{out}/state"
run_dir = "{out}/run"

[modem]
port = "{port}"
poll_s = 2

[wan]
interfaces = ["wwan0"]

[plan]
allowance_bytes = {allowance}
billing_day = {day}
timezone = "{zone}"
warn_percent = [80, 95]

[operator]
url = "mqtt://{address}:{broker}"
protocol = "{protocol}"
beat_s = 30

[log]
level = "info"
"""


def month_end_in(seconds: float) -> tuple[datetime, int, str]:
    """(instant, billing day, POSIX TZ string) of a zone whose midnight comes in so many seconds."""
    end = (datetime.now(timezone.utc) + timedelta(seconds=seconds)).replace(microsecond=0)
    west_s = end.hour * 3600 + end.minute * 60 + end.second
    if west_s > 12 * 3600:
        west_s -= 24 * 3600
    local = end - timedelta(seconds=west_s)
    size = abs(west_s)
    zone = f"DEMO{'-' if west_s < 0 else ''}{size // 3600}:{size // 60 % 60:02}:{size % 60:02}"
    return end, local.day, zone


class Device:
    """Files below `out`, and the daemon in the modem's namespace."""

    def __init__(self, out: Path, port: str, month_end_s: float, protocol: str = "auto") -> None:
        self.month_end, day, zone = month_end_in(month_end_s)
        self.file = out / "config.toml"
        self.file.write_text(
            CONFIG.format(
                out=out, port=port, allowance=ALLOWANCE_BYTES, day=day, zone=zone,
                address=BROKER_ADDRESS, broker=BROKER_PORT, protocol=protocol,
            )
        )  # fmt: skip
        for folder in ("state", "run"):
            (out / folder).mkdir(exist_ok=True)
        self._seed(out / "state")
        self.process: subprocess.Popen[bytes] | None = None

    def _seed(self, state: Path) -> None:
        """A month that is nearly used up: three quarters down, one quarter up, as a household's is."""
        config = configuration.load(self.file)
        ledger = Ledger.new(config.plan, Clock(config.clock, floor=None).now())
        received = USED_BEFORE_BYTES * 3 // 4
        ledger = replace(ledger, fresh=False, received_bytes=received, sent_bytes=USED_BEFORE_BYTES - received)
        database = Database.open(state / "agent.db")
        with database.transaction():
            database.keep(ledger)
        database.close()

    def start(self, processes: Processes) -> None:
        self.process = processes.start(MODEM, "daemon", str(EXECUTABLE), "run", "--config", str(self.file))

    def kill(self) -> None:
        """As the kernel's out-of-memory killer would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self) -> float:
        """SIGTERM; the seconds it took to stop."""
        assert self.process is not None
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        return time.monotonic() - begin

    def ask(self, verb: str, *words: str) -> Any:
        """One verb of the real CLI with --json; None while the daemon does not answer."""
        result = subprocess.run(
            [EXECUTABLE, verb, *words, "--config", self.file, "--json"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return json.loads(result.stdout) if result.returncode == 0 and result.stdout.strip() else None

    def memory_bytes(self) -> int:
        """Proportional set size of the daemon."""
        assert self.process is not None
        for line in Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
        return 0

    def cpu_s(self) -> float:
        """Processor seconds that the daemon's threads have used so far, as the scheduler counts them: in nanoseconds
        (Documentation/scheduler/sched-stats.rst), where /proc/PID/stat has steps of 10 ms."""
        assert self.process is not None
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9
