"""When a trouble begins and ends: one event each, whatever happens in between."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from agent.daemon.incident import Incident, follow
from agent.plan import Moment
from agent.plan.model import Trust

NOON = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)


def at(seconds: float, *, boot: str = "b", boot_s: float | None = None, trust: Trust = Trust.SYNC) -> Moment:
    return Moment(NOON + timedelta(seconds=seconds), 100 + seconds if boot_s is None else boot_s, boot, trust)


def story(*looks: tuple[str, Moment]) -> list[dict[str, Any]]:
    """What is told; between two looks the agent is restarted and reads what it kept."""
    kept: Incident | None = None
    events = []
    for cause, moment in looks:
        kept, told = follow(kept, cause, moment)
        kept = Incident.from_dict(json.loads(json.dumps(kept.to_dict() if kept else {})))
        if told is not None:
            events.append(told)
    return events


def test_a_trouble_has_one_beginning_and_one_end_with_its_length() -> None:
    events = story(
        ("none", at(0)), ("operator-outage", at(60)), ("operator-outage", at(300)), ("none", at(480)), ("none", at(510))
    )
    assert events == [
        {"state": "began", "cause": "operator-outage"},
        {
            "state": "ended",
            "cause": "operator-outage",
            "causes": ["operator-outage"],
            "since": "2026-11-29T12:01:00Z",
            "seconds": 420,
        },
    ]


def test_what_a_recovery_step_does_on_its_way_is_no_trouble_of_its_own() -> None:
    events = story(
        ("operator-outage", at(0)), ("apn", at(30)), ("no-coverage", at(60)), ("apn", at(90)), ("none", at(120))
    )
    assert [(event["state"], event["cause"]) for event in events] == [
        ("began", "operator-outage"),
        ("changed", "apn"),
        ("changed", "no-coverage"),
        ("ended", "operator-outage"),
    ]
    assert events[-1]["causes"] == ["operator-outage", "apn", "no-coverage"]


def test_a_silence_is_reckoned_from_its_beginning_and_not_from_its_name() -> None:
    kept, _ = follow(None, "operator-outage", at(90), silent_s=90)
    for moment in (at(420), at(420, boot="c", boot_s=5)):
        _, told = follow(kept, "none", moment)
        assert told is not None
        assert (told["since"], told["seconds"]) == ("2026-11-29T12:00:00Z", 420)


def test_a_clock_that_is_set_in_between_makes_no_trouble_longer() -> None:
    events = story(("apn", at(0, boot_s=100, trust=Trust.UNSYNC)), ("none", at(9_000, boot_s=400)))
    assert events[1]["seconds"] == 300


@pytest.mark.parametrize(
    ("first", "second", "seconds"),
    [(Trust.SYNC, Trust.NITZ, 600), (Trust.UNSYNC, Trust.SYNC, None), (Trust.SYNC, Trust.UNSYNC, None)],
)
def test_over_a_reboot_the_length_is_told_where_both_clocks_were_right(
    first: Trust, second: Trust, seconds: int | None
) -> None:
    events = story(("usb-gone", at(0, trust=first)), ("none", at(600, boot="c", boot_s=30, trust=second)))
    assert events[1]["seconds"] == seconds


@pytest.mark.parametrize(
    "kept",
    [{}, {"causes": []}, {"causes": 5, "boot_id": "b"}, {"causes": ["apn"], "boot_id": "b", "boot_s": 1, "wall": "x"}],
)
def test_what_cannot_be_read_is_no_incident(kept: dict[str, Any]) -> None:
    assert Incident.from_dict(kept) is None
