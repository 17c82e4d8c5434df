"""What a power cut costs the household's count: the real daemon on real traffic, cut at random moments.

    python tests/bench/ledger_loss.py [CUTS] [SEED]

The daemon's store lies on ext4 on a loop device. At the cut the daemon is killed and the device's image copied at once:
what the file system had not yet given to the device is not in it. The copy is mounted, which replays its journal, and
what its ledger lacks of what passed is the loss. Then the next boot begins: another boot id, the link made anew.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from agent.store import Database
from tests.bench.ledger_daemon import Daemon
from tests.bench.ledger_disk import Disk
from tests.bench.ledger_line import Line, enter_namespace, pretend_boot
from tests.bench.rows import Bench

FRAME = 1_500
BURST_FRAME = 30_000
RATES = (("50 Mbit/s", 50_000_000, FRAME, 10.0), ("150 Mbit/s, the radio's best", 150_000_000, BURST_FRAME, 6.0))
LONGEST_IDLE_S = 3.0  # in which the pauses between readings grow long again


def send(line: Line, bps: int, frame: int, seconds: float) -> None:
    begun, base = time.monotonic(), line.received
    while (spent := time.monotonic() - begun) < seconds:
        due = int(spent * bps / 8) - (line.received - base)
        if due >= frame:
            line.pass_bytes(due // frame * frame, 0, frame)
        else:
            time.sleep(0.001)


def on_the_medium(disk: Disk, folder: Path) -> int:
    """Total bytes by the ledger that power coming back would find."""
    copy, mount = folder / "cut.img", folder / "cut"
    shutil.copyfile(disk.image, copy)
    mount.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", str(copy), str(mount)], check=True)
    try:
        with Database.open(mount / "agent.db") as database:
            ledger = database.load_ledger()
    finally:
        subprocess.run(["umount", str(mount)], check=True)
    return 0 if ledger is None else ledger.total_received_bytes + ledger.total_sent_bytes


def measure(bench: Bench, folder: Path, cuts: int, rng: random.Random) -> None:
    line = Line()
    with Disk(folder, megabytes=32) as disk:
        daemon = Daemon(folder, state=disk.mount)
        try:
            daemon.start()
            line.make()
            for name, bps, frame, longest_s in RATES:
                lost = [cut(folder, disk, daemon, line, rng, (bps, frame, longest_s)) for _ in range(cuts)]
                worst, mean = max(lost) / 1e6, sum(lost) / len(lost) / 1e6
                measured = f"at most {worst:.2f} MB, {mean:.2f} MB in the mean, at least {min(lost)} bytes"
                bench.row(
                    f"lost in {cuts} power cuts at {name}", "0 to 40 MB each", measured, min(lost) >= 0 and worst <= 40
                )
        finally:
            daemon.kill()
            line.delete()


def cut(folder: Path, disk: Disk, daemon: Daemon, line: Line, rng: random.Random, how: tuple[int, int, float]) -> int:
    """Bytes lost in one. The next boot goes on from what the disk has, so that is all that is known of before."""
    bps, frame, longest_s = how
    time.sleep(rng.uniform(0, LONGEST_IDLE_S))
    send(line, bps, frame, rng.uniform(0.2, longest_s))
    daemon.kill()
    lost = line.received + line.sent - on_the_medium(disk, folder)
    line.delete()
    pretend_boot(folder, str(uuid.UUID(int=rng.getrandbits(128))))
    line.make()
    daemon.start()
    line.received, line.sent = daemon.counted_until(0, 0)
    return lost


def main() -> int:
    cuts = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 4)
    enter_namespace()
    bench = Bench("ledger_loss", 4)
    if os.geteuid() or not Path("/dev/loop-control").exists():
        bench.row("lost in a power cut", "<= 40 MB", "loop devices need root", None)
        return bench.finish()
    folder = Path(tempfile.mkdtemp(prefix="ledger-loss-"))
    try:
        measure(bench, folder, cuts, rng)
    finally:
        shutil.rmtree(folder)
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
