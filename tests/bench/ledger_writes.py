"""What a day of the ledger writes to an ext4 disk, in blocks given to the device.

    python tests/bench/ledger_writes.py [--peer]

The day is played with the pure ledger, the rules of `plan.pacing` and the real database on a real ext4; the clock alone
is advanced. After each commit the file system is flushed, so journal and inodes count in full: commits ten minutes
apart get no discount here for coming fast. --peer adds vnStat: four minutes of real time for its cost of one save.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from agent.plan import (
    Epoch,
    Ledger,
    Plan,
    Sample,
    commit_due,
    committed,
    decide,
    notices,
    observe,
    sample_interval_s,
    unwritten_bytes,
    usage,
)
from agent.plan.sampling import LONGEST_INTERVAL_S
from agent.store import Database
from tests.bench.ledger_disk import Disk
from tests.bench.rows import Bench
from tests.manual_clock import ManualClock

GB, DAY_S = 10**9, 86_400.0
WARM_UP_DAYS = 3  # the first cycle of the WAL makes the file longer
DAYS = 3
DAILY_BYTES = 40 * GB / 30
EVENING = datetime(2026, 11, 11, 23, tzinfo=timezone.utc)  # local midnight, ten days into the period
BOOT_ID = "5f0e5d1c-93a7-4b1c-8f6e-0c2b7d9a4e31"
APART_BYTES = 40_000
CHATTER_BPS = 8_000  # a router with phones and a television at rest

Rate = Callable[[float], float]  # seconds of the day -> bytes a second


def household() -> Rate:
    """40 GB a month: chatter at night, light use by day, an hour of video at about 3 Mbit/s in the evening."""
    rng = random.Random(1)
    light = {minute: rng.random() < 0.25 for minute in range(7 * 60, 22 * 60)}

    def shape(minute: int) -> float:
        if 18 * 60 <= minute < 19 * 60 and minute % 10 < 8:
            return 3_000_000 / 8
        return 13_000.0 if light.get(minute) else CHATTER_BPS / 8

    scale = DAILY_BYTES / sum(60 * shape(minute) for minute in range(24 * 60))
    return lambda second: scale * shape(int(second // 60))


def even() -> Rate:
    return lambda second: DAILY_BYTES / DAY_S


def trickle() -> Rate:
    return lambda second: CHATTER_BPS / 8


def readings(rate: Rate, clock: ManualClock, pause_s: Callable[[], float], seconds: float) -> Iterator[int]:
    """The counter at each reading."""
    counter = 0.0
    begun = clock.boot_s
    while clock.boot_s - begun < seconds:
        bps = rate((clock.boot_s - begun) % DAY_S)
        # The daemon reads more often than this; between two readings here a tenth of a percent of a commit passes.
        step_s = max(pause_s(), min(LONGEST_INTERVAL_S, APART_BYTES / bps))
        counter += bps * step_s
        clock.advance(step_s)
        yield int(counter)


def play(folder: Path, rate: Rate, *, used: int) -> tuple[float, float, Counter[str]]:
    """Some days, the last of which are measured: bytes counted and bytes written a day, commits by reason in all."""
    clock, plan = ManualClock(EVENING), Plan()
    new = Ledger.new(plan, clock.now())
    used_now = usage(new, plan)
    ledger, _ = notices(new, decide(new, plan, clock.now(), used_now), used_now, plan, clock.now())
    state: dict[str, Ledger] = {"now": replace(ledger, received_bytes=used, fresh=False)}
    changed_s = clock.boot_s
    reasons: Counter[str] = Counter()
    marks: list[tuple[int, int]] = []

    def pause_s() -> float:
        unwritten = unwritten_bytes(state["now"], state["saved"]) if "saved" in state else 0
        return sample_interval_s(usage(state["now"], plan).until_next_bytes, plan.max_bps, unwritten)

    with Disk(folder) as disk, Database.open(disk.mount / "agent.db") as database:
        for counter in readings(rate, clock, pause_s, DAY_S * (WARM_UP_DAYS + DAYS)):
            received, sent = counter - counter // 13, counter // 13
            sample = Sample(Epoch(BOOT_ID, 3, "wwan0"), clock.boot_s, received, sent, received // 1200, sent // 400)
            state["now"], _ = observe(state["now"], sample, clock.now(), plan)
            if not marks and clock.wall - EVENING >= timedelta(days=WARM_UP_DAYS):
                marks.append((state["now"].total_received_bytes + state["now"].total_sent_bytes, disk.written_bytes()))
                reasons.clear()
            why = commit_due(state["now"], state.get("saved"), changed_s, clock.now(), plan)
            if why:
                database.keep(state["now"])
                state["saved"] = state["now"] = committed(state["now"], state["now"])
                disk.flush()
                changed_s = clock.boot_s
                reasons[why] += 1
        total = state["now"].total_received_bytes + state["now"].total_sent_bytes
        return (total - marks[0][0]) / DAYS, (disk.written_bytes() - marks[0][1]) / DAYS, reasons


def vnstat_save_bytes(folder: Path) -> int:
    """What one save of vnStat writes, by three of them a minute apart."""
    with Disk(folder) as disk:
        config = folder / "vnstat.conf"
        config.write_text(f'DatabaseDir "{disk.mount}"\nSaveInterval 1\nUseLogging 0\nPidFile "{folder}/pid"\n')
        process = subprocess.Popen(["vnstatd", "-n", "--config", str(config)], stdout=subprocess.DEVNULL)
        try:
            time.sleep(70)
            disk.flush()
            before = disk.written_bytes()
            time.sleep(180)
            disk.flush()
            return (disk.written_bytes() - before) // 3
        finally:
            process.terminate()
            process.wait(10)


def main() -> int:
    bench = Bench("ledger_writes", 4)
    peer = ""
    if "--peer" in sys.argv and shutil.which("vnstatd"):
        with tempfile.TemporaryDirectory() as name:
            save = vnstat_save_bytes(Path(name))
        peer = f"vnStat: {save / 1e3:.0f} kB a save, 288 saves a day by default: {288 * save / 1e6:.1f} MB"
    cases: tuple[tuple[str, Rate, int, bool], ...] = (
        ("a household's day at 40 GB a month", household(), 13 * GB, True),
        ("the same bytes spread evenly over day and night", even(), 13 * GB, True),
        ("a trickle of 8 kbit/s, written every ten minutes", trickle(), GB, False),
    )
    for what, rate, used, promised in cases:
        with tempfile.TemporaryDirectory() as name:
            counted, written, reasons = play(Path(name), rate, used=used)
        why = ", ".join(f"{n / DAYS:.0f} by {reason}" for reason, n in sorted(reasons.items()))
        measured = f"{written / 1e6:.3f} MB written for {counted / 1e6:.0f} MB counted ({why}), mean of {DAYS} days"
        bench.row(what, "< 1 MB a day" if promised else "", measured, written < 1e6 if promised else None, peer)
        peer = ""
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
