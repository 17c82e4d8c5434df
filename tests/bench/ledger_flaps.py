"""A thousand random flaps, re-creations, renames, daemon kills and boots with real traffic, vnStat on the same line.

    python tests/bench/ledger_flaps.py [EVENTS] [SEED]

The agent is the real daemon, the traffic real frames on a veth. Boots are simulated: the daemon ends in order, the link
is made anew and the kernel's boot id is another. vnStat runs with its defaults.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from agent.plan.observing import FRESH_S
from tests.bench.ledger_line import HEADER_BYTES, Daemon, Line, enter_namespace, pretend_boot
from tests.bench.rows import Bench

READ_S = 0.5  # the daemon reads every 0.25 s at this plan's max_bps; the rest is the way through loop and thread
GB = 10**9


class VnStat:
    """vnStat's daemon on `wan0`, with the defaults of its package."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "vnstat"
        self.folder.mkdir()
        self.config = self.folder / "vnstat.conf"
        self.config.write_text(
            f'DatabaseDir "{self.folder}"\nInterface "wan0"\nUseLogging 0\nPidFile "{self.folder}/pid"\n'
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """With an empty folder it makes its database and takes the interfaces that there are."""
        with (self.folder / "log").open("wb") as log:
            command = ["vnstatd", "-n", "--config", str(self.config)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def stop(self) -> tuple[int, int] | str:
        """Its totals, or what kept it from having any."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(10)
        command = ["vnstat", "--config", str(self.config), "-i", "wan0", "--json"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            return f"{done.stdout} {done.stderr} {(self.folder / 'log').read_text()}".replace("\n", " ").strip()[-300:]
        total = json.loads(done.stdout)["interfaces"][0]["traffic"]["total"]
        return total["rx"], total["tx"]


class Run:
    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        self.line = Line()
        self.daemon = Daemon(folder, plan="max_bps = 10_000_000_000")
        self.vnstat = VnStat(folder) if shutil.which("vnstatd") else None
        self.may_lose = 0
        self.counts: dict[str, int] = {}

    def event(self) -> None:
        """Some traffic, then something happens to the line or the daemon."""
        self.line.pass_bytes(self.random.randrange(400_000), self.random.randrange(100_000))
        if self.random.random() < 0.3:
            time.sleep(self.random.uniform(0, 0.4))
        kinds = ("flap", "re-creation", "rename", "kill -9", "boot")
        kind = self.random.choices(kinds, (40, 42, 10, 5, 3))[0]
        self.counts[kind] = self.counts.get(kind, 0) + 1
        {
            "flap": self.line.flap,
            "re-creation": self.recreate,
            "rename": lambda: self.line.rename("wan1" if self.line.name == "wan0" else "wan0"),
            "kill -9": self.kill,
            "boot": self.boot,
        }[kind]()

    def recreate(self) -> None:
        self.may_lose += self.line.received_within(READ_S)
        self.line.delete()
        self.line.make()

    def kill(self) -> None:
        """Traffic goes on while no daemon runs; it must not be lost either."""
        self.daemon.kill()
        self.line.pass_bytes(self.random.randrange(400_000), self.random.randrange(100_000))
        self.daemon.start()
        time.sleep(0.3)  # the first reading

    def boot(self) -> None:
        self.daemon.stop()
        self.line.delete()
        self.line.name = "wan0"
        pretend_boot(self.folder, str(uuid.UUID(int=self.random.getrandbits(128))))
        self.line.make()
        self.daemon.start()
        time.sleep(0.3)

    def burst(self) -> None:
        """2.3 GB, seen by everyone, then a flap of 0.2 s: where a guessed wrap books 2^32."""
        if self.line.name != "wan0":
            self.line.rename("wan0")
            time.sleep(7)  # vnStat looks every 5 s, and what it finds on a link that came back is a baseline to it
        self.line.pass_bytes(int(2.31 * GB), 1_200_000, frame=60_000)
        time.sleep(21)  # vnStat writes its counters every 20 s
        self.may_lose += self.line.received_within(READ_S)
        self.line.delete()
        time.sleep(0.2)
        self.line.make()


def main() -> int:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    enter_namespace()
    bench = Bench("ledger_flaps", 4)
    folder = Path(tempfile.mkdtemp(prefix="ledger-flaps-"))
    run = Run(folder, seed)
    try:
        measure(bench, run, events)
    finally:
        run.daemon.kill()
        if run.vnstat and run.vnstat.process:
            run.vnstat.process.kill()
        shutil.rmtree(folder)
    return bench.finish()


def measure(bench: Bench, run: Run, events: int) -> None:
    run.daemon.start()
    time.sleep(FRESH_S + 1)  # what runs within it would only give a baseline
    run.line.make()
    if run.vnstat:
        run.vnstat.start()
        time.sleep(2)
    for number in range(events):
        if number % max(1, events // 4) == events // 8:
            run.burst()
        run.event()
    time.sleep(1)
    run.daemon.stop()
    ledger = run.daemon.ledger()
    peer = run.vnstat.stop() if run.vnstat else None
    report(bench, run, (ledger.total_received_bytes, ledger.total_sent_bytes), peer, ledger.refused_readings)


def report(bench: Bench, run: Run, counted: tuple[int, int], peer: tuple[int, int] | str | None, refused: int) -> None:
    line = run.line
    phantom = [max(0, c - real) for c, real in zip(counted, (line.received, line.sent), strict=True)]
    lost = [max(0, real - c) for c, real in zip(counted, (line.received, line.sent), strict=True)]
    happened = ", ".join(f"{n} x {kind}" for kind, n in sorted(run.counts.items()))
    passed = f"{(line.received + line.sent) / GB:.3f} GB in {line.frames} frames"
    theirs = "vnStat is not installed"
    if isinstance(peer, str):
        theirs = f"vnStat gave no totals: {peer}"
    elif peer:
        header = HEADER_BYTES * line.frames
        more = peer[0] + peer[1] - line.received - line.sent - header
        theirs = f"vnStat: {more / GB:+.3f} GB against what passed"
    bench.row(f"phantom bytes ({happened}; {passed})", "0", str(sum(phantom)), sum(phantom) == 0, theirs)
    bench.row(
        "lost bytes received: none but what came within the last read of a deletion without counters",
        f"<= {run.may_lose}",
        str(lost[0]),
        lost[0] <= run.may_lose,
    )
    bench.row("lost bytes sent (the deletion carries them on a veth)", "0", str(lost[1]), lost[1] == 0)
    bench.row("readings refused as impossible", "0", str(refused), refused == 0)


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
