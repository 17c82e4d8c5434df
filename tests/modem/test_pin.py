"""A PIN is tried at most once per value and never with the last attempt."""

from __future__ import annotations

import pytest

from agent.modem.pin import KEEP, fingerprint, refusal, remembered


@pytest.mark.parametrize(
    ("lock", "pin", "attempts", "tried", "may"),
    [
        ("sim-pin", "1234", 3, [], True),
        ("sim-pin", "1234", 2, [], True),
        ("sim-pin", "1234", 1, [], False),
        ("sim-pin", "1234", 0, [], False),
        ("sim-pin", "1234", None, [], False),
        ("sim-puk", "1234", 3, [], False),
        ("none", "1234", 3, [], False),
        ("sim-pin", "12a4", 3, [], False),
        ("sim-pin", "", 3, [], False),
        ("sim-pin", "123456789", 3, [], False),
        ("sim-pin", "1234", 3, [fingerprint("1234", "8932")], False),
        ("sim-pin", "1234", 3, [fingerprint("4321", "8932")], True),
        ("sim-pin", "1234", 3, [fingerprint("1234", "another card")], True),
    ],
)
def test_when_a_pin_may_be_tried(lock: str, pin: str, attempts: int | None, tried: list[str], may: bool) -> None:
    assert (refusal(lock, pin, attempts, "8932", tried) == "") is may


def test_the_pin_itself_is_never_kept() -> None:
    kept = remembered([], "1234", None)
    assert "1234" not in str(kept)
    assert refusal("sim-pin", "1234", 3, None, kept) == "this PIN was tried before and is not tried again"
    for value in range(50):
        kept = remembered(kept, f"{value:04}", None)
    assert len(kept) == KEEP
