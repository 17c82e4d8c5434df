"""Inside the guest: the store on a recorded disk, and what power coming back finds of it. Run by ledger_cuts.py.

    ledger_cuts_inside.py write COMMITS     on ext4 on the first disk; dm-log-writes records every write on the second
    ledger_cuts_inside.py judge CUTS SEED   builds the disk of each cut from the record, on the first disk now

The judging is done in a guest too: the host's loop devices are everybody's, and one that another process had open for a
moment showed the contents of the picture before.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench.ledger_cut_work import verdict, work
from tests.bench.ledger_writelog import FLUSH, FUA, SECTOR_BYTES, Entry, entries

TARGET = "recorded"
BASE = Path("/run/guest/base.img")  # the file system as it was made
MOUNT = Path("/tmp/mount")


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def write(commits: int) -> None:
    """After each commit that the store has acknowledged a mark goes into the log."""
    sectors = Path("/sys/block/vda/size").read_text().strip()
    run("mkfs.ext4", "-q", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0", "/dev/vda")
    run("sync")
    run("cp", "--sparse=always", "/dev/vda", str(BASE))
    run("dmsetup", "create", TARGET, "--table", f"0 {sectors} log-writes /dev/vda /dev/vdb")
    run("dmsetup", "mknodes")
    # A short interval: the kernel writes back behind the store's back as often as it can.
    run("mount", "-o", "noatime,commit=1", f"/dev/mapper/{TARGET}", str(MOUNT))
    work(
        MOUNT / "agent.db",
        lambda number: number < commits,
        lambda number: run("dmsetup", "message", TARGET, "0", f"mark c{number}"),
    )
    run("umount", str(MOUNT))
    run("dmsetup", "remove", TARGET)


def cut(history: Sequence[Entry], at: int, image: Path, keeps: Callable[[], bool]) -> int:
    """Build the disk as power went at entry `at`; gives the last acknowledged commit.

    Of the writes after the last flush those that `keeps` says had reached the medium.
    """
    flushed = max((i for i in range(at) if history[i].flags & FLUSH), default=0)
    acknowledged = 0
    with image.open("r+b") as disk:
        for index, entry in enumerate(history[:at]):
            if entry.mark.startswith("c"):
                acknowledged = int(entry.mark[1:])
            if entry.data and (index <= flushed or entry.flags & FUA or keeps()):
                disk.seek(entry.sector * SECTOR_BYTES)
                disk.write(entry.data)
    return acknowledged


def mounted_verdict(image: Path, acknowledged: int) -> str:
    mount = ["mount", "-o", "loop", str(image), str(MOUNT)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        return f"file system lost ({done.stderr.strip()[-60:]})"
    try:
        return verdict(MOUNT / "agent.db", acknowledged)
    finally:
        run("umount", str(MOUNT))


def judge(cuts: int, seed: int) -> None:
    """One line a cut: how, and what was found. Every second loses a random part of what was not flushed."""
    rng, history = random.Random(seed), list(entries(Path("/dev/vda")))
    print(f"{len(history)} entries, {sum(bool(e.flags & FLUSH) for e in history)} of them flushes", flush=True)
    image = Path("/tmp/cut.img")
    ways: tuple[tuple[str, Callable[[], bool]], ...] = (("whole", lambda: True), ("part", lambda: rng.random() < 0.5))
    for number in range(cuts):
        shutil.copyfile(BASE, image)
        how, keeps = ways[number % 2]
        acknowledged = cut(history, rng.randrange(len(history) + 1), image, keeps)
        print(f"{how} {mounted_verdict(image, acknowledged)}", flush=True)


if __name__ == "__main__":
    MOUNT.mkdir()
    steps: dict[str, Callable[..., None]] = {"write": write, "judge": judge}
    steps[sys.argv[1]](*map(int, sys.argv[2:]))
