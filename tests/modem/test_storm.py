"""Half an hour of storms, hangs and re-enumerations in simulated time; the whole day is tests/bench/at_storm.py."""

from __future__ import annotations

from tests.modem.storm import POLL_S, storm


def test_storms_cost_no_reading_and_no_descriptor() -> None:
    result = storm(0.5, seed=4)
    assert result.wrong == []
    assert result.readings >= 8
    assert sum(result.events.values()) >= 2
    assert result.worst_gap_s <= 2 * POLL_S
    assert result.descriptors_after <= result.descriptors_before
