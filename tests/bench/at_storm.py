"""24 simulated hours of URC storms, hangs, late answers and re-enumerations against the real Modem.

python -m tests.bench.at_storm [HOURS] [SEED]

Agent and simulator share this process, so what either keeps is seen. Growth is the slope after the first quarter, of
the resident set and of what Python has allocated; the lines that hold more are named.
"""

from __future__ import annotations

import sys
import time

from tests.bench.rows import Bench
from tests.modem.growth import WARM_UP
from tests.modem.storm import POLL_S, storm

# A leak of one reading a poll is 6 MB a day, of one small object a re-enumeration 100 kB.
RSS_KB_DAY, TRACED_KB_DAY = 1_024, 64
JUDGED_FROM_H = 24.0  # less than a day's slope is mostly what fills up at first: +165 kB at 8 h, +69 at 12, +41 at 24


def main() -> int:
    hours = float(sys.argv[1]) if len(sys.argv) > 1 else 24.0
    bench, begun = Bench("at_storm", 3), time.perf_counter()
    result = storm(hours, seed=int(sys.argv[2]) if len(sys.argv) > 2 else 1, traced=True)
    print(f"simulated {result.simulated_s / 3600:.1f} h in {time.perf_counter() - begun:.0f} s")
    print("events    ", dict(sorted(result.events.items())))
    print("faults    ", dict(sorted(result.faults.items())))
    samples = result.growth.samples
    for sample in samples[:: max(1, len(samples) // 24)]:
        print(f"  {sample.at_s / 3600:5.1f} h  resident {sample.rss_kb} kB, Python's own {sample.traced_kb} kB")
    for line in result.growth.holders():
        print("  " + line)
    span = f"{hours:g} h of storms"
    bench.row(f"wrong values in {span}", "0", f"{len(result.wrong)} in {result.readings} readings", not result.wrong)
    bench.row(
        f"longest wait for a reading, the module being back, {span}",
        f"at most two polls, {2 * POLL_S:.0f} s",
        f"{result.worst_gap_s:.0f} s, {result.failures} failed openings and polls",
        result.worst_gap_s <= 2 * POLL_S,
    )
    before, after = result.descriptors_before, result.descriptors_after
    bench.row(f"descriptors leaked in {span}", "0", f"{after - before} ({before} before)", after <= before)
    rss, traced = result.growth.slope_kb_day("rss_kb"), result.growth.slope_kb_day("traced_kb")
    bench.row(
        f"growth of memory in {span}, after {WARM_UP:.0%}",
        f"none: at most {TRACED_KB_DAY} kB a day of Python's, {RSS_KB_DAY} kB resident",
        f"{traced:+.0f} kB a day of Python's, {rss:+.0f} kB a day resident (at the end {samples[-1].rss_kb} kB)",
        (traced <= TRACED_KB_DAY and rss <= RSS_KB_DAY) if hours >= JUDGED_FROM_H else None,
    )
    bench.curve("modem's part and simulator, MB", [(one.at_s / 3600, one.rss_kb / 1000) for one in samples])
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
