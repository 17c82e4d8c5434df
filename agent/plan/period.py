"""The billing period: from local midnight of the billing day to the next, in a named zone or a POSIX TZ string.

Called by the ledger, the reports and the CLI. Works on instants: a day of 23 or 25 hours needs no special case.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from functools import lru_cache

from agent.errors import PlanError
from agent.plan.model import Plan
from agent.plan.zone import Offset, zone_offset


@dataclass(frozen=True, slots=True)
class BillingPeriod:
    """Half-open [start, end), aware UTC instants; `label` is the local date of the start."""

    start: datetime
    end: datetime
    label: str = ""

    def contains(self, when: datetime) -> bool:
        return self.start <= when < self.end


def zone_problem(name: str) -> str | None:
    """Why a zone cannot be used, or None if it can."""
    try:
        zone_offset(name)
    except PlanError as error:
        return str(error)
    return None


def local_date(when: datetime, zone: str) -> date:
    return _local(when, zone_offset(zone)).date()


def local_clock(when: datetime, zone: str) -> time:
    """What a clock on the household's wall shows at that instant."""
    return _local(when, zone_offset(zone)).time()


def midnight(day: date, zone: str) -> datetime:
    """The first instant of a local day: where the clocks skip midnight, the instant of the change."""
    offset = zone_offset(zone)
    naive = datetime(day.year, day.month, day.day)  # noqa: DTZ001  local wall time, placed in UTC below
    noon = naive.replace(tzinfo=timezone.utc)
    before, after = offset(noon - timedelta(hours=36)), offset(noon + timedelta(hours=36))
    candidates = [(naive - o).replace(tzinfo=timezone.utc) for o in (before, after)]
    real = [c for c in candidates if _local(c, offset) == naive]
    if real:
        return min(real)
    # Midnight falls in a gap: between the two candidates the local day changes once; close in on the second.
    early, late = sorted(candidates)
    early, late = early - timedelta(seconds=1), late + timedelta(seconds=1)
    while late - early > timedelta(seconds=1):
        middle = early + timedelta(seconds=int((late - early).total_seconds()) // 2)
        if _local(middle, offset) < naive:
            early = middle
        else:
            late = middle
    return late


def period_at(when: datetime, billing_day: int, zone: str) -> BillingPeriod:
    """The billing period that holds an instant. A billing day beyond the month's end is the month's last day."""
    today = local_date(when, zone)
    start = _boundary(today.year, today.month, billing_day, zone)
    if when < start:
        year, month = _month(today, -1)
        return _period(start=_boundary(year, month, billing_day, zone), end=start, zone=zone)
    year, month = _month(today, +1)
    return _period(start=start, end=_boundary(year, month, billing_day, zone), zone=zone)


def plan_period(plan: Plan, when: datetime) -> BillingPeriod:
    """As `period_at`, and the first day of the contract is a boundary too: what came before is not charged to it."""
    period = period_at(when, plan.billing_day, plan.timezone)
    if plan.contract_start is None:
        return period
    first = midnight(plan.contract_start, plan.timezone)
    if not period.start < first < period.end:
        return period
    if when < first:
        return _period(start=period.start, end=first, zone=plan.timezone)
    return _period(start=first, end=period.end, zone=plan.timezone)


def next_period(period: BillingPeriod, target: BillingPeriod, zone: str) -> BillingPeriod:
    """The period after one that has ended: as the plan says, and never with a day of it. Where a changed billing day
    leaves days between the old boundary and the new one, they are a period of their own."""
    if not target.start < period.end < target.end:
        return target
    return _period(start=period.end, end=target.end, zone=zone)


def expired(plan: Plan, when: datetime) -> bool:
    """Whether the contract's last day has passed."""
    return plan.contract_end is not None and local_date(when, plan.timezone) > plan.contract_end


def _local(when: datetime, offset: Offset) -> datetime:
    return (when + offset(when)).replace(tzinfo=None)


@lru_cache(maxsize=8)  # asked for at every sample, which idle is every two seconds
def _boundary(year: int, month: int, billing_day: int, zone: str) -> datetime:
    return midnight(date(year, month, min(billing_day, _last_day(year, month))), zone)


def _last_day(year: int, month: int) -> int:
    following = date(year + month // 12, month % 12 + 1, 1)  # the calendar module would bring locale along
    return (following - timedelta(days=1)).day


def _month(day: date, step: int) -> tuple[int, int]:
    index = day.year * 12 + day.month - 1 + step
    return index // 12, index % 12 + 1


def _period(*, start: datetime, end: datetime, zone: str) -> BillingPeriod:
    return BillingPeriod(start, end, local_date(start, zone).isoformat())
