"""A thousand random flaps, re-creations, renames, daemon kills and boots with real traffic, vnStat on the same line.

    python tests/bench/ledger_flaps.py [EVENTS] [SEED]

The agent is the real daemon, the traffic real frames (ledger_links.py). Boots are simulated: the daemon ends in order,
the link is made anew and the kernel's boot id is another. Two vnStats run: one with the defaults of its package, which
knows the link's 10 Gbit/s, and one that knows no speed, as of most modules, and assumes 1 Gbit/s.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import time
import uuid
from pathlib import Path

from tests.bench import ledger_links
from tests.bench.ledger_daemon import Daemon
from tests.bench.ledger_line import Line, enter_namespace, pretend_boot
from tests.bench.ledger_vnstat import VnStat, installed
from tests.bench.rows import Bench

COMPARED_EVERY = 10
READ_S = 0.5  # the daemon reads every 0.1 s at this plan's max_bps; the rest is the way through loop and thread
VNSTAT_READS_S = 22.0  # it reads the counters every 20 s
GB = 10**9


class Run:
    """One line, what happened on it, and what of its traffic nobody could have known."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        self.line = Line()
        self.kinds = ledger_links.kinds()
        self.daemon = Daemon(folder, plan="max_bps = 10_000_000_000")
        self.peers = {}
        if installed():
            self.peers["its defaults"] = VnStat(folder / "vnstat")
            self.peers["no speed known"] = VnStat(folder / "vnstat-1000", "BandwidthDetection 0\n")
        self.may_lose = [0, 0]  # received, sent: all that was not yet read when a link went that did not tell it
        self.lost = [0, 0]  # at the last comparison
        self.counts: dict[str, int] = {}
        self.apart = ""  # the first event after which daemon and truth differed by more than allowed

    def traffic(self) -> None:
        self.line.pass_bytes(self.random.randrange(400_000), self.random.randrange(100_000))

    def event(self, number: int) -> None:
        """Some traffic, then something happens to the line or the daemon."""
        self.traffic()
        if self.random.random() < 0.3:
            time.sleep(self.random.uniform(0, 0.4))
        happenings = {
            "flap": (40, self.line.flap),
            "re-creation": (40, self.recreate),
            "rename": (10, lambda: self.line.rename("wan1" if self.line.name == "wan0" else "wan0")),
            "kill -9": (5, self.kill),
            "kill -9 and re-creation": (2, self.kill_and_recreate),
            "boot": (3, self.boot),
        }
        kind = self.random.choices(list(happenings), [weight for weight, _ in happenings.values()])[0]
        self.counts[kind] = self.counts.get(kind, 0) + 1
        happenings[kind][1]()
        if number % COMPARED_EVERY == COMPARED_EVERY - 1:
            self.compare(f"event {number}, a {kind}")

    def compare(self, when: str) -> None:
        """Wait until the daemon has read what there is; note the first time that this takes for ever."""
        real = (self.line.received, self.line.sent)
        least = [r - may for r, may in zip(real, self.may_lose, strict=True)]
        found = self.daemon.counted_until(least[0], least[1], 20)
        self.lost = [r - f for r, f in zip(real, found, strict=True)]
        if not self.apart and not all(0 <= gone <= may for gone, may in zip(self.lost, self.may_lose, strict=True)):
            self.apart = f"{when}: lost {self.lost}, allowed {self.may_lose}"
            self.may_lose = [max(gone, may) for gone, may in zip(self.lost, self.may_lose, strict=True)]

    def delete(self) -> None:
        """What the link had received since the daemon last read it is lost, if its deletion does not tell it."""
        if not self.line.link.tells_received:
            self.may_lose[0] += self.line.received_within(READ_S)
        self.line.delete()

    def recreate(self) -> None:
        self.delete()
        self.line.make(self.random.choice(self.kinds))

    def kill(self) -> None:
        """Traffic goes on while no daemon runs; it must not be lost either."""
        self.daemon.kill()
        self.traffic()
        self.start("kill -9")

    def kill_and_recreate(self) -> None:
        """Nobody hears of the deletion: lost is what was not on the disk when the daemon died."""
        self.daemon.kill()
        saved = self.daemon.ledger()
        kept = (saved.total_received_bytes, saved.total_sent_bytes)
        real = (self.line.received, self.line.sent)
        for direction in (0, 1):
            self.may_lose[direction] += real[direction] - kept[direction] - self.lost[direction]
        self.line.delete()
        self.line.make(self.random.choice(self.kinds))
        self.traffic()
        self.start("kill -9 and re-creation")

    def boot(self) -> None:
        self.daemon.stop()
        self.line.delete()
        self.line.name = "wan0"
        pretend_boot(self.folder, str(uuid.UUID(int=self.random.getrandbits(128))))
        self.line.make(self.random.choice(self.kinds))
        self.traffic()
        self.start("boot")

    def start(self, after: str) -> None:
        """Until the daemon has read the line: of a link that goes before, nobody could tell it."""
        self.daemon.start()
        self.compare(f"the start after a {after}")

    def re_enumeration(self) -> None:
        """2.3 GB, seen by everyone, then the module is gone for 0.2 s and comes back with counters at zero."""
        self.delete()
        self.line.name = "wan0"
        self.line.make()
        time.sleep(VNSTAT_READS_S)  # what it finds on a link that was away is a baseline to it
        self.line.pass_bytes(int(2.31 * GB), 1_200_000, frame=60_000)
        time.sleep(VNSTAT_READS_S)
        self.delete()
        time.sleep(0.2)
        self.line.make()
        self.traffic()
        time.sleep(VNSTAT_READS_S)


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
        for peer in run.peers.values():
            peer.kill()
        shutil.rmtree(folder)
    return bench.finish()


