"""A billing day, time zone or contract that changes: no period is too long, no allowance comes twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from agent.plan import Ledger, decide, settle, usage
from agent.plan.ledger import charged_bytes, limit_bytes
from tests.manual_clock import ManualClock
from tests.plan.conftest import Household

GB = 10**9
MONTH = timedelta(days=31, hours=1)  # October has a day of 25 hours


def at(month: int, day: int, hour: int = 0) -> Household:
    home = Household(clock=ManualClock(datetime(2026, month, day, hour, tzinfo=timezone.utc), boot_s=1000.0))
    home.look()
    return home


def days(home: Household) -> tuple[str, float]:
    return home.ledger.period.label, (home.ledger.period.end - home.ledger.period.start) / timedelta(days=1)


def change(home: Household, **rule: object) -> None:
    home.plan = replace(home.plan, **rule)  # type: ignore[arg-type]
    home.use(0, seconds=1)


def to(home: Household, month: int, day: int, year: int = 2026) -> None:
    home.use(0, seconds=(datetime(year, month, day, 12, tzinfo=timezone.utc) - home.clock.wall).total_seconds())


def test_a_later_day_leaves_the_end_of_the_period_where_it_is() -> None:
    home = at(11, 29, 12)
    home.use(41 * GB, seconds=86_000)
    change(home, billing_day=28)
    assert days(home) == ("2026-11-01", 30)
    to(home, 12, 1)
    assert days(home) == ("2026-12-01", 27)
    assert decide(home.ledger, home.plan, home.clock.now()).state == "normal"
    to(home, 12, 28)
    assert days(home) == ("2026-12-28", 31)
    assert usage(home.ledger, home.plan).limit_bytes == 40 * GB


def test_the_last_day_of_the_month_becomes_the_first() -> None:
    home = at(11, 10)
    home.plan = replace(home.plan, billing_day=31)
    home.ledger = Ledger.new(home.plan, home.clock.now())
    assert days(home) == ("2026-10-31", 30)
    change(home, billing_day=1)
    assert days(home) == ("2026-10-31", 30)
    to(home, 11, 30)
    assert days(home) == ("2026-11-30", 1)
    to(home, 12, 1)
    assert days(home) == ("2026-12-01", 31)


def test_what_a_second_short_period_uses_above_its_days_counts_in_the_next() -> None:
    home = at(11, 10)
    change(home, billing_day=15)  # a gift: 14 days with a whole allowance
    home.use(42 * GB, seconds=3 * 86_400)
    to(home, 11, 16)
    assert usage(home.ledger, home.plan).limit_bytes == 40 * GB
    change(home, billing_day=29)  # 14 days again
    home.use(42 * GB, seconds=3 * 86_400)
    to(home, 11, 30)
    assert days(home) == ("2026-11-29", 30)
    assert usage(home.ledger, home.plan).limit_bytes == 20 * GB
    to(home, 12, 30)
    assert usage(home.ledger, home.plan).limit_bytes == 40 * GB


def test_a_short_period_that_kept_to_its_days_takes_nothing_from_the_next() -> None:
    home = at(11, 10)
    change(home, billing_day=15)
    to(home, 11, 16)
    home.use(19 * GB, seconds=86_400)
    change(home, billing_day=29)
    to(home, 11, 30)
    assert usage(home.ledger, home.plan).limit_bytes == 40 * GB


def test_months_of_a_contract_that_begins_or_ends_are_no_short_periods() -> None:
    home = at(11, 10)
    change(home, contract_start=date(2026, 11, 20))
    to(home, 11, 21)
    home.use(30 * GB, seconds=86_400)
    to(home, 12, 2)
    assert days(home) == ("2026-12-01", 31)
    assert (home.ledger.short_end, usage(home.ledger, home.plan).limit_bytes) == (None, 40 * GB)


def test_a_zone_that_changes_makes_no_period_longer() -> None:
    home = at(12, 10)
    change(home, timezone="America/New_York")
    assert home.ledger.period.end == datetime(2026, 12, 31, 23, tzinfo=timezone.utc)
    to(home, 1, 1, year=2027)
    assert home.ledger.period.end == datetime(2027, 2, 1, 5, tzinfo=timezone.utc)
    assert home.ledger.period.end - home.ledger.period.start <= MONTH


def test_a_short_period_on_a_wrong_clock_is_undone_with_its_gift() -> None:
    home = at(11, 10)
    change(home, billing_day=15)
    before, real = home.ledger, home.clock.wall
    home.clock.set_wall(datetime(2026, 11, 16, tzinfo=timezone.utc))
    home.use(0, seconds=700)
    assert home.ledger.short_end is not None
    home.clock.set_wall(real + timedelta(hours=1))
    home.use(0, seconds=1)
    home.use(0, seconds=700)
    assert home.ledger.short_end is None
    assert home.ledger.period == before.period


def test_the_household_is_told_the_day_on_which_its_period_really_ends() -> None:
    home = at(11, 29, 12)
    change(home, billing_day=28)
    home.use(33 * GB, seconds=600)
    assert [n.period_end for n in home.notices() if n.kind == "warning"] == [
        datetime(2026, 11, 30, 23, tzinfo=timezone.utc)
    ]


RULES = st.fixed_dictionaries(
    {},
    optional={
        "billing_day": st.integers(1, 31),
        "timezone": st.sampled_from(["Europe/Brussels", "Pacific/Kiritimati", "Pacific/Pago_Pago"]),
    },
)


@given(st.lists(st.tuples(st.integers(0, 20), RULES), max_size=25))
def test_no_changes_make_a_period_long_a_wait_longer_or_an_allowance_large(
    changes: list[tuple[int, dict[str, object]]],
) -> None:
    """A household that takes all it can get at full speed, under a rule that changes again and again."""
    home = at(1, 1, 12)
    taken, began = 0, home.clock.wall
    for pause, rule in changes:
        before = home.ledger.period
        home.clock.advance(60)
        home.plan = replace(home.plan, **rule)  # type: ignore[arg-type]
        home.ledger = settle(home.ledger, home.clock.now(), home.plan)
        if home.ledger.period.start == before.start:
            assert home.ledger.period.end <= before.end, "nobody waits longer for a change"
        for _ in range(pause + 1):
            home.clock.advance(86_400)
            home.ledger = settle(home.ledger, home.clock.now(), home.plan)
            assert timedelta(0) < home.ledger.period.end - home.ledger.period.start <= MONTH
            assert home.ledger.period.contains(home.clock.wall)
            free = limit_bytes(home.ledger, home.plan) - charged_bytes(home.ledger, home.plan)
            home.ledger = replace(home.ledger, received_bytes=home.ledger.received_bytes + max(0, free))
            taken += max(0, free)
    months = (home.clock.wall - began) / timedelta(days=28)
    # What the days are worth, the period that was under way and the one under way now, a gift a year.
    assert taken <= 40 * GB * (months + 3 + months / 13)
