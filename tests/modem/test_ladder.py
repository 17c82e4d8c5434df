"""The recovery ladder as tables and long runs: no reset for nothing, budgets, pauses, reboots."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.modem.cause import CAUSES
from agent.modem.ladder import BUDGET, DAY_S, HEALTHY_S, PAUSE_S, REMEDIES, RUNGS, History, decide


def live(cause: str, seconds: float, history: History | None = None, step_s: float = 30.0) -> tuple[list[str], History]:
    """The rungs taken while a cause lasts."""
    history = history or History()
    taken: list[str] = []
    for _ in range(int(seconds / step_s)):
        decision, history = decide(cause, history, step_s)
        if decision.rung:
            taken.append(decision.rung)
    return taken, history


@pytest.mark.parametrize("cause", [c for c in CAUSES if c not in REMEDIES])
def test_nothing_is_done_for_what_no_reset_mends(cause: str) -> None:
    taken, _ = live(cause, 3 * DAY_S, step_s=300)
    assert taken == []


def test_the_causes_that_are_mended_are_the_five() -> None:
    assert set(REMEDIES) == {"modem-hung", "usb-gone", "sim-missing", "apn", "operator-outage"}
    assert set(REMEDIES) < set(CAUSES)


def test_a_hung_module_is_put_off_the_bus_then_without_power() -> None:
    taken, _ = live("modem-hung", 3600)
    assert taken[:2] == ["usb", "power"]


def test_a_lost_bearer_goes_up_the_ladder() -> None:
    taken, _ = live("apn", 1200)
    assert taken == ["attach", "radio", "module"]


def test_a_passing_fault_is_let_pass() -> None:
    taken, history = live("apn", 150)
    taken_well, history = live("none", 3600, history)
    assert taken + taken_well == []
    assert history.cause == "none"


def test_a_flapping_line_stays_on_its_rung() -> None:
    taken, history = live("apn", 240)
    assert taken == ["attach"]
    _, history = live("none", HEALTHY_S - 60, history)  # well, but not for long
    taken, history = live("apn", 60, history)
    assert taken == ["radio"]  # the same incident goes on, not a new one that begins at the bottom


@pytest.mark.parametrize("cause", sorted(REMEDIES))
def test_no_budget_is_ever_passed_in_any_day(cause: str) -> None:
    history, steps = History(), []
    for _ in range(int(4 * DAY_S / 60)):
        decision, history = decide(cause, history, 60.0)
        if decision.rung:
            steps.append((history.uptime_s, decision.rung))
    assert steps
    for begin, _ in steps:
        window = Counter(rung for at, rung in steps if begin <= at < begin + DAY_S)
        assert all(window[rung] <= BUDGET[rung] for rung in RUNGS)


def test_a_reboot_refills_no_budget() -> None:
    history, count = History(), 0
    for _ in range(200):  # the agent is killed ten minutes after each start
        taken, history = live("modem-hung", 600, history)
        count += taken.count("power")
        history = History.from_dict(history.to_dict())
    days = 200 * 600 / DAY_S
    assert count <= BUDGET["power"] * (days + 1)


def test_the_pause_doubles() -> None:
    history, at = History(), []
    for _ in range(int(DAY_S / 30)):
        decision, history = decide("usb-gone", history, 30.0)
        if decision.rung:
            at.append(history.uptime_s)
    gaps = [later - earlier for earlier, later in pairwise(at)]
    assert gaps[0] >= PAUSE_S["power"]
    assert all(later >= 2 * earlier - 60 for earlier, later in pairwise(gaps))


def test_a_device_without_a_way_takes_none() -> None:
    decision, _ = decide(
        "usb-gone", History(cause="usb-gone", uptime_s=1000, well_since_s=None), 1, available=("attach",)
    )
    assert decision.rung is None


@pytest.mark.parametrize(
    "stored", [{}, {"steps": "x"}, {"steps": [[1, 2]]}, {"uptime_s": None}, {"steps": [["a", "usb", "c"]]}]
)
def test_a_damaged_memory_is_forgotten(stored: Any) -> None:
    assert History.from_dict(stored).steps == ()


@settings(max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(CAUSES), st.floats(0, 7200)), max_size=80))
def test_any_story_keeps_the_budgets_and_survives_storage(story: list[tuple[str, float]]) -> None:
    history = History()
    for cause, elapsed in story:
        decision, history = decide(cause, history, elapsed)
        assert decision.rung is None or decision.rung in REMEDIES[cause][1]
        counted = Counter(step.rung for step in history.steps)
        assert all(counted[rung] <= BUDGET[rung] for rung in RUNGS)
        assert History.from_dict(history.to_dict()).to_dict() == history.to_dict()