def measure(bench: Bench, run: Run, events: int) -> None:
    run.daemon.start()
    run.line.make()
    for peer in run.peers.values():
        peer.start()
    time.sleep(2)
    for number in range(events):
        if number in (events // 4, events * 3 // 4 if events > 200 else -1):
            run.re_enumeration()
        run.event(number)
    run.compare("the end")
    run.daemon.stop()
    report(bench, run)


def report(bench: Bench, run: Run) -> None:
    line, ledger = run.line, run.daemon.ledger()
    counted = (ledger.total_received_bytes, ledger.total_sent_bytes)
    real = (line.received, line.sent)
    phantom = [max(0, c - r) for c, r in zip(counted, real, strict=True)]
    lost = [max(0, r - c) for c, r in zip(counted, real, strict=True)]
    happened = ", ".join(f"{n} x {kind}" for kind, n in sorted(run.counts.items()))
    sorts = ", ".join(kind.__name__.lower() for kind in run.kinds)
    passed = f"{sum(real) / GB:.3f} GB over {sorts}"
    bench.row(
        f"phantom bytes ({happened}; {passed})",
        "0",
        str(sum(phantom)),
        sum(phantom) == 0,
        "; ".join(theirs(run)),
        exact=True,
    )
    words = "none but what came since the last reading of a link that went untold"
    for name, gone, allowed in zip(("received", "sent"), lost, run.may_lose, strict=True):
        bench.row(f"lost bytes {name}: {words}", f"<= {allowed}", str(gone), gone <= allowed, exact=True)
    refused = ledger.refused_readings
    bench.row("readings refused as impossible", "0", str(refused), refused == 0, exact=True)
    if run.apart:
        bench.row("first event after which more was amiss", "none", run.apart, False, exact=True)


def theirs(run: Run) -> list[str]:
    """What each vnStat has beyond what passed, link headers included."""
    if not run.peers:
        return ["vnStat is not installed"]
    real = run.line.received + run.line.sent + run.line.header_bytes
    said = []
    for name, peer in run.peers.items():
        totals = peer.stop()
        more = totals if isinstance(totals, str) else f"{(sum(totals) - real) / GB:+.3f} GB against what passed"
        said.append(f"vnStat ({name}): {more}")
    return said


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
