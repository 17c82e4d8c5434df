"""Updates under the real dpkg and apt in a Debian root, with a stand-in agent: each kind of package, and power cuts.

    python -m tests.bench.update_judge [EACH [CUTS]]

The device's clock is moved on by hand, so that ten minutes take none. A power cut ends every process at once; writes
that it would lose are not imitated.
"""

from __future__ import annotations

import random
import sys

from agent.update.verdict import INSTALLED
from tests.bench.rows import Bench
from tests.update.root import DebianRoot
from tests.update.trials import KINDS, Device

SCATTER = (KINDS[0], KINDS[2], KINDS[5])  # one that is good, two that are not


def main(each: int, cuts: int) -> int:
    bench = Bench("update_judge", 22)
    with DebianRoot() as root:
        device = Device(root)
        for kind in KINDS:
            outcomes = [device.update(kind) for _ in range(each)]
            faults = [fault for outcome in outcomes for fault in outcome.faults]
            longest = max(outcome.took_s for outcome in outcomes)
            what = "installed" if kind.verdict == INSTALLED else "the old version runs"
            bench.row(
                f"{each} updates: {kind.name}", f"{what}, one answer, throttle held, 0 stranded",
                f"{each - sum(bool(o.faults) for o in outcomes)} of {each}, at most {longest:.1f} s"
                + (f"; {faults[0]}" if faults else ""),
                not faults, exact=True,
            )  # fmt: skip
        dice, bad = random.Random(22), list[str]()
        for number in range(cuts):
            bad += device.update(SCATTER[number % len(SCATTER)], dice).faults
        bench.row(
            f"{cuts} updates with 1 or 2 power cuts at random instants", "one of the two versions, whole; one answer",
            f"{len(bad)} faults" + (f": {bad[0]}" if bad else ""), not bad, exact=True,
        )  # fmt: skip
    return bench.finish()


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    sys.exit(main(*(numbers + [20, 50][len(numbers) :])))
