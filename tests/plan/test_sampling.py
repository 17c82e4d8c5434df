from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agent.plan import (
    COMMIT_BYTES,
    LATENCY_S,
    Ledger,
    Plan,
    commit_bytes,
    commit_due,
    commit_latency_s,
    passed_over,
    sample_interval_s,
    unwritten_bytes,
)
from tests.plan.conftest import Household

GB = 10**9


@given(remaining=st.integers(0, 10**12), max_bps=st.integers(10**6, 10**10))
def test_the_overshoot_is_bounded_at_every_speed(remaining: int, max_bps: int) -> None:
    interval = sample_interval_s(remaining, max_bps)
    assert 0.1 <= interval <= 30
    assert interval * max_bps / 8 - remaining <= 0.1 * max_bps / 8


def test_the_pace_at_the_end_of_the_allowance() -> None:
    assert sample_interval_s(0, 150_000_000) == 0.1
    assert sample_interval_s(40 * GB, 150_000_000) == 30
    assert sample_interval_s(150_000_000, 150_000_000) == 4


@given(unwritten=st.integers(0, COMMIT_BYTES), max_bps=st.integers(10**6, 300_000_000), latency_s=st.floats(0.1, 0.8))
def test_a_burst_after_any_reading_is_written_before_it_costs_more_than_a_power_cut_may(
    unwritten: int, max_bps: int, latency_s: float
) -> None:
    if unwritten >= commit_bytes(max_bps, latency_s):
        return  # written at once
    interval = sample_interval_s(10**12, max_bps, unwritten, latency_s)
    assert unwritten + (interval + latency_s) * max_bps / 8 <= COMMIT_BYTES + 1


def due(home: Household, saved: Ledger, after_s: float | None) -> str | None:
    moment = home.clock.now()
    return commit_due(home.ledger, saved, None if after_s is None else moment.boot_s - after_s, moment, home.plan)


def test_what_makes_a_commit_due(home: Household) -> None:
    home.notices()
    saved = home.ledger
    assert commit_due(saved, None, None, home.clock.now(), home.plan) == "first"
    assert due(home, saved, None) is None
    home.use(20_000_000)
    assert due(home, saved, 599) is None
    assert due(home, saved, 600) == "time"
    home.use(16_250_000)
    assert due(home, saved, 1) == "bytes"
    assert unwritten_bytes(home.ledger, saved) == 36_250_000
    home.ledger = replace(saved, warned=(80,))
    assert due(home, saved, None) == "state"


def test_a_links_last_word_is_written_at_once(home: Household) -> None:
    home.notices()
    saved = home.ledger
    home.received += 100
    home.look(final=True)
    assert due(home, saved, 0) == "link"


def test_a_household_that_uses_its_month_is_written_by_bytes(home: Household) -> None:
    """10 days into the period: 4 GB is the line between a trickle and ordinary use."""
    home.notices()
    home.ledger = replace(home.ledger, received_bytes=4 * GB)
    saved = home.ledger
    home.use(1_000_000)
    assert due(home, saved, 14_399) is None
    assert due(home, saved, 14_400) == "time"


def test_a_slow_disk_is_written_to_earlier_and_forgotten_in_time() -> None:
    assert commit_latency_s(LATENCY_S, 0.01) == LATENCY_S
    slow_s = commit_latency_s(LATENCY_S, 0.5)
    assert commit_bytes(150_000_000, slow_s) == 28_750_000
    for _ in range(16):
        slow_s = commit_latency_s(slow_s, 0.01)
    assert slow_s == LATENCY_S


def test_a_slow_plan_needs_no_margin() -> None:
    assert commit_bytes(7_000_000) == 39_825_000
    assert commit_bytes(Plan().max_bps) == 36_250_000
    assert commit_bytes(10**10) == 4_000_000


def test_the_first_day_of_a_period_goes_by_the_pace_of_the_one_before(home: Household) -> None:
    home.use(20 * GB // 1000, seconds=1)
    home.ledger = replace(home.ledger, received_bytes=30 * GB)
    home.clock.advance((home.ledger.period.end - home.clock.now().wall).total_seconds() + 60)
    home.use(1_000_000)
    home.notices()
    saved = home.ledger
    assert saved.previous is not None
    assert saved.counted_bytes < GB
    home.use(1_000_000)
    assert due(home, saved, 600) is None, "a household of 30 GB a month does not trickle because the month is new"
    assert due(home, saved, 14_400) == "time"


def test_a_link_that_came_and_does_not_count_is_written_with_the_trickle(home: Household) -> None:
    home.notices()
    saved = home.ledger
    now = home.clock.now()
    home.ledger = passed_over(saved, now.boot_id, now.boot_s, 40)
    assert due(home, saved, 599) is None
    assert due(home, saved, 600) == "time"


def test_a_link_that_counts_otherwise_than_before_is_written_at_once(home: Household) -> None:
    home.notices()
    for change in ({"carried": True}, {"header_bytes": 14}):
        saved = home.ledger
        home.tell(**change)
        assert due(home, saved, 0) == "link"
