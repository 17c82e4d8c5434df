"""A thousand power cuts: what the store had on the disk at a random write, opened again.

    python tests/bench/ledger_cuts.py [CUTS] [SEED]

A Debian guest runs the store on ext4 over dm-log-writes. Here each cut builds the disk as it was: all writes up to the
last flush, and of those after it, in every second cut, only a random part, as a disk with a cache may keep them. The
file system is mounted (which replays its journal) and the database opened, as after power comes back.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from simulator.qemu import run, unavailable
from tests.bench.ledger_cut_work import verdict
from tests.bench.ledger_writelog import FLUSH, FUA, SECTOR_BYTES, Entry, entries
from tests.bench.rows import Bench

COMMITS = 260
DISK_MB, LOG_MB = 16, 256


def record(folder: Path) -> list[Entry]:
    """Every write of the run; the file system as it was made before is share/base.img."""
    disk, log, share = folder / "disk.img", folder / "log.img", folder / "share"
    share.mkdir()
    for path, size in ((disk, DISK_MB), (log, LOG_MB)):
        with path.open("wb") as file:
            file.truncate(size << 20)
    writer = Path(__file__).with_name("ledger_cut_writer.py")
    shell = f"PYTHONPATH=. {sys.executable} {writer} {COMMITS}"
    result = run(
        ["sh", "-c", shell],
        modules=["virtio_blk", "ext4", "dm-mod", "dm-log-writes"],
        disks=[disk, log],
        share=share,
        timeout_s=400,
    )
    if result.exit_code:
        raise RuntimeError(result.output[-2000:])
    return list(entries(log))


def cut(history: list[Entry], at: int, image: Path, keeps: Callable[[], bool]) -> int:
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


def judge(image: Path, mount: Path, acknowledged: int) -> str:
    """What power coming back finds."""
    device = _run("losetup", "-f", "--show", str(image)).stdout.strip()
    try:
        if (mounted := _run("mount", device, str(mount), check=False)).returncode:
            return f"file system lost ({mounted.stderr.strip()[-60:]})"
        try:
            return verdict(mount / "agent.db", acknowledged)
        finally:
            _run("umount", str(mount))
    finally:
        _run("losetup", "-d", device)


def _run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=check, capture_output=True, text=True)


def main() -> int:
    cuts = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 4)
    bench = Bench("ledger_cuts", 4)
    if problem := unavailable():
        bench.row("power cuts on ext4", "0 corrupt in 1000", f"no guest: {problem}", None)
        return bench.finish()
    folder = Path(tempfile.mkdtemp(prefix="ledger-cuts-"))
    try:
        measure(bench, folder, cuts, rng)
    finally:
        shutil.rmtree(folder)
    return bench.finish()


def measure(bench: Bench, folder: Path, cuts: int, rng: random.Random) -> None:
    (folder / "mount").mkdir()
    history = record(folder)
    base = folder / "share" / "base.img"
    print(f"{len(history)} entries, {sum(bool(e.flags & FLUSH) for e in history)} of them flushes", flush=True)
    whole: Counter[str] = Counter()
    cached: Counter[str] = Counter()
    for number in range(cuts):
        image = folder / "cut.img"
        shutil.copyfile(base, image)
        at = rng.randrange(len(history) + 1)
        keeps_order = number % 2 == 0
        acknowledged = cut(history, at, image, (lambda: True) if keeps_order else (lambda: rng.random() < 0.5))
        (whole if keeps_order else cached)[judge(image, folder / "mount", acknowledged)] += 1
    what = f"power cuts at random writes of {COMMITS} commits ({len(history)} log entries) on ext4"
    for how, found in (("writes kept in order", whole), ("a random part of the unflushed writes lost", cached)):
        bad = found.total() - found["sound"]
        target = f"0 of {found.total()} corrupt, no acknowledged commit lost"
        bench.row(f"{what}, {how}", target, ", ".join(f"{n} {kind}" for kind, n in found.items()), bad == 0, exact=True)


if __name__ == "__main__":
    sys.exit(main())
