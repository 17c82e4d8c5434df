"""The alarm for two meters that stay apart names the cause that can be seen from the device."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest

from agent.daemon.meter_difference import ALARM, KEPT, MeterDifference
from agent.plan import Ledger, OperatorCount, Plan
from tests.manual_clock import ManualClock
from tests.mqtt import events

NOON = datetime(2026, 11, 10, 12, tzinfo=timezone.utc)
COUNT = OperatorCount("pcrf", NOON, 22_000_000_000, follow=True, own_bytes=20_000_000_000, apart=3)


@pytest.mark.parametrize(
    ("rsrp", "reason"), [(-118, "bad reception"), (-104, "bad reception"), (-85, "not reception"), (None, "not known")]
)
def test_reception_of_those_hours_is_named(rsrp: float | None, reason: str) -> None:
    clock, meters = ManualClock(NOON), MeterDifference()
    for _ in range(3 * KEPT):
        meters.note(rsrp, clock.now())
        clock.advance(900)
    ledger = replace(Ledger.new(Plan(), clock.now()), operator_counts=(COUNT,))
    details = meters.details(ledger)
    assert details is not None
    assert reason in str(details["reason"])
    events.check("alarms", ALARM, details)


def test_what_was_heard_days_ago_is_forgotten() -> None:
    clock, meters = ManualClock(NOON), MeterDifference()
    for rsrp in [*[-120.0] * KEPT, *[-80.0] * KEPT]:
        meters.note(rsrp, clock.now())
        clock.advance(900)
    details = meters.details(replace(Ledger.new(Plan(), clock.now()), operator_counts=(COUNT,)))
    assert details is not None
    assert "not reception" in str(details["reason"])


def test_meters_that_agree_raise_nothing() -> None:
    ledger = Ledger.new(Plan(), ManualClock(NOON).now())
    assert MeterDifference().details(ledger) is None
    assert MeterDifference().details(replace(ledger, operator_counts=(replace(COUNT, apart=2),))) is None
