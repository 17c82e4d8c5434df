"""A window of counters: no counter twice, whatever the order, and two desks side by side."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from agent.store.counter_window import SIZE, CounterWindow

COUNTERS = st.lists(st.integers(0, 2**53 - 1) | st.integers(0, 200), max_size=300)


@given(COUNTERS)
def test_no_counter_is_fresh_twice(counters: list[int]) -> None:
    window, seen = CounterWindow(), set[int]()
    for counter in counters:
        if window.fresh(counter):
            assert counter not in seen
            seen.add(counter)
            window = window.with_used(counter)
        assert not any(map(window.fresh, seen))
        assert len(window.used) <= SIZE


@given(COUNTERS, COUNTERS)
def test_what_either_of_two_has_used_is_used(one: list[int], other: list[int]) -> None:
    windows = CounterWindow().with_used(*one), CounterWindow().with_used(*other)
    joined = windows[0].joined(windows[1])
    assert not any(map(joined.fresh, one + other))
    assert CounterWindow.from_list(joined.to_list()) == joined


def test_a_desk_whose_clock_is_behind_goes_on() -> None:
    window = CounterWindow()
    for step in range(500):
        for counter in (1_796_000_000_000 + 60_000 * step, 1_796_000_000_000 + 60_000 * step - 90_000):
            assert window.fresh(counter + step)
            window = window.with_used(counter + step)
