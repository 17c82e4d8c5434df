"""A thousand power cuts each on jffs2 and ubifs: what the flash held at a random moment, mounted and opened again.

    python tests/bench/ledger_flash.py [CUTS] [SEED]

A Debian guest runs the store on a flash that mtdram keeps in its memory. At random moments its only processor is
stopped between two instructions, wherever it is, in the middle of a write too, and the flash's octets are taken from
memory, page cache and all that was not yet on the flash left behind. A second guest mounts each of these pictures.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from simulator.qemu import Guest, run, unavailable
from tests.bench.ledger_flash_inside import BLOCK_BYTES, CUT, PART
from tests.bench.rows import Bench

FLASH_BYTES = 8 << 20
MTDRAM = f"mtdram total_size={FLASH_BYTES >> 10} erase_size={BLOCK_BYTES >> 10}"
MODULES = {"jffs2": (MTDRAM, "jffs2"), "ubifs": (f"{MTDRAM} writebuf_size=2048", "zstd", "ubi", "ubifs")}
LONGEST_S = 0.12  # between two cuts
INSIDE = str(Path(__file__).with_name("ledger_flash_inside.py"))


def inside(what: str, kind: str) -> list[str]:
    return ["env", "PYTHONPATH=.", sys.executable, INSIDE, what, kind]


def record(share: Path, kind: str, cuts: int, rng: random.Random) -> int:
    """Write `cuts` pictures to the share, each as the blocks changed since the one before; commits that were made."""
    acknowledged = 0
    with Guest(inside("write", kind), modules=MODULES[kind], share=share) as guest, (share / "cuts").open("wb") as out:
        address = _flash_address(guest)
        before = bytes(FLASH_BYTES)
        for _ in range(cuts):
            time.sleep(rng.uniform(0, LONGEST_S))
            guest.machine.qmp("stop")
            picture = guest.machine.folder / "picture"
            guest.machine.qmp("memsave", val=address, size=FLASH_BYTES, filename=str(picture))
            (acknowledged, _) = CUT.unpack((share / "acknowledged").read_bytes())
            guest.machine.qmp("cont")
            flash = picture.read_bytes()
            changed = list(_changed(before, flash))
            out.write(CUT.pack(acknowledged, len(changed)))
            for number in changed:
                out.write(PART.pack(number) + flash[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES])
            before = flash
        (share / "stop").touch()
        result = guest.wait(120)
    (share / "stop").unlink()
    if result.exit_code:
        raise RuntimeError(result.output[-2000:])
    return acknowledged


def _flash_address(guest: Guest) -> int:
    limit = time.monotonic() + 120
    while not (guest.share / "flash").exists():
        if time.monotonic() > limit or not guest.machine.running:
            raise RuntimeError(f"no flash in the guest: {guest.output[-2000:]} {guest.machine.last_lines()}")
        time.sleep(0.05)
    return int((guest.share / "flash").read_text(), 16) - (1 << 64)  # a kernel's address; QMP's integers are signed


def _changed(before: bytes, after: bytes) -> Iterator[int]:
    for number in range(FLASH_BYTES // BLOCK_BYTES):
        part = slice(number * BLOCK_BYTES, (number + 1) * BLOCK_BYTES)
        if before[part] != after[part]:
            yield number


def main() -> int:
    cuts = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 4)
    bench = Bench("ledger_flash", 4)
    if problem := unavailable():
        bench.row("power cuts on jffs2 and ubifs", "0 corrupt in 1000", f"no guest: {problem}", None)
        return bench.finish()
    for kind in MODULES:
        folder = Path(tempfile.mkdtemp(prefix="ledger-flash-"))
        try:
            measure(bench, folder, kind, cuts, rng)
        finally:
            shutil.rmtree(folder)
    return bench.finish()


def measure(bench: Bench, share: Path, kind: str, cuts: int, rng: random.Random) -> None:
    commits = record(share, kind, cuts, rng)
    result = run(inside("judge", kind), modules=MODULES[kind], share=share, timeout_s=120 + 5 * cuts)
    found = Counter(result.output.splitlines())
    if result.exit_code or found.total() != cuts:
        raise RuntimeError(result.output[-2000:] + result.console[-2000:])
    bench.row(
        f"power cuts at random instructions of {commits} commits on {kind}",
        f"0 of {cuts} corrupt, no acknowledged commit lost",
        ", ".join(f"{n} {words}" for words, n in found.items()),
        found["sound"] == cuts,
        exact=True,
    )


if __name__ == "__main__":
    sys.exit(main())
