"""From samples to the ledger and the decision: what is counted, what is told, and when the next sample is due."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest

from agent.daemon.accounting import AFTER_BOUNDARY_S, Accounting
from agent.events import Decided, Noticed, Occurrence, Reviewed
from agent.keeper import Keeper
from agent.plan import Epoch, Ledger, Override, Plan, Sample, Survey, TopUp, Trust, decide, sample_interval_s
from agent.plan.sampling import COMMIT_BYTES, LONGEST_INTERVAL_S
from agent.store import Store
from tests.manual_clock import ManualClock

MB, GB = 10**6, 10**9
PLAN = Plan(allowance_bytes=10 * GB)
SLOW_RADIO = replace(PLAN, max_bps=10_000_000)  # the longest pause is reached


class Home:
    def __init__(self, plan: Plan = PLAN, *, count: Callable[[Ledger], Ledger] = lambda ledger: ledger) -> None:
        self.clock, self.plan = ManualClock(), plan
        self.faults, self.told = Counter[str](), list[Occurrence]()
        ledger = count(Ledger.new(plan, self.clock.now()))
        self.keeper = Keeper(cast(Store, None), self.clock, plan, ledger, self.faults)
        self.accounting = Accounting(plan, self.clock, self.keeper, self.faults, self.told.append)

    def sample(self, received: int, *, ifindex: int = 3, seconds: float = 3600.0) -> Sample:
        self.clock.advance(seconds)
        return Sample(Epoch("boot-1", ifindex, f"wwan{ifindex}"), self.clock.boot_s, received, 0)

    def survey(self, *samples: Sample) -> None:
        newest = max((sample.epoch.ifindex for sample in samples), default=3)
        self.accounting.take_all(Survey("boot-1", self.clock.boot_s, newest, samples))

    def kinds(self) -> list[type[Occurrence]]:
        kinds, self.told[:] = [type(event) for event in self.told], []
        return kinds

    @property
    def received(self) -> int:
        return self.accounting.ledger.total_received_bytes


def used(amount: int) -> Callable[[Ledger], Ledger]:
    return lambda ledger: replace(ledger, received_bytes=amount, total_received_bytes=amount)


@pytest.mark.parametrize("whole", [True, False], ids=["survey", "samples"])
def test_what_passes_is_counted_and_the_plan_held_against_it(whole: bool) -> None:
    home = Home()

    def take(*samples: Sample) -> None:
        home.survey(*samples) if whole else home.accounting.take(samples)

    take(home.sample(0))
    assert home.kinds() == [Reviewed]
    take(home.sample(7 * GB))
    assert home.received == 7 * GB
    assert home.kinds() == [Reviewed]
    take(home.sample(8 * GB))
    assert home.kinds() == [Noticed, Decided, Reviewed]
    assert home.accounting.decision.state == "warned"
    take(home.sample(10 * GB))
    assert home.kinds() == [Noticed, Noticed, Decided, Reviewed]
    assert home.accounting.decision.state == "throttled"
    assert home.accounting.decision == decide(home.keeper.ledger, PLAN, home.clock.now())
    take(home.sample(10 * GB + 1))
    assert home.kinds() == [Reviewed]
    assert home.accounting.usage().charged_bytes == 10 * GB + 1


def test_samples_of_one_turn_are_all_counted() -> None:
    home = Home()
    home.accounting.take([home.sample(0, ifindex=3), home.sample(0, ifindex=4, seconds=0)])
    home.accounting.take([home.sample(5 * MB, ifindex=3), home.sample(7 * MB, ifindex=4, seconds=0)])
    assert home.received == 12 * MB
    assert [home.accounting.counts(ifindex) for ifindex in (3, 4, 5)] == [True, True, False]
    home.survey(home.sample(6 * MB, ifindex=3))
    assert [home.accounting.counts(ifindex) for ifindex in (3, 4)] == [True, False]
    assert home.received == 13 * MB


def test_a_link_that_came_and_does_not_count_gives_a_baseline_should_it_count_one_day() -> None:
    home = Home()
    home.survey(home.sample(0))
    home.accounting.notice(4)
    home.survey(home.sample(0), home.sample(90 * MB, ifindex=4))
    assert home.received == 0
    home.survey(home.sample(0), home.sample(91 * MB, ifindex=4))
    assert home.received == 1 * MB


def test_a_jump_that_no_line_carries_is_refused_and_counted_as_a_fault() -> None:
    for take in ("take", "take_all"):
        home = Home()
        home.survey(home.sample(0))
        jump = home.sample(10**13, seconds=1)
        home.survey(jump) if take == "take_all" else home.accounting.take([jump])
        assert home.received == 0
        assert home.faults["counter.refused"] == 1


def test_a_month_that_ended_while_the_power_was_off_slows_nobody_at_the_start() -> None:
    home = Home(count=used(11 * GB))
    assert home.accounting.decision.state == "throttled"
    home.clock.advance(25 * 86_400)
    ledger = home.keeper.ledger
    keeper = Keeper(cast(Store, None), home.clock, PLAN, ledger, Counter())
    assert Accounting(PLAN, home.clock, keeper, Counter()).decision.state == "normal"


def test_a_new_period_is_told_although_the_rates_stay() -> None:
    home = Home()
    home.accounting.review()
    home.kinds()
    label = home.accounting.period.label
    home.clock.advance(25 * 86_400)
    home.accounting.review()
    assert home.accounting.period.label != label
    assert Decided in home.kinds()
    home.accounting.review()
    assert home.kinds() == [Reviewed]


def test_what_somebody_else_changed_is_reviewed_and_the_next_sample_taken_at_once() -> None:
    home = Home(count=used(11 * GB))
    home.keeper.count(replace(home.keeper.ledger, override=Override("lift", "a test", "desk")))
    home.kinds()
    home.accounting.changed()
    assert home.accounting.decision.state == "lifted"
    assert Decided in home.kinds()
    assert asyncio.run(home.accounting.wake.wait(0))


def test_what_the_device_itself_costs_is_noted_by_direction() -> None:
    home = Home()
    home.accounting.charge(300, 20)
    home.accounting.charge(30, 2)
    ledger = home.keeper.ledger
    assert (ledger.management_received_bytes, ledger.management_sent_bytes) == (330, 22)


def test_a_card_is_read_into_the_ledger_and_another_names_the_one_before() -> None:
    home = Home(replace(PLAN, sim=("893201*",)))
    assert home.accounting.card("8932010000000000001", None) is None
    first = home.keeper.ledger.sim
    assert not home.keeper.ledger.foreign
    assert home.accounting.card("8933010000000000002", None) == first
    assert home.keeper.ledger.foreign


# -- the module's own counters -------------------------------------------------------------------------------------


def test_the_module_s_counters_are_compared_once_after_the_kernel_was_read() -> None:
    home = Home()
    home.survey(home.sample(0))
    home.accounting.witness(0, 0, home.clock.boot_s)
    assert not home.accounting.drifting
    home.accounting.take([])  # no link was read: it waits
    home.survey(home.sample(100 * MB))
    home.accounting.witness(1_300 * MB, 0, home.clock.boot_s)
    home.accounting.review()
    assert not home.accounting.drifting
    home.survey(home.sample(100 * MB))
    assert home.accounting.drifting
    assert home.received == 100 * MB


@pytest.mark.parametrize(("lost", "counted", "refused"), [(30 * MB, 130 * MB, 0), (3 * GB, 100 * MB, 1)])
def test_what_a_power_cut_lost_is_recovered_from_the_module_and_more_is_refused(
    lost: int, counted: int, refused: int
) -> None:
    home = Home()
    home.faults["witness.refused"] = 4  # of earlier cuts
    home.survey(home.sample(0))
    home.accounting.witness(0, 0, home.clock.boot_s)
    home.survey(home.sample(100 * MB))
    home.accounting.witness(100 * MB, 0, home.clock.boot_s)
    home.survey(home.sample(100 * MB))
    home.clock.reboot("boot-2", trust=Trust.SYNC)
    home.accounting.take_all(Survey("boot-2", home.clock.boot_s, 3, (Sample(Epoch("boot-2", 3, "wwan3"), 6.0, 0, 0),)))
    home.clock.advance(60)
    home.accounting.witness(100 * MB + lost, 0, home.clock.boot_s)
    sample = Sample(Epoch("boot-2", 3, "wwan3"), home.clock.boot_s, 0, 0)
    home.accounting.take_all(Survey("boot-2", home.clock.boot_s, 3, (sample,)))
    assert home.received == counted
    assert home.faults["witness.refused"] == 4 + refused


# -- the next sample -----------------------------------------------------------------------------------------------


def test_samples_come_faster_before_a_mark_and_while_much_is_unwritten() -> None:
    home = Home(SLOW_RADIO)
    assert home.accounting.interval_s() == LONGEST_INTERVAL_S
    near = Home(SLOW_RADIO, count=used(8 * GB - 10 * MB))
    assert near.accounting.interval_s() == sample_interval_s(10 * MB, SLOW_RADIO.max_bps) < LONGEST_INTERVAL_S
    home.keeper.saved = home.keeper.ledger
    home.survey(home.sample(0))
    home.survey(home.sample(COMMIT_BYTES - 10 * MB))
    unwritten = sample_interval_s(8 * GB, SLOW_RADIO.max_bps, COMMIT_BYTES - 10 * MB, home.keeper.latency_s)
    assert home.accounting.interval_s() == unwritten < 10
    home.keeper.latency_s = 0.3
    assert home.accounting.interval_s() == pytest.approx(unwritten - 0.2)


@pytest.mark.parametrize("what", ["period", "topup", "override"])
def test_no_sample_is_later_than_the_end_of_what_ends_by_time(what: str) -> None:
    home = Home(SLOW_RADIO)
    ends = home.accounting.period.end if what == "period" else home.clock.wall + timedelta(hours=1)
    if what == "topup":
        topup = TopUp("t1", 1, ends, "desk", home.clock.wall)
        home.keeper.count(replace(home.keeper.ledger, topups=(topup,)))
    if what == "override":
        home.keeper.count(replace(home.keeper.ledger, override=Override("lift", "a test", "desk", expires=ends)))
    home.clock.set_wall(ends - timedelta(seconds=12))
    assert home.accounting.interval_s() == pytest.approx(12 + AFTER_BOUNDARY_S)
    home.clock.set_wall(ends - timedelta(seconds=12), Trust.UNSYNC)
    assert home.accounting.interval_s() == LONGEST_INTERVAL_S
    home.clock.set_wall(ends - timedelta(seconds=0.5), Trust.SYNC)
    assert home.accounting.interval_s() == pytest.approx(0.5 + AFTER_BOUNDARY_S)
    home.clock.set_wall(ends + timedelta(seconds=1), Trust.SYNC)
    assert home.accounting.interval_s() == LONGEST_INTERVAL_S  # it is over already
