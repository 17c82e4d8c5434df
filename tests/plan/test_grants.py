"""Top-ups and overrides keep what they are worth through wrong months, long absences and clocks that are not right."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from agent.plan import Ledger, Override, TopUp, Trust, decide, override, settle, top_up, usage
from tests.plan.conftest import NOON, Household

GB = 10**9
DECEMBER = datetime(2026, 11, 30, 23, tzinfo=timezone.utc)  # local midnight of 1 December
FEBRUARY = datetime(2027, 2, 10, 12, tzinfo=timezone.utc)


def grant(home: Household, name: str, amount: int, expires: datetime | None = None) -> None:
    """As the command does: with the wall and the boot time of now."""
    now = home.clock.now()
    topup = TopUp(name, amount, expires, "support", now.wall, now.boot_id, now.boot_s, not now.trusted)
    home.ledger = top_up(home.ledger, topup, home.plan)


def lift(home: Household) -> None:
    now = home.clock.now()
    wanted = Override("lift", "", "support", None, now.wall, now.boot_id, now.boot_s, not now.trusted)
    home.ledger = override(home.ledger, wanted, now.wall)


def settled(home: Household) -> None:
    home.ledger = settle(home.ledger, home.clock.now(), home.plan)


def left(home: Household) -> int:
    return usage(home.ledger, home.plan).remaining_bytes


def reloaded(home: Household) -> None:
    home.ledger = Ledger.from_dict(home.ledger.to_dict())


def test_a_topup_of_a_wrong_month_is_whole_in_the_right_one(home: Household) -> None:
    """Used up and slow in November; a clock says December, support tops up, and November comes back."""
    home.use(42 * GB, seconds=3 * 86_400)
    real = home.clock.wall
    home.clock.set_wall(DECEMBER + timedelta(hours=1), Trust.NITZ)
    home.use(GB)
    grant(home, "t", 5 * GB)
    home.use(GB)
    reloaded(home)
    home.clock.set_wall(real + timedelta(seconds=120), Trust.SYNC)
    home.look()
    home.use(0, seconds=700)
    assert home.ledger.period.label == "2026-11-01"
    assert usage(home.ledger, home.plan).charged_bytes == 44 * GB
    assert left(home) == 4 * GB  # of 5 GB the one used since


def test_topups_of_two_wrong_months_are_whole_in_the_right_one(home: Household) -> None:
    home.use(41 * GB, seconds=3 * 86_400)
    real = home.clock.wall
    for month, name in ((DECEMBER + timedelta(hours=1), "a"), (DECEMBER + timedelta(days=32), "b")):
        home.clock.set_wall(month, Trust.NITZ)
        settled(home)
        home.use(0, seconds=601)
        grant(home, name, 2 * GB)
    home.clock.set_wall(real + timedelta(hours=1), Trust.SYNC)
    settled(home)
    home.use(0, seconds=700)
    assert home.ledger.period.label == "2026-11-01"
    assert left(home) == 4 * GB


@pytest.mark.parametrize("trust", [Trust.NITZ, Trust.STORED])
def test_a_topup_of_the_first_minutes_after_a_long_absence_belongs_to_the_new_month(
    home: Household, trust: Trust
) -> None:
    """Slow as the old month ended; it stays so until trusted time is confirmed, and support tops up meanwhile."""
    home.use(41 * GB, seconds=86_400)
    home.reboot("boot-2", off_s=95 * 86_400, trust=trust)
    if trust is Trust.STORED:
        home.clock.set_wall(NOON + timedelta(days=2), trust)
    home.use(0)
    assert decide(home.ledger, home.plan, home.clock.now()).state == "throttled"
    grant(home, "t", 5 * GB)
    lift(home)
    home.use(GB, seconds=300)
    reloaded(home)
    home.clock.set_wall(FEBRUARY, Trust.SYNC)
    settled(home)
    home.use(0, seconds=700)
    assert home.ledger.period.label == "2027-02-01"
    assert left(home) == 44 * GB
    assert home.ledger.override is not None
    home.clock.set_wall(datetime(2027, 3, 1, tzinfo=timezone.utc))
    settled(home)
    assert home.ledger.topups == ()
    assert home.ledger.override is None, "they end with the month they belong to"


def test_a_topup_of_an_earlier_boot_without_the_time_counts_in_the_new_month(home: Household) -> None:
    home.reboot("boot-2", off_s=30 * 86_400, trust=Trust.STORED)
    home.clock.set_wall(NOON + timedelta(days=1), Trust.STORED)
    home.use(0)
    grant(home, "t", 5 * GB)
    home.reboot("boot-3", off_s=30 * 86_400, trust=Trust.SYNC)
    home.use(0)
    assert home.ledger.period.label == "2026-12-01"
    assert left(home) == 45 * GB


def test_a_topup_before_midnight_ends_at_midnight(home: Household) -> None:
    home.clock.advance((DECEMBER - home.clock.wall).total_seconds() - 60)
    home.look()
    grant(home, "t", 5 * GB)
    home.clock.advance(120)
    settled(home)
    assert (home.ledger.period.label, home.ledger.topups) == ("2026-12-01", ())


def test_a_topup_dated_by_a_wrong_clock_is_not_carried_for_ever(home: Household) -> None:
    """Granted while a trusted clock said 2038; in that boot it is placed by boot time, later by no date at all."""
    real = home.clock.wall
    home.clock.set_wall(datetime(2038, 1, 19, tzinfo=timezone.utc), Trust.NITZ)
    settled(home)
    grant(home, "t", 5 * GB)
    home.reboot("boot-2", trust=Trust.SYNC)
    home.clock.set_wall(real + timedelta(hours=1), Trust.SYNC)
    home.use(0, seconds=700)
    assert left(home) == 45 * GB
    home.clock.advance((DECEMBER - home.clock.wall).total_seconds())
    settled(home)
    assert (home.ledger.period.label, home.ledger.topups) == ("2026-12-01", ())


@pytest.mark.parametrize("days", [15, 100], ids=["in the same month", "in a month to come"])
def test_what_expires_by_a_wrong_clock_comes_back_with_the_right_one(home: Household, days: int) -> None:
    grant(home, "t", 5 * GB, NOON + timedelta(days=10))
    home.use(42 * GB, seconds=86_400)
    real = home.clock.wall
    home.clock.set_wall(real + timedelta(days=days), Trust.NITZ)
    settled(home)
    home.use(0, seconds=300)
    assert home.ledger.topups, "five minutes of a time that jumped end nothing"
    home.use(0, seconds=400)
    reloaded(home)
    home.clock.set_wall(real + timedelta(hours=1), Trust.SYNC)
    settled(home)
    home.use(0, seconds=700)
    assert home.ledger.period.label == "2026-11-01"
    assert left(home) == 3 * GB
    home.clock.advance(10 * 86_400)
    settled(home)
    assert usage(home.ledger, home.plan).limit_bytes == 42 * GB


def test_a_forced_speed_ends_at_once_where_the_clock_has_jumped(home: Household) -> None:
    home.ledger = override(home.ledger, Override("force", "", "support", NOON + timedelta(hours=1)))
    home.reboot("boot-2", off_s=7_200, trust=Trust.NITZ)
    home.use(0)
    assert home.ledger.override is None
