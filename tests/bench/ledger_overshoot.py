"""From the last byte of the allowance to a throttled line: how much more has passed, with real frames at a real rate.

    python tests/bench/ledger_overshoot.py

The real daemon with its default plan, its ledger just short of 40 GB; frames arrive at 7 and at 150 Mbit/s. Throttled
is the moment at which the kernel has the interface through which the download is shaped.
"""

from __future__ import annotations

import shutil
import socket
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from agent.clock import Clock
from agent.config import ClockSettings
from agent.plan import Ledger, Plan
from agent.store import Database
from tests.bench.ledger_daemon import Daemon
from tests.bench.ledger_line import Line, enter_namespace
from tests.bench.ledger_links import ip
from tests.bench.rows import Bench

PLAN = Plan()
SHAPED = "ifb4wan0"
FRAME = 1_500


def seed(daemon: Daemon, left: int) -> None:
    """A month that is nearly used up."""
    moment = Clock(ClockSettings(source="system"), floor=None).now()
    ledger = replace(Ledger.new(PLAN, moment), fresh=False, received_bytes=PLAN.allowance_bytes - left)
    with Database.open(daemon.state / "agent.db") as database:
        database.keep(ledger)


def shaped() -> bool:
    try:
        return socket.if_nametoindex(SHAPED) > 0
    except OSError:
        return False


def overshoot(line: Line, left: int, bps: int) -> int:
    """Send at a rate until the line is shaped; bytes beyond the allowance by then."""
    begun, limit = time.monotonic(), time.monotonic() + left * 8 / bps + 60
    while not shaped():
        due = int((time.monotonic() - begun) * bps / 8) - line.received
        if due >= FRAME:
            line.pass_bytes(min(due, 20 * FRAME) // FRAME * FRAME, 0, FRAME)
        else:
            time.sleep(0.0005)
        if time.monotonic() > limit:
            raise RuntimeError("the line was never throttled")
    return line.received - left


def main() -> int:
    enter_namespace()
    bench = Bench("ledger_overshoot", 4)
    for name, bps, left, target in (
        ("7 Mbit/s", 7_000_000, 12_000_000, 1_000_000),
        ("150 Mbit/s", 150_000_000, 250_000_000, 5_000_000),
    ):
        folder = Path(tempfile.mkdtemp(prefix="ledger-overshoot-"))
        daemon, line = Daemon(folder), Line()
        try:
            seed(daemon, left)
            line.make()
            daemon.start()
            time.sleep(1)
            over = overshoot(line, left, bps)
        finally:
            daemon.kill()
            line.delete()
            if shaped():
                ip("link", "del", SHAPED)  # the kernel goes on shaping when a daemon dies
            shutil.rmtree(folder)
        bench.row(
            f"overshoot from 40 GB to throttled at {name}",
            f"<= {target / 1e6:g} MB",
            f"{over / 1e6:.3f} MB",
            over <= target,
        )
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
