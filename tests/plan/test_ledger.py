from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from agent.errors import PlanError
from agent.plan import Ledger, Override, Plan, TopUp, charge_management, committed, override, top_up, usage
from agent.plan.ledger import closed_hours
from tests.plan.conftest import NOON, Household

GB = 10**9


def grant(id: str = "t1", amount: int = 5 * GB, **more: object) -> TopUp:
    values: dict[str, object] = {"expires": None, "by": "support", "granted": NOON, **more}
    return TopUp(id, amount, **values)  # type: ignore[arg-type]


def test_a_fresh_installation_takes_what_runs_as_its_baseline() -> None:
    household = Household()
    household.received = 7 * GB
    household.look()
    household.use(100)
    assert household.ledger.counted() == (100, 0)


def test_a_fresh_installation_counts_whole_what_is_created_after_it(home: Household) -> None:
    home.recreate()
    home.use(300, seconds=2.0)
    assert home.ledger.counted() == (300, 0)


def test_a_seeded_ledger_counts_an_unseen_interface_from_zero() -> None:
    household = Household()
    household.ledger = replace(household.ledger, received_bytes=39_985_000_000)
    household.received = 600
    household.look()
    assert household.ledger.counted() == (39_985_000_600, 0)


def test_a_renamed_interface_goes_on(home: Household) -> None:
    home.use(1000)
    home.ifname = "wan0"
    home.use(50)
    assert home.ledger.counted() == (1050, 0)


def test_several_interfaces_are_summed(home: Household) -> None:
    home.use(1000)
    home.ifindex, home.ifname, home.received = 9, "usb0", 0
    home.use(500)
    assert home.ledger.counted() == (1500, 0)


def test_another_boot_counts_from_zero(home: Household) -> None:
    home.use(1000)
    home.reboot("boot-2")
    home.use(40)
    assert home.ledger.counted() == (1040, 0)


def test_a_killed_daemon_loses_nothing_within_the_boot(home: Household) -> None:
    """The disk holds an old sample; the next one after the restart makes up the difference."""
    home.use(1000)
    on_disk = Ledger.from_dict(home.ledger.to_dict())
    home.use(70 * 10**6)
    home.use(80 * 10**6)
    home.ledger = on_disk
    home.use(5)
    assert home.ledger.counted() == (150_001_005, 0)


def test_refused_and_reset_readings_are_counted(home: Household) -> None:
    home.use(1000)
    home.use(2**63)
    home.received = 12
    home.use(0)
    assert (home.ledger.refused_readings, home.ledger.refused_bytes, home.ledger.resets) == (1, 2**63, 1)
    assert home.ledger.counted() == (1012, 0)


def test_the_agents_own_traffic_is_charged_only_if_the_plan_says_so(home: Household) -> None:
    home.use(1000, 500)
    home.ledger = charge_management(home.ledger, 100, 30)
    assert usage(home.ledger, Plan()).charged_bytes == 1370
    assert usage(home.ledger, Plan(charge_management=True)).charged_bytes == 1500
    assert usage(home.ledger, Plan(charge="received")).charged_bytes == 900
    assert usage(home.ledger, Plan(charge="sent", charge_management=True)).charged_bytes == 500


@pytest.mark.parametrize(
    ("amount", "more", "problem"),
    [
        (0, {}, "allowed are 1 to"),
        (-1, {}, "allowed are 1 to"),
        (10**18, {}, "allowed are 1 to"),
        (True, {}, "allowed are 1 to"),
        (GB, {"expires": NOON - timedelta(days=1)}, "before it begins"),
        (GB, {"id": ""}, "needs an id"),
    ],
)
def test_a_topup_that_makes_no_sense(home: Household, amount: int, more: dict[str, object], problem: str) -> None:
    with pytest.raises(PlanError, match=problem):
        top_up(home.ledger, grant(**{"amount": amount, **more}), home.plan)  # type: ignore[arg-type]


def test_a_repeated_topup_counts_once(home: Household) -> None:
    ledger = top_up(home.ledger, grant(), home.plan)
    with pytest.raises(PlanError, match="granted before"):
        top_up(ledger, grant(), home.plan)
    assert usage(ledger, home.plan).topup_bytes == 5 * GB


def test_many_large_topups_are_refused_in_the_end(home: Household) -> None:
    ledger = top_up(home.ledger, grant("a", 400 * GB), home.plan)
    ledger = top_up(ledger, grant("b", 400 * GB), home.plan)
    with pytest.raises(PlanError, match="with those before it"):
        top_up(ledger, grant("c", 1), home.plan)


def test_a_topup_gives_its_whole_amount_even_after_weeks_at_the_slow_rate(home: Household) -> None:
    home.ledger = replace(home.ledger, received_bytes=60 * GB)
    home.ledger = top_up(home.ledger, grant(), home.plan)
    assert usage(home.ledger, home.plan).remaining_bytes == 5 * GB
    assert usage(home.ledger, home.plan).limit_bytes == 65 * GB


def test_an_override_is_one_of_three(home: Household) -> None:
    with pytest.raises(PlanError, match="lift, force, suspend"):
        override(home.ledger, Override("cut", "", "support"))
    assert override(home.ledger, Override("lift", "", "support")).override is not None


def test_closed_hours_leave_the_ledger_once_written(home: Household) -> None:
    for _ in range(13):
        home.use(100, seconds=7200)
    written = home.ledger
    assert [h.received_bytes for h in closed_hours(written)] == [100] * 12
    home.use(7, seconds=7200)
    home.ledger = committed(home.ledger, written)
    assert [h.received_bytes for h in home.ledger.hours] == [100, 7]
    assert committed(home.ledger, home.ledger) == home.ledger, "two hours are not worth three tables"
    assert home.ledger.counted() == (1307, 0)
