"""Inside the guest: the store at work on an ext4 disk that dm-log-writes records. Run by ledger_cuts.py, never alone.

    ledger_cut_writer.py COMMITS

/dev/vda becomes the disk, /dev/vdb the log. After each commit that the store has acknowledged a mark goes into the log.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from agent.clock import ManualClock
from agent.plan import Epoch, Ledger, Plan, Sample, committed, observe
from agent.store import Database

TARGET = "recorded"


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def work(path: Path, commits: int) -> None:
    """Commits as a busy month makes them: the ledger each time, hours and days now and then, an event beside."""
    clock, plan = ManualClock(), Plan()
    ledger = replace(Ledger.new(plan, clock.now()), fresh=False)
    with Database.open(path) as database:
        for number in range(1, commits + 1):
            clock.advance(1_300)
            sample = Sample(Epoch("b" * 36, 3, "wwan0"), clock.boot_s, number * 1000, 0)
            ledger, _ = observe(ledger, sample, clock.now(), plan)
            with database.transaction():
                database.keep(ledger)
                if number % 5 == 0:
                    database.events.add("throttle", {"number": number, "text": "x" * 200}, clock.now())
            ledger = committed(ledger, ledger)
            run("dmsetup", "message", TARGET, "0", f"mark c{number}")


def main() -> None:
    sectors = Path("/sys/block/vda/size").read_text().strip()
    run("mkfs.ext4", "-q", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0", "/dev/vda")
    run("sync")
    run("cp", "--sparse=always", "/dev/vda", "/run/guest/base.img")  # what every cut starts from
    run("dmsetup", "create", TARGET, "--table", f"0 {sectors} log-writes /dev/vda /dev/vdb")
    run("dmsetup", "mknodes")
    mount = Path("/tmp/recorded")
    mount.mkdir()
    # A short interval: the kernel writes back behind the store's back as often as it can.
    run("mount", "-o", "noatime,commit=1", f"/dev/mapper/{TARGET}", str(mount))
    work(mount / "agent.db", int(sys.argv[1]))
    run("umount", str(mount))
    run("dmsetup", "remove", TARGET)


if __name__ == "__main__":
    main()
