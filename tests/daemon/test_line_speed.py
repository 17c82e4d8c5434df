"""A line faster than the plan says, and a counter that jumps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import cast

from agent.daemon.accounting import Accounting
from agent.daemon.line_speed import QUIET_S, REASON, LineSpeed
from agent.events import Occurrence, SpeedJudged
from agent.keeper import Keeper
from agent.plan import Epoch, Ledger, Plan, Sample, Survey
from agent.store import Store
from tests.manual_clock import ManualClock

GIGABIT = 125_000_000


class Meter:
    """A link, and the accounting that reads it."""

    def __init__(self) -> None:
        self.clock, self.faults = ManualClock(), Counter[str]()
        self.received = 0
        fresh = Ledger.new(Plan(), self.clock.now())
        self.alarms: list[Mapping[str, str | int] | None] = []
        keeper = Keeper(cast(Store, None), self.clock, Plan(), fresh, self.faults)
        self.accounting = Accounting(Plan(), self.clock, keeper, self.faults, self.hear)
        self.read(0, 0)

    def hear(self, event: Occurrence) -> None:
        if isinstance(event, SpeedJudged):
            self.alarms.append(event.details)

    def read(self, received: int, seconds: float) -> None:
        self.clock.advance(seconds)
        self.received += received
        now = self.clock.now()
        sample = Sample(Epoch(now.boot_id, 3, "wwan0"), now.boot_s, self.received, 0)
        self.accounting.take_all(Survey(now.boot_id, now.boot_s, 3, (sample,)))


def test_a_line_faster_than_the_plan_says_is_counted_and_raises_an_alarm() -> None:
    meter = Meter()
    for _ in range(60):
        meter.read(GIGABIT // 4, 0.25)
    assert meter.accounting.ledger.total_received_bytes == 15 * GIGABIT
    assert meter.alarms == [{"reason": REASON, "bps": 8 * GIGABIT, "refused_bytes": 0}]
    meter.read(0, QUIET_S - 1)
    assert len(meter.alarms) == 1
    meter.read(0, 6)
    assert meter.alarms[1:] == [None]


def test_what_passed_before_the_start_is_no_speed() -> None:
    """An hour's bytes come with the first reading."""
    meter = Meter()
    meter.accounting.speed = LineSpeed(Plan(), meter.faults, meter.hear)
    meter.read(60 * GIGABIT, 3600)
    meter.read(GIGABIT, 30)
    assert meter.accounting.ledger.total_received_bytes == 61 * GIGABIT
    assert meter.alarms == []


def test_what_is_beyond_belief_is_reported_in_bytes() -> None:
    meter = Meter()
    for _ in range(6):
        meter.read(10 * GIGABIT, 2)
    meter.read(0, 2)
    counted = meter.accounting.ledger.total_received_bytes
    assert 15 * GIGABIT < counted < 60 * GIGABIT
    assert meter.faults["counter.refused_bytes"] == 60 * GIGABIT - counted
    assert len(meter.alarms) == 1


def test_a_glitch_is_a_fault_and_no_alarm() -> None:
    meter = Meter()
    meter.read(10**13, 30)
    meter.read(-(10**13), 30)
    assert meter.faults["counter.refused"] == 1
    assert (meter.accounting.ledger.total_received_bytes, meter.alarms) == (0, [])
