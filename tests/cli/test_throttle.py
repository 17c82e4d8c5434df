"""`throttle` says when what it does will end: in its help and in its answer."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from agent.cli import times
from agent.cli.verbs import throttle
from tests.cli import sample

LATER = "2026-11-29T12:00:00Z"


@pytest.fixture(autouse=True)
def _zone(monkeypatch: pytest.MonkeyPatch) -> None:
    zone = times._Zone()
    zone.reckon_by(lambda: "Europe/Brussels")
    monkeypatch.setattr(times, "ZONE", zone)


@pytest.mark.parametrize(
    ("mode", "expires", "said"),
    [
        ("lift", None, "1 Dec 2026 00:00, when the new period begins"),
        ("force", None, "throttle auto"),
        ("suspend", None, "throttle auto"),
        ("force", LATER, "29 Nov 2026 13:00"),
        ("lift", LATER, "29 Nov 2026 13:00"),
    ],
)
def test_the_answer_says_until_when(mode: str, expires: str | None, said: str) -> None:
    assert said in (throttle.until(mode, expires, sample.status()) or "")


def test_auto_ends_what_was_and_begins_nothing() -> None:
    assert throttle.until("auto", None, sample.status()) is None


def test_the_help_says_what_a_new_period_ends_and_what_not() -> None:
    words = " ".join(CliRunner().invoke(throttle.command, ["--help"]).output.split())
    assert "lift gives the plan's full speed past the allowance, until --for or the end of the period" in words
    assert "both last until --for or 'throttle auto', through every new period" in words
