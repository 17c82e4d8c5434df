"""24 simulated hours of URC storms, hangs, late answers and re-enumerations against the real Modem.

python -m tests.bench.at_storm [HOURS] [SEED]
"""

from __future__ import annotations

import sys
import time

from tests.modem.storm import POLL_S, storm

GROWTH_KB = 2_048  # the allocator's own slack; a leak of one reading a poll would be ten times this


def main() -> int:
    hours = float(sys.argv[1]) if len(sys.argv) > 1 else 24.0
    begun = time.perf_counter()
    result = storm(hours, seed=int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    growth_kb = result.rss_late_kb - result.rss_early_kb
    print(f"simulated {result.simulated_s / 3600:.1f} h in {time.perf_counter() - begun:.0f} s")
    print("events    ", dict(sorted(result.events.items())))
    print(
        f"readings   {result.readings}, failed openings and polls {result.failures}, wrong values {len(result.wrong)}"
    )
    print(f"worst gap  {result.worst_gap_s:.0f} s after the module was back (two polls are {2 * POLL_S:.0f} s)")
    print(f"descriptors {result.descriptors_before} before, {result.descriptors_after} after")
    print(f"memory     {result.rss_early_kb} kB after 30 readings, {result.rss_late_kb} kB at the end ({growth_kb:+d})")
    print("faults    ", dict(sorted(result.faults.items())))
    good = not result.wrong and result.worst_gap_s <= 2 * POLL_S and growth_kb <= GROWTH_KB
    return 0 if good and result.descriptors_after <= result.descriptors_before else 1


if __name__ == "__main__":
    sys.exit(main())
