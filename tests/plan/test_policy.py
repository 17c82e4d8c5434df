from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone

import pytest

from agent.errors import PlanError
from agent.plan import (
    Override,
    Plan,
    Rates,
    Step,
    Trust,
    decide,
    forecast,
    override,
    settle,
    usage,
)
from tests.plan.conftest import NOON, Household

GB = 10**9
SLOW = Rates(512_000, 512_000)
TWO_STEPS = Plan(steps=(Step(80, 2_000_000, 1_000_000), Step(100)))


@pytest.mark.parametrize(
    ("used", "plan", "state", "rates"),
    [
        (0, Plan(), "normal", Rates()),
        (32 * GB - 1, Plan(), "normal", Rates()),
        (32 * GB, Plan(), "warned", Rates()),
        (40 * GB - 1, Plan(), "warned", Rates()),
        (40 * GB, Plan(), "throttled", SLOW),
        (10**15, Plan(), "throttled", SLOW),
        (32 * GB, TWO_STEPS, "throttled", Rates(2_000_000, 1_000_000)),
        (40 * GB, TWO_STEPS, "throttled", SLOW),
        (50 * GB, Plan(steps=()), "warned", Rates()),
        (0, Plan(full_down_bps=7_000_000), "normal", Rates(7_000_000, None)),
    ],
)
def test_what_the_line_may_do(home: Household, used: int, plan: Plan, state: str, rates: Rates) -> None:
    decision = decide(replace(home.ledger, received_bytes=used), plan, home.clock.now())
    assert (decision.state, decision.rates) == (state, rates)


def test_an_allowance_changed_in_mid_month_holds_at_once(home: Household) -> None:
    ledger = replace(home.ledger, received_bytes=41 * GB)
    assert decide(ledger, Plan(), home.clock.now()).state == "throttled"
    assert decide(ledger, Plan(allowance_bytes=60 * GB), home.clock.now()).state == "normal"


@pytest.mark.parametrize(
    ("mode", "used", "state", "rates"),
    [
        ("lift", 50 * GB, "lifted", Rates(7_000_000, None)),
        ("force", 0, "forced", SLOW),
        ("suspend", 50 * GB, "suspended", Rates()),
    ],
)
def test_the_operators_word_is_above_the_plan(home: Household, mode: str, used: int, state: str, rates: Rates) -> None:
    ledger = replace(home.ledger, received_bytes=used, override=Override(mode, "goodwill", "support"))
    decision = decide(ledger, Plan(full_down_bps=7_000_000), home.clock.now())
    assert (decision.state, decision.rates, decision.reason) == (state, rates, "goodwill (by support)")


def test_after_the_contract_the_last_plan_goes_on_and_says_so(home: Household) -> None:
    plan = Plan(contract_end=date(2026, 11, 9))
    decision = decide(home.ledger, plan, home.clock.now())
    assert (decision.state, decision.expired) == ("expired", True)
    over = decide(replace(home.ledger, received_bytes=40 * GB), plan, home.clock.now())
    assert (over.state, over.rates, over.expired) == ("throttled", SLOW, True)
    home.clock.set_trust(Trust.UNSYNC)
    assert decide(home.ledger, plan, home.clock.now()).state == "expired", "a trusted day was seen after the end"
    never = replace(home.ledger, latest=None)
    assert decide(never, plan, home.clock.now()).state == "normal", "no trusted day was ever seen"


def test_shares_are_never_rounded_up(home: Household) -> None:
    decision = decide(replace(home.ledger, received_bytes=39_999_999_999), Plan(), home.clock.now())
    assert decision.reason == "99.9 % used"


def test_bytes_to_the_next_mark(home: Household) -> None:
    plan = Plan()
    assert usage(home.ledger, plan).until_next_bytes == 32 * GB
    assert usage(replace(home.ledger, received_bytes=39 * GB), plan).until_next_bytes == GB
    assert usage(home.ledger, plan).until_next_bytes == 32 * GB
    assert usage(replace(home.ledger, received_bytes=41 * GB), plan).until_next_bytes == 40 * GB


def test_forecast(home: Household) -> None:
    period = home.ledger.period
    ten_days = replace(home.ledger, received_bytes=20 * GB)
    end = forecast(usage(ten_days, Plan()), period, period.start + timedelta(days=10))
    assert end == period.start + timedelta(days=20)
    assert forecast(usage(ten_days, Plan()), period, NOON, recent_bytes_day=0.9 * GB) is None
    assert forecast(usage(home.ledger, Plan()), period, period.start + timedelta(hours=5)) is None
    assert forecast(usage(replace(ten_days, sent_bytes=30 * GB), Plan()), period, NOON) == NOON


def told(home: Household) -> list[tuple[str, int]]:
    return [(n.kind, n.percent) for n in home.notices()]


def test_each_thing_is_told_once_a_period(home: Household) -> None:
    assert told(home) == []
    home.use(33 * GB, seconds=10 * 86_400)
    assert told(home) == [("warning", 80)]
    assert told(home) == []
    home.use(7 * GB, seconds=86_400)
    assert told(home) == [("warning", 95), ("throttled", 100)]
    home.ledger = type(home.ledger).from_dict(home.ledger.to_dict())
    assert told(home) == [], "a restart tells nothing again"
    home.clock.advance(86_400 * 11)
    home.ledger = settle(home.ledger, home.clock.now(), home.plan)
    assert told(home) == [("new-period", 0), ("restored", 0)]
    home.use(33 * GB, seconds=10 * 86_400)
    assert told(home) == [("warning", 80)]


def test_since_when_the_line_is_as_slow_as_it_is(home: Household) -> None:
    assert decide(home.ledger, home.plan, home.clock.now()).since is None
    told(home)
    home.use(33 * GB, seconds=86_400)
    told(home)
    assert decide(home.ledger, home.plan, home.clock.now()).since == NOON, "a warning changes no speed"
    home.use(7 * GB, seconds=86_400)
    told(home)
    home.clock.advance(86_400)
    home.ledger = type(home.ledger).from_dict(home.ledger.to_dict())
    told(home)
    assert decide(home.ledger, home.plan, home.clock.now()).since == NOON + timedelta(days=2)


def test_a_jump_past_several_marks_is_told_by_the_highest(home: Household) -> None:
    told(home)
    home.ledger = replace(home.ledger, received_bytes=39 * GB)
    assert told(home) == [("warning", 95)]


def test_a_notice_reads_well_in_a_log(home: Household) -> None:
    home.ledger = replace(home.ledger, received_bytes=32 * GB)
    (notice,) = home.notices()
    assert notice.text == "warning 80 %: 32.000 of 40.000 GB in the period of 2026-11-01; 80 % used"


def test_the_end_of_the_contract_is_told_once(home: Household) -> None:
    told(home)
    home.plan = Plan(contract_end=date(2026, 11, 9))
    assert told(home) == [("expired", 0)]
    assert told(home) == []


def test_a_period_reads_its_own_instants() -> None:
    household = Household()
    assert household.ledger.period.contains(NOON)
    assert not household.ledger.period.contains(datetime(2027, 1, 1, tzinfo=timezone.utc))


def test_an_override_that_would_end_before_it_begins_is_refused(home: Household) -> None:
    now = home.clock.now().wall
    for mode in ("lift", "force", "suspend"):
        with pytest.raises(PlanError, match="before it begins"):
            override(home.ledger, Override(mode, "late", "desk", expires=now), now)
        kept = override(home.ledger, Override(mode, "in time", "desk", expires=now + timedelta(minutes=1)), now)
        assert kept.override is not None
