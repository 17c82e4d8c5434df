"""Clocks that lie: nothing rolls early, twice or never, and every byte lands on its side of the boundary."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from agent.plan import Override, Plan, TopUp, Trust, decide, override, settle, top_up, usage
from tests.manual_clock import ManualClock
from tests.plan.conftest import NOON, Household

GB = 10**9
DECEMBER = datetime(2026, 11, 30, 23, tzinfo=timezone.utc)  # local midnight of 1 December


def settled(home: Household) -> None:
    home.ledger = settle(home.ledger, home.clock.now(), home.plan)


def to(home: Household, wall: datetime) -> None:
    home.clock.advance((wall - home.clock.wall).total_seconds())


def test_the_period_rolls_at_local_midnight(home: Household) -> None:
    home.use(1000)
    to(home, DECEMBER - timedelta(seconds=1))
    settled(home)
    assert (home.ledger.period.label, home.ledger.received_bytes) == ("2026-11-01", 1000)
    to(home, DECEMBER)
    settled(home)
    assert (home.ledger.period.label, home.ledger.received_bytes) == ("2026-12-01", 0)
    assert home.ledger.total_received_bytes == 1000


def test_bytes_read_across_the_boundary_are_shared_out_by_time(home: Household) -> None:
    to(home, DECEMBER - timedelta(seconds=10))
    home.look()
    home.use(3000, 300, seconds=30)
    previous = home.ledger.previous
    assert previous is not None
    assert (previous.received_bytes, previous.sent_bytes) == (1000, 100)
    assert (home.ledger.received_bytes, home.ledger.sent_bytes) == (2000, 200)


def test_nothing_rolls_and_nothing_is_lifted_while_the_clock_cannot_be_trusted(home: Household) -> None:
    home.use(41 * GB, seconds=3 * 86_400)
    home.reboot("boot-2", off_s=30 * 86_400, trust=Trust.STORED)
    home.use(500)
    assert home.ledger.period.label == "2026-11-01"
    assert decide(home.ledger, home.plan, home.clock.now()).state == "throttled"
    assert usage(home.ledger, home.plan).received_bytes == 41 * GB + 500


def test_bytes_counted_before_trust_came_are_placed_by_boot_time(home: Household) -> None:
    """Booted 60 s before the new month, on a clock a month behind; network time comes 10 minutes later."""
    home.use(1000)
    home.reboot("boot-2", trust=Trust.UNSYNC)
    home.use(200, seconds=50)  # before the boundary
    home.use(40, seconds=300)  # 5 s of it before, the rest after
    home.use(7, seconds=300)
    real = DECEMBER + timedelta(seconds=595)
    home.clock.set_wall(real, Trust.NITZ)
    settled(home)
    previous = home.ledger.previous
    assert previous is not None
    assert previous.received_bytes == 1000 + 200  # 40 * 5 s / 300 s rounds down to 0
    assert home.ledger.received_bytes == 47
    assert home.ledger.pending == ()


def test_what_an_earlier_boot_left_unplaced_stays_in_the_old_period(home: Household) -> None:
    home.reboot("boot-2", trust=Trust.UNSYNC)
    home.use(300)
    home.reboot("boot-3", trust=Trust.UNSYNC)
    home.use(5)
    home.clock.set_wall(DECEMBER + timedelta(days=1), Trust.SYNC)
    settled(home)
    assert home.ledger.previous is not None
    assert home.ledger.previous.received_bytes == 300
    assert home.ledger.received_bytes == 5


def test_months_switched_off_need_ten_minutes_of_agreement(home: Household) -> None:
    home.use(1000)
    home.reboot("boot-2", off_s=95 * 86_400, trust=Trust.NITZ)
    home.use(10)
    assert home.ledger.period.label == "2026-11-01"
    home.use(10, seconds=600)
    assert home.ledger.period.label == "2027-02-01"
    assert home.ledger.received_bytes == 20


def test_a_wrong_network_time_that_is_soon_corrected_changes_nothing(home: Household) -> None:
    home.use(1000)
    real = home.clock.wall
    home.clock.set_wall(datetime(2038, 1, 19, tzinfo=timezone.utc), Trust.NITZ)
    settled(home)
    home.clock.set_wall(real + timedelta(seconds=300), Trust.NITZ)
    home.clock.boot_s += 300
    settled(home)
    assert (home.ledger.period.label, home.ledger.received_bytes) == ("2026-11-01", 1000)


def test_a_roll_on_a_wrong_clock_is_undone_to_the_byte(home: Household) -> None:
    home.use(41 * GB, seconds=3 * 86_400)
    home.ledger = top_up(home.ledger, TopUp("t", GB, None, "support", NOON), home.plan)
    before, real = home.ledger, home.clock.wall
    home.clock.set_wall(DECEMBER + timedelta(hours=1), Trust.NITZ)  # an hour of the next month
    home.use(600)
    assert home.ledger.period.label == "2026-12-01"
    home.clock.set_wall(real + timedelta(seconds=60), Trust.SYNC)
    home.use(30)
    assert home.ledger.period.label == "2026-12-01", "one reading of an earlier time proves nothing"
    home.use(4, seconds=700)
    assert home.ledger.period.label == "2026-11-01"
    assert home.ledger.received_bytes == 41 * GB + 634
    assert home.ledger.topups == before.topups
    to(home, DECEMBER + timedelta(seconds=1))
    settled(home)
    assert (home.ledger.period.label, home.ledger.received_bytes) == ("2026-12-01", 0)


def test_stuck_far_in_the_future_it_comes_back_and_keeps_what_it_counted(home: Household) -> None:
    home.use(1000)
    home.clock.set_wall(datetime(2030, 1, 15, tzinfo=timezone.utc), Trust.SYNC)
    settled(home)
    home.use(10, seconds=601)
    assert home.ledger.period.label == "2030-01-01"
    home.clock.set_wall(NOON + timedelta(days=40), Trust.SYNC)
    settled(home)
    home.use(3, seconds=601)
    assert home.ledger.period.label == "2026-12-01"
    assert home.ledger.received_bytes == 1013 - 1000


def test_the_first_trusted_moment_replaces_a_guessed_period() -> None:
    clock = ManualClock(datetime(1970, 1, 1, tzinfo=timezone.utc), boot_s=100, trust=Trust.UNSYNC)
    home = Household(clock=clock)
    home.look()
    home.use(100, seconds=3600)
    home.use(60, seconds=600)
    clock.set_wall(datetime(2026, 10, 31, 23, 10, tzinfo=timezone.utc), Trust.NITZ)  # 10 minutes into November
    settled(home)
    assert home.ledger.period.label == "2026-11-01"
    assert home.ledger.received_bytes == 60
    assert not home.ledger.provisional


def test_a_changed_billing_day_ends_the_period_sooner_and_forgives_nothing(home: Household) -> None:
    home.use(1000)
    home.plan = Plan(billing_day=15)
    settled(home)
    assert home.ledger.received_bytes == 1000
    assert home.ledger.period.end == datetime(2026, 11, 14, 23, tzinfo=timezone.utc)
    to(home, datetime(2026, 11, 15, tzinfo=timezone.utc))
    settled(home)
    assert (home.ledger.period.label, home.ledger.received_bytes) == ("2026-11-15", 0)
    assert home.ledger.period.end == datetime(2026, 12, 14, 23, tzinfo=timezone.utc)


def test_topups_end_with_the_period_or_carry_over_what_is_left(home: Household) -> None:
    later = NOON + timedelta(days=60)
    home.ledger = top_up(home.ledger, TopUp("month", 2 * GB, None, "support", NOON), home.plan)
    home.ledger = top_up(home.ledger, TopUp("long", 5 * GB, later, "support", NOON), home.plan)
    home.use(44 * GB, seconds=20 * 86_400)
    to(home, DECEMBER)
    settled(home)
    assert [(t.id, t.amount_bytes) for t in home.ledger.topups] == [("long", 3 * GB)]
    to(home, later)
    settled(home)
    assert home.ledger.topups == ()


def test_what_was_used_of_a_topup_stays_paid_for_after_its_expiry(home: Household) -> None:
    soon = NOON + timedelta(days=5)
    home.ledger = top_up(home.ledger, TopUp("t", 5 * GB, soon, "support", NOON), home.plan)
    home.use(42 * GB, seconds=4 * 86_400)
    to(home, soon)
    settled(home)
    assert usage(home.ledger, home.plan).limit_bytes == 42 * GB


def test_overrides_expire_on_a_trusted_clock_only(home: Household) -> None:
    home.ledger = override(home.ledger, Override("force", "misuse", "support", NOON + timedelta(hours=1)))
    home.clock.set_trust(Trust.STORED)
    to(home, NOON + timedelta(hours=2))
    settled(home)
    assert home.ledger.override is not None
    home.clock.set_trust(Trust.SYNC)
    settled(home)
    assert home.ledger.override is None


def test_a_lift_without_an_end_ends_with_the_period_and_a_force_does_not(home: Household) -> None:
    forced = replace(home.ledger, override=Override("force", "", "support"))
    lifted = replace(home.ledger, override=Override("lift", "", "support"))
    to(home, DECEMBER)
    assert settle(forced, home.clock.now(), home.plan).override is not None
    assert settle(lifted, home.clock.now(), home.plan).override is None


def test_hours_carry_the_local_day_and_the_period(home: Household) -> None:
    to(home, DECEMBER - timedelta(seconds=60))
    home.look()
    home.use(10, seconds=30)
    home.use(20, seconds=60)
    rows = [(h.day, h.period, h.received_bytes) for h in home.ledger.hours]
    assert rows == [("2026-11-30", "2026-11-01", 20), ("2026-12-01", "2026-12-01", 10)]


def test_two_wrong_rolls_in_a_row_are_undone_to_the_byte(home: Household) -> None:
    """A trusted clock says December, then January, then November again."""
    home.use(30 * 10**9 // 1000, seconds=60)
    used, period = sum(home.ledger.counted()), home.ledger.period
    for days in (28, 33, -61):
        home.clock.set_wall(home.clock.wall + timedelta(days=days))
        for _ in range(13):  # a jump that is no roll to the very next period must agree with itself for ten minutes
            home.use(1000, seconds=60)
            used += 1000
    assert home.ledger.period == period
    assert sum(home.ledger.counted()) == used
    elsewhere = [hour.received_bytes for hour in home.ledger.hours if hour.period != period.label]
    assert sum(elsewhere) == 0, "what was put under wrong months in the history is taken from there"


def test_a_clock_set_back_past_all_that_was_counted_does_not_empty_the_month_it_comes_back_to(home: Household) -> None:
    """November, wrongly December, October, then November again: what November used is still used."""
    home.use(30 * 10**9 // 1000, seconds=60)
    used, period = sum(home.ledger.counted()), home.ledger.period
    for days in (28, -61, 33):
        home.clock.set_wall(home.clock.wall + timedelta(days=days))
        for _ in range(13):
            home.use(1000, seconds=60)
            used += 1000
    assert home.ledger.period == period
    assert sum(home.ledger.counted()) == used
    elsewhere = [hour.received_bytes for hour in home.ledger.hours if hour.period != period.label]
    assert sum(elsewhere) == 0
