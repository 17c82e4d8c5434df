"""PRIVACY.md lists every field that is stored, sent or configured, once: one that is added has to be accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from agent.store.history import DAYS_KEPT, HOURS_KEPT
from tests.selfcheck import privacy


@pytest.mark.parametrize(
    ("heading", "fields"),
    [
        ("Stored on the device", privacy.stored),
        ("Sent to the operator", privacy.sent),
        ("In the configuration", privacy.configured),
    ],
)
def test_every_field_is_accounted_for_once(heading: str, fields: Callable[[], Iterator[str]]) -> None:
    known, listed = set(fields()), Counter(privacy.listed(heading))
    assert known - set(listed) == set(), "not in PRIVACY.md"
    assert set(listed) - known == set(), "in PRIVACY.md alone"
    assert [name for name, times in listed.items() if times > 1] == []


def test_every_row_says_why_how_long_and_who() -> None:
    rows = [line for line in privacy.TEXT.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert len(rows) > 40
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        assert len(cells) == 4, row
        assert all(cells), row


def test_the_ages_written_there_are_the_codes() -> None:
    text = privacy.TEXT.read_text(encoding="utf-8")
    assert f"{HOURS_KEPT.days} days" in text
    assert (DAYS_KEPT.days // 31, "13 months" in text) == (13, True)
