"""The operator's count beside the own one: never in its place, the same whatever the order of messages."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from agent.errors import PlanError
from agent.plan import (
    OperatorCount,
    Plan,
    Trust,
    decide,
    is_large,
    measured,
    meters_apart,
)
from tests.plan.conftest import NOON
from tests.plan.metered import GB, MONTH, Metered


@pytest.fixture
def metered() -> Metered:
    return Metered()


def test_compared_is_the_own_count_of_the_same_instant(metered: Metered) -> None:
    metered.use(2 * GB, seconds=1800)
    as_of = metered.clock.wall
    metered.use(3 * GB, seconds=7200)
    metered.reconcile(int(2.1 * GB), as_of)
    (count,) = metered.ledger.operator_counts
    # Bytes lie in the middle of the span in which they passed: 12:15, of which the hour is shared out by time.
    assert count.own_bytes == GB
    assert count.difference_bytes == int(1.1 * GB)
    assert metered.own == 5 * GB
    assert metered.charged == int(6.1 * GB)


def test_a_count_of_the_hour_under_way_becomes_exact_when_it_is_over(metered: Metered) -> None:
    metered.use(GB, seconds=600)
    as_of = metered.clock.wall
    metered.reconcile(2 * GB, as_of)
    assert metered.ledger.operator_counts[0].own_bytes == GB
    metered.use(2 * GB, seconds=1200)
    metered.use(0, seconds=3600)
    late = Metered()
    late.use(GB, seconds=600)
    late.use(2 * GB, seconds=1200)
    late.use(0, seconds=3600)
    late.reconcile(2 * GB, as_of)
    assert metered.charged == late.charged
    assert metered.ledger.operator_counts[0].own_bytes == late.ledger.operator_counts[0].own_bytes
    assert late.ledger.operator_counts[0].own_bytes == 3 * GB // 6


@pytest.mark.parametrize("hours", [2, 30])
def test_hours_count_the_same_in_the_ledger_and_in_the_history(hours: int, metered: Metered) -> None:
    as_of = metered.clock.wall + timedelta(minutes=90)
    for _ in range(hours * 2):
        metered.use(10_000_000, seconds=1800)
    before = measured(metered.ledger, _count(as_of), metered.ledger.hours, metered.plan).own_bytes
    metered.save()
    after = measured(metered.ledger, _count(as_of), (*metered.history, *metered.ledger.hours), metered.plan).own_bytes
    assert before == after == 30_000_000


def _count(as_of: datetime, used_bytes: int = 0, **more: object) -> OperatorCount:
    values: dict[str, object] = {"source": "pcrf", "follow": True, "period": MONTH, **more}
    return OperatorCount(as_of=as_of, used_bytes=used_bytes, **values)  # type: ignore[arg-type]


def test_what_a_foreign_card_carried_the_operator_cannot_have_counted(metered: Metered) -> None:
    metered.use(GB, seconds=1800)
    metered.ledger = replace(metered.ledger, foreign=True)
    metered.use(5 * GB, seconds=7200)
    metered.ledger = replace(metered.ledger, foreign=False)
    metered.use(GB, seconds=7200)
    for _ in range(30):
        metered.use(1000, seconds=3600)
    metered.save()
    metered.reconcile(2 * GB, NOON + timedelta(hours=1))
    assert metered.ledger.operator_counts[0].own_bytes == GB


def test_a_told_count_changes_nothing_that_is_used(metered: Metered) -> None:
    metered.use(GB)
    metered.reconcile(3 * GB, metered.clock.wall, follow=False)
    assert metered.ledger.operator_counts[0].difference_bytes == 2 * GB
    assert metered.charged == metered.own == GB


def test_a_later_count_undoes_the_correction(metered: Metered) -> None:
    metered.use(GB)
    metered.use(0, seconds=7200)
    metered.reconcile(2 * GB, NOON + timedelta(minutes=60))
    assert metered.charged == 2 * GB
    metered.reconcile(GB, NOON + timedelta(minutes=61), source="bill")
    assert metered.charged == GB


def test_a_higher_count_warns_and_slows_and_a_lower_one_gives_back(metered: Metered) -> None:
    def state() -> str:
        return " ".join(notice.kind for notice in metered.notices())

    metered.use(36 * GB, seconds=7200)
    assert state() == "warning"
    metered.reconcile(int(40.2 * GB), metered.clock.wall)
    assert decide(metered.ledger, metered.plan, metered.clock.now()).slow
    assert state() == "warning throttled"
    metered.use(0, seconds=3600)
    metered.reconcile(39 * GB, metered.clock.wall)
    assert state() == "restored"
    assert metered.ledger.warned == (80, 95), "what was told is not told again"


@pytest.mark.parametrize(
    ("count", "words"),
    [
        ({"as_of": NOON - timedelta(days=10)}, "is not in the period"),
        ({"as_of": NOON + timedelta(days=2)}, "is later than now"),
        ({"period": "2026-08-01"}, "known: 2026-11-01"),
    ],
)
def test_what_cannot_be_meant_is_refused(count: dict[str, object], words: str, metered: Metered) -> None:
    metered.use(GB)
    with pytest.raises(PlanError, match=words):
        metered.reconcile(GB, **{"as_of": NOON, **count})  # type: ignore[arg-type]


def test_older_is_refused_and_the_same_again_changes_nothing(metered: Metered) -> None:
    metered.use(GB)
    as_of = metered.clock.wall
    metered.reconcile(2 * GB, as_of)
    known = metered.ledger
    metered.reconcile(2 * GB, as_of)
    assert metered.ledger == known
    with pytest.raises(PlanError, match="is older"):
        metered.reconcile(GB, as_of - timedelta(seconds=1))
    with pytest.raises(PlanError, match="not another number"):
        metered.reconcile(3 * GB, as_of)
    metered.reconcile(GB, as_of - timedelta(seconds=1), source="bill")  # another meter has its own time


@pytest.mark.parametrize(
    ("allowance_gb", "more_gb", "large"),
    [(40, 4, False), (40, 4.1, True), (10, 1.1, True), (10, 1, False), (100, 4.1, True), (40, -30, False)],
)
def test_a_large_correction_at_the_households_expense_is_an_admins(
    allowance_gb: int, more_gb: float, large: bool
) -> None:
    plan = Plan(allowance_bytes=allowance_gb * GB)
    count = replace(_count(NOON, int((30 + more_gb) * GB)), own_bytes=30 * GB)
    assert is_large(count, plan) is large
    assert not is_large(replace(count, follow=False), plan)


def test_meters_are_apart_after_three_counts_that_are(metered: Metered) -> None:
    metered.use(20 * GB, seconds=7200)
    for factor, raised in [(1.06, False), (1.06, False), (1.06, True), (1.01, False), (1.06, False)]:
        metered.use(0, seconds=3600)
        metered.reconcile(int(20 * GB * factor), metered.clock.wall - timedelta(minutes=1))
        assert (meters_apart(metered.ledger) is not None) is raised


def test_a_count_waits_for_a_clock_that_is_trusted(metered: Metered) -> None:
    metered.use(GB)
    metered.clock.set_trust(Trust.STORED)
    metered.use(GB, seconds=3600)
    as_of = metered.clock.wall
    metered.reconcile(5 * GB, as_of)
    metered.use(GB, seconds=3600)
    assert (metered.charged, metered.own) == (3 * GB, 3 * GB)
    metered.clock.set_trust(Trust.SYNC)
    metered.use(0)
    (count,) = metered.ledger.operator_counts
    assert metered.ledger.waiting_counts == ()
    assert metered.charged == metered.own + count.difference_bytes
    assert count.own_bytes is not None
    assert 2 * GB <= count.own_bytes < 3 * GB


def test_a_large_count_that_waited_is_shown_and_not_followed(metered: Metered) -> None:
    metered.clock.set_trust(Trust.STORED)
    metered.use(GB, seconds=60)
    metered.reconcile(20 * GB, metered.clock.wall, unlimited=False)
    metered.clock.set_trust(Trust.SYNC)
    metered.use(0)
    assert [count.follow for count in metered.ledger.operator_counts] == [False]
    assert metered.charged == metered.own


def test_a_roll_that_is_undone_gives_the_counts_back(metered: Metered) -> None:
    metered.use(GB, seconds=3600)
    metered.reconcile(2 * GB, metered.clock.wall)
    metered.use(0, seconds=3600)
    counts, wall = metered.ledger.operator_counts, metered.clock.wall
    metered.clock.set_wall(wall + timedelta(days=21))
    metered.use(GB)
    assert (metered.ledger.period.label, metered.charged) == ("2026-12-01", GB)
    metered.clock.set_wall(wall)
    for _ in range(30):
        metered.use(0, seconds=60)
    assert metered.ledger.period.label == MONTH
    assert metered.ledger.operator_counts == counts
    assert (metered.own, metered.charged) == (2 * GB, 3 * GB)


def test_counts_of_a_period_that_was_none_are_dropped(metered: Metered) -> None:
    """The first clock was wrong: what was said of its period says nothing of the right one."""
    metered.use(GB, seconds=3600)
    metered.reconcile(2 * GB, metered.clock.wall)
    metered.clock.set_wall(metered.clock.wall - timedelta(days=90))
    for _ in range(30):
        metered.use(0, seconds=60)
    assert metered.ledger.period.label == "2026-08-01"
    assert metered.ledger.operator_counts == ()
    assert metered.charged == metered.own == GB


def test_an_instant_before_the_clock_was_lost_needs_not_wait(metered: Metered) -> None:
    metered.use(GB, seconds=1800)
    as_of = metered.clock.wall
    metered.clock.set_trust(Trust.UNSYNC)
    metered.use(5 * GB, seconds=3600)
    metered.reconcile(2 * GB, as_of)
    assert metered.ledger.operator_counts[0].own_bytes == GB


# -- two meters of which one counts more ---------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "alarm"), [(0.06, True), (0.01, False)])
def test_both_slow_within_one_reconciliation(share: float, alarm: bool) -> None:
    """An operator who slows by his own count, and tells it once a day: the household's page says the same."""
    home = Metered(Plan(allowance_bytes=40 * GB))
    days, alarms, slow_there, slow_here = 0, 0, None, None
    while slow_there is None or slow_here is None:
        for _ in range(4):
            home.use(int(0.6 * GB), seconds=6 * 3600)
            home.save()
        days += 1
        used_there = int(home.own * (1 + share))
        if used_there >= 40 * GB:
            slow_there = slow_there or days
        home.reconcile(used_there, home.clock.wall)
        alarms += meters_apart(home.ledger) is not None
        if decide(home.ledger, home.plan, home.clock.now()).slow:
            slow_here = slow_here or days
    assert abs(slow_there - slow_here) <= 1
    assert bool(alarms) is alarm
