"""Power cuts and unplugs of a guest under traffic, as `make campaign-power` starts them.

.venv/bin/python -m tests.bench.simulator_power [--cuts 100] [--unplugs 50] [--seed 0]
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable

from simulator.qemu.campaign import MAY_LOSE_BYTES, SHAPED_WITHIN_S, Tally, cut_power, pull_cable
from simulator.qemu.errors import GuestError
from tests.bench.rows import FAULT, KEPT, Bench


def tell(text: str) -> None:
    print(text, flush=True)


def cut_rows(bench: Bench, tally: Tally, asked: int) -> None:
    whole = tally.cuts == asked
    bench.row(
        f"{tally.cuts} of {asked} power cuts at random moments under traffic: what the ledger lost",
        f"at most {MAY_LOSE_BYTES // 1_000_000} MB each, never above the truth, store never corrupt",
        f"at most {tally.worst_lost_bytes / 1e6:.2f} MB lost, {tally.worst_ahead_bytes} bytes above; "
        f"{len(tally.faults)} faults in {tally.carried_bytes / 1e9:.2f} GB",
        whole and not tally.faults,
        exact=True,
    )
    slowest_s = max(tally.shaped_s, default=float("inf"))
    typical_s = statistics.median(tally.shaped_s or [float("inf")])
    bench.row(
        "shaping right after a power cut, from the start of the agent's process (TCG, two cores)",
        f"within {SHAPED_WITHIN_S:g} s",
        f"median {typical_s:.1f} s, worst {slowest_s:.1f} s",
        whole and slowest_s <= SHAPED_WITHIN_S,
    )


def unplug_rows(bench: Bench, tally: Tally, asked: int) -> None:
    bench.row(
        f"{tally.unplugs} of {asked} USB unplugs under traffic: phantom bytes",
        "0",
        f"{tally.phantom_bytes} in {tally.carried_bytes / 1e6:.0f} MB" + ("; a guest hung" if tally.hung else ""),
        tally.unplugs == asked and not tally.faults,
        exact=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--unplugs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    bench = Bench("simulator_power", issue=8)
    faults = []
    campaigns: tuple[tuple[int, Callable[[Tally], None], Callable[[Bench, Tally, int], None]], ...] = (
        (options.unplugs, lambda tally: pull_cable(options.unplugs, tally, tell), unplug_rows),
        (options.cuts, lambda tally: cut_power(options.cuts, options.seed, tally, tell), cut_rows),
    )
    for count, campaign, rows in campaigns:
        if count:
            tally = Tally()
            try:
                campaign(tally)
            except GuestError as error:
                tally.faults.append(str(error))
            rows(bench, tally, count)
            faults += tally.faults
    for fault in faults:
        print(f"FAULT {fault}")
    # What a slow machine misses stands in the rows and fails nothing; a byte too much does.
    return FAULT if bench.finish() == FAULT else KEPT


if __name__ == "__main__":
    sys.exit(main())
