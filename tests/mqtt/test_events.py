"""The published list of events and alarms is the code's."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import jsonschema
import pytest

from agent.daemon.incident import follow
from agent.daemon.tasks.reporting import EVENT_NAMES
from agent.plan import Moment, Trust
from agent.traffic.uplink import Mismatch
from tests.mqtt import contract, events

NUMBERING = {"v": 1, "boot": "9f1c2e34", "seq": 1, "up": 1, "time": "2026-11-22T08:00:00Z", "clk": "sync"}


@pytest.mark.parametrize("kind", ["events", "alarms"])
def test_what_is_sent_is_listed_and_what_is_listed_is_sent(kind: str) -> None:
    sent = {name for each in events.sent() if each.kind == kind for name in each.names}
    assert sent == set(events.known()[kind])


def test_every_field_that_is_sent_is_listed() -> None:
    for each in events.sent():
        for name in each.names:
            listed = set(events.known()[each.kind][name]["fields"])
            assert each.fields <= listed, f"{each.where}: {name} lists {sorted(listed)}"


def test_the_readme_shows_the_list() -> None:
    """`python -m tests.mqtt.events` writes it."""
    found = events.BLOCK.search(events.README.read_text(encoding="utf-8"))
    assert found is not None
    assert found[0] == events.tables()


def test_a_plan_can_notice_nothing_else() -> None:
    """The kinds of agent/plan/notices.py, each under the name that it is sent by."""
    sent = {EVENT_NAMES.get(k, k) for k in ("warning", "throttled", "restored", "new-period", "expired")}
    assert sent == events.HANDED_ON["EVENT_NAMES.get(notice.kind, notice.kind)"]


def test_a_troubles_course_is_as_listed(moment: Moment) -> None:
    begun, told = follow(None, "silent", moment)
    changed, again = follow(begun, "no-address", moment)
    _, ended = follow(changed, "none", moment)
    for each in (told, again, ended):
        assert each is not None
        events.check("events", "trouble", each)


def test_a_mismatch_is_as_listed() -> None:
    events.check("alarms", "wan-interface", Mismatch("other", ("eth0",), ("wwan0",)).to_dict())


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("e/throttled", {}),
        ("e/boot", {}),
        ("e/boot", {"version": "1", "extra": 1}),
        ("e/boot", {"version": 1}),
        ("a/shapers", {"state": "cleared"}),
        ("a/store", {"state": "raised", "reason": "read-only"}),
        ("a/store", {"state": "cleared", "reason": "read-only"}),
    ],
)
def test_what_is_not_listed_is_found(topic: str, body: dict[str, Any]) -> None:
    with pytest.raises((AssertionError, jsonschema.ValidationError)):
        contract.check(f"modem-agent/v1/d/{topic}", json.dumps({**NUMBERING, **body}).encode())


@pytest.fixture
def moment() -> Moment:
    return Moment(datetime(2026, 11, 22, tzinfo=timezone.utc), 100.0, "9f1c2e34-0000", Trust.SYNC)
