"""A thousand power cuts: what the store had on the disk at a random write, opened again.

    python tests/bench/ledger_cuts.py [CUTS] [SEED]

A Debian guest runs the store on ext4 over dm-log-writes. A second one builds for each cut the disk as it was: all
writes up to the last flush, and of those after it, in every second cut, only a random part, as a disk with a cache may
keep them. The file system is mounted (which replays its journal) and the database opened, as after power comes back.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from simulator.qemu import run, unavailable
from tests.bench.rows import Bench

COMMITS = 260
DISK_MB, LOG_MB = 16, 256
HOW = {"whole": "writes kept in order", "part": "a random part of the unflushed writes lost"}


def inside(share: Path, disks: Sequence[Path], modules: Sequence[str], timeout_s: float, *words: str) -> str:
    """What the guest's part of this bench says."""
    script = str(Path(__file__).with_name("ledger_cuts_inside.py"))
    command = ["env", "PYTHONPATH=.", sys.executable, script, *words]
    result = run(command, modules=["virtio_blk", "ext4", *modules], disks=disks, share=share, timeout_s=timeout_s)
    if result.exit_code:
        raise RuntimeError(result.output[-2000:])
    return result.output


def measure(bench: Bench, folder: Path, cuts: int, seed: str) -> None:
    disk, log, share = folder / "disk.img", folder / "log.img", folder / "share"
    share.mkdir()
    for path, size in ((disk, DISK_MB), (log, LOG_MB)):
        with path.open("wb") as file:
            file.truncate(size << 20)
    inside(share, [disk, log], ["dm-mod", "dm-log-writes"], 400, "write", str(COMMITS))
    recorded, *lines = inside(share, [log], ["loop"], 120 + 5 * cuts, "judge", str(cuts), seed).splitlines()
    if len(lines) != cuts:
        raise RuntimeError(f"{len(lines)} verdicts for {cuts} cuts: {lines[-3:]}")
    for word, how in HOW.items():
        found = Counter(line.removeprefix(f"{word} ") for line in lines if line.startswith(f"{word} "))
        bench.row(
            f"power cuts at random writes of {COMMITS} commits on ext4 ({recorded}), {how}",
            f"0 of {found.total()} corrupt, no acknowledged commit lost",
            ", ".join(f"{n} {kind}" for kind, n in found.items()),
            found["sound"] == found.total(),
            exact=True,
        )


def main() -> int:
    cuts = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seed = sys.argv[2] if len(sys.argv) > 2 else "4"
    bench = Bench("ledger_cuts", 4)
    if problem := unavailable():
        bench.row("power cuts on ext4", "0 corrupt in 1000", f"no guest: {problem}", None)
        return bench.finish()
    folder = Path(tempfile.mkdtemp(prefix="ledger-cuts-"))
    try:
        measure(bench, folder, cuts, seed)
    finally:
        shutil.rmtree(folder)
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
