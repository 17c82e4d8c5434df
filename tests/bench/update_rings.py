"""How many of 500 devices a bad version touches before a roll-out stops, over many orders. Pure: no broker."""

from __future__ import annotations

import random
import statistics
import sys

from agent.support.rollout.plan import WAITING
from tests.bench.rows import Bench
from tests.support.test_rollout import FLEET, begun, roll

RUNS = 200


def main() -> int:
    bench = Bench("update_rings", 22)
    rollout = roll(begun(rings=[1.0]), set(FLEET))
    touched = len(FLEET) - rollout.counts()[WAITING]
    bench.row("a version that fails everywhere, a ring of 500, --stop-at 2%", "< 3 % touched",
              f"{touched} ({touched / 5:.1f} %)", touched < 15, exact=True)  # fmt: skip
    dice, found = random.Random(1), list[int]()
    for _ in range(RUNS):
        rollout = roll(begun(rings=[1.0]), set(dice.sample(FLEET, 10)))
        found.append(len(FLEET) - rollout.counts()[WAITING])
    early = sum(number < 15 for number in found)
    bench.row(
        f"10 of 500 devices fail, scattered, {RUNS} runs", "< 3 % touched",
        f"{early} runs of {RUNS}; touched {statistics.median(found):.0f} in the median", early == RUNS,
    )  # fmt: skip
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
