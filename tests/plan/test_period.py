"""The calendar: every billing day, every change of the clocks in Brussels from 1980 to 2060."""

from __future__ import annotations

import calendar
from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.plan import Plan, period_at, zone_problem
from agent.plan.period import expired, local_clock, midnight, plan_period

BRUSSELS = "Europe/Brussels"
ZONE = ZoneInfo(BRUSSELS)
DAYS = st.integers(1, 31)
INSTANTS = st.datetimes(datetime(1980, 1, 1), datetime(2060, 12, 31), timezones=st.just(timezone.utc))  # noqa: DTZ001  hypothesis wants naive bounds


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("when", "day", "start", "end", "label"),
    [
        ("2026-11-10T12:00", 1, "2026-10-31T23:00", "2026-11-30T23:00", "2026-11-01"),
        ("2026-10-31T22:59", 1, "2026-09-30T22:00", "2026-10-31T23:00", "2026-10-01"),  # summer to winter time
        ("2026-03-15T12:00", 1, "2026-02-28T23:00", "2026-03-31T22:00", "2026-03-01"),  # winter to summer time
        ("2027-02-28T12:00", 31, "2027-02-27T23:00", "2027-03-30T22:00", "2027-02-28"),  # no 31st: the last day
        ("2028-02-29T12:00", 30, "2028-02-28T23:00", "2028-03-29T22:00", "2028-02-29"),  # a leap year's last
        ("2026-01-01T00:00", 29, "2025-12-28T23:00", "2026-01-28T23:00", "2025-12-29"),  # over the new year
    ],
)
def test_periods_of_brussels(when: str, day: int, start: str, end: str, label: str) -> None:
    period = period_at(utc(when), day, BRUSSELS)
    assert (period.start, period.end, period.label) == (utc(start), utc(end), label)


def test_a_period_holds_its_first_instant_and_not_its_end() -> None:
    period = period_at(utc("2026-11-10T12:00"), 1, BRUSSELS)
    assert period.contains(period.start)
    assert period.contains(period.end - timedelta(microseconds=1))
    assert not period.contains(period.start - timedelta(microseconds=1))
    assert not period.contains(period.end)


def test_a_clock_on_the_wall_shows_local_time() -> None:
    assert local_clock(utc("2026-11-10T12:34"), BRUSSELS) == time(13, 34)
    assert local_clock(utc("2026-07-10T12:34"), BRUSSELS) == time(14, 34)


@settings(max_examples=600)
@given(when=INSTANTS, day=DAYS)
def test_a_period_holds_its_instant_and_starts_at_local_midnight_of_the_billing_day(when: datetime, day: int) -> None:
    period = period_at(when, day, BRUSSELS)
    assert period.contains(when)
    for edge in (period.start, period.end):
        local = edge.astimezone(ZONE)
        assert (local.hour, local.minute, local.second) == (0, 0, 0)
        assert local.day == min(day, calendar.monthrange(local.year, local.month)[1])
    assert timedelta(days=27) < period.end - period.start <= timedelta(days=31, hours=1)


@given(when=INSTANTS, day=DAYS)
def test_periods_follow_each_other_without_gap(when: datetime, day: int) -> None:
    period = period_at(when, day, BRUSSELS)
    following = period_at(period.end, day, BRUSSELS)
    before = period_at(period.start - timedelta(seconds=1), day, BRUSSELS)
    assert following.start == period.end
    assert before.end == period.start


def changes_of_the_clocks() -> list[datetime]:
    """Every change of offset in Brussels from 1980 to 2060, found in the zone file by halving."""
    found, step = [], timedelta(days=1)
    when, end = utc("1980-01-01T00:00"), utc("2061-01-01T00:00")
    while when < end:
        if when.astimezone(ZONE).utcoffset() != (when + step).astimezone(ZONE).utcoffset():
            low, high = when, when + step
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) // 2
                same = middle.astimezone(ZONE).utcoffset() == when.astimezone(ZONE).utcoffset()
                low, high = (middle, high) if same else (low, middle)
            found.append(high.replace(microsecond=0))
        when += step
    return found


def test_every_billing_day_at_every_change_of_the_clocks() -> None:
    changes = changes_of_the_clocks()
    assert len(changes) == 162
    for change in changes:
        for day in range(1, 32):
            for when in (change - timedelta(seconds=1), change, change + timedelta(hours=1)):
                period = period_at(when, day, BRUSSELS)
                assert period.contains(when)
                assert period.start.astimezone(ZONE).time() == period.end.astimezone(ZONE).time()


@given(when=INSTANTS.filter(lambda w: w.year >= 1997), day=DAYS)
def test_the_posix_string_gives_the_same_periods(when: datetime, day: int) -> None:
    assert period_at(when, day, "CET-1CEST,M3.5.0,M10.5.0/3") == period_at(when, day, BRUSSELS)


def test_a_boundary_at_any_minute_by_an_odd_offset() -> None:
    """With an offset of 9:35:20 local midnight falls at 14:24:40 UTC: how the demo gets a new month within a minute."""
    period = period_at(utc("2026-11-22T14:24:39"), 23, "DEMO-9:35:20")
    assert period.end == utc("2026-11-22T14:24:40")
    assert period_at(period.end, 23, "DEMO-9:35:20").label == "2026-11-23"


def test_where_the_clocks_skip_midnight_the_day_begins_with_the_change() -> None:
    assert midnight(date(2018, 11, 4), "America/Sao_Paulo") == utc("2018-11-04T03:00")
    # Moved from 23:30 to 00:30 by a rule of our own: midnight never shows, the day begins at 00:30.
    start = midnight(date(2026, 3, 1), "ODD0SUM,M2.4.6/23:30,M10.5.0")
    assert start.date() in (date(2026, 2, 28), date(2026, 3, 1))


def test_zone_problem() -> None:
    assert zone_problem(BRUSSELS) is None
    assert zone_problem("DEMO-9:35:20") is None
    assert "Atlantis" in str(zone_problem("Europe/Atlantis"))


def test_the_first_day_of_the_contract_is_a_boundary() -> None:
    plan = Plan(contract_start=date(2026, 11, 15))
    before, after = plan_period(plan, utc("2026-11-10T12:00")), plan_period(plan, utc("2026-11-20T12:00"))
    assert before.end == after.start == utc("2026-11-14T23:00")
    assert (after.label, after.end) == ("2026-11-15", utc("2026-11-30T23:00"))
    assert plan_period(plan, utc("2026-12-10T12:00")).label == "2026-12-01"


def test_a_contract_ends_with_its_last_local_day() -> None:
    plan = Plan(contract_end=date(2026, 11, 30))
    assert not expired(plan, utc("2026-11-30T22:59"))
    assert expired(plan, utc("2026-11-30T23:00"))
    assert not expired(Plan(), utc("2106-01-01T00:00"))
