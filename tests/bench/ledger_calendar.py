"""Every billing day of every month from 1980 to 2060 in Brussels, against Python's own reading of the zone file.

    python -m tests.bench.ledger_calendar

A period is asked for at its first and at its last second; the truth is the local midnight that zoneinfo gives.
"""

from __future__ import annotations

import calendar
import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from agent.plan import period_at
from tests.bench.rows import Bench

ZONE = "Europe/Brussels"
FIRST, LAST = 1980, 2060
SECOND = timedelta(seconds=1)


def boundary(month: int, day: int) -> datetime:
    """Local midnight of the billing day, as an instant; `month` counts from year 0."""
    year, month = month // 12, month % 12 + 1
    local = datetime(year, month, min(day, calendar.monthrange(year, month)[1]), tzinfo=ZoneInfo(ZONE))
    return local.astimezone(timezone.utc)


def wrong(month: int, day: int) -> bool:
    start, end = boundary(month, day), boundary(month + 1, day)
    asked = [period_at(when, day, ZONE) for when in (start, end - SECOND)]
    label = start.astimezone(ZoneInfo(ZONE)).date().isoformat()
    return any((period.start, period.end, period.label) != (start, end, label) for period in asked)


def main() -> int:
    months = range(FIRST * 12, LAST * 12 + 12)
    found = [(month, day) for month in months for day in range(1, 32) if wrong(month, day)]
    for month, day in found[:10]:
        print(f"wrong: billing day {day} in {month // 12}-{month % 12 + 1:02d}")
    count = len(months) * 31
    bench = Bench("ledger_calendar", 4)
    bench.row(f"billing periods, every billing day of every month {FIRST} to {LAST}, {ZONE}", "0 wrong",
              f"{len(found)} of {count} wrong", not found, exact=True)  # fmt: skip
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
