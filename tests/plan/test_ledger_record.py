from __future__ import annotations

import json
from datetime import timedelta

import pytest

from agent.errors import PlanError
from agent.plan import Ledger, Override, TopUp, Trust, override, top_up
from tests.plan.conftest import NOON, Household


def full(home: Household) -> Ledger:
    """A ledger in which every field holds something."""
    home.use(1000, 10)
    home.use(2**60)
    home.ledger = top_up(home.ledger, TopUp("t", 5, NOON + timedelta(days=99), "support", NOON), home.plan)
    home.ledger = override(home.ledger, Override("lift", "goodwill", "support", NOON + timedelta(days=90)))
    home.clock.advance(25 * 86_400)
    home.look(received_bytes=1000)
    home.clock.set_trust(Trust.UNSYNC)
    home.received = 1500
    home.use(8)
    return home.ledger


def test_there_and_back_through_json(home: Household) -> None:
    ledger = full(home)
    assert ledger.previous is not None
    assert ledger.pending
    assert ledger.hours
    assert Ledger.from_dict(json.loads(json.dumps(ledger.to_dict()))) == ledger


def test_the_row_of_a_quiet_household_is_small(home: Household) -> None:
    home.use(1000)
    assert len(json.dumps(home.ledger.to_dict(), separators=(",", ":"))) < 1000


def test_a_key_of_a_newer_agent_is_ignored(home: Household) -> None:
    assert Ledger.from_dict({**home.ledger.to_dict(), "colour": "blue"}) == home.ledger


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("received_bytes", "many", "ledger.received_bytes"),
        ("received_bytes", True, "ledger.received_bytes"),
        ("latest", "yesterday", "ledger.latest"),
        ("latest", "2026-11-10T12:00:00", "no offset"),
        ("period", {}, "ledger.period.start is missing"),
        ("links", [{"sample": 3}], "ledger.links[0].sample"),
    ],
)
def test_nonsense_names_its_key(home: Household, key: str, value: object, named: str) -> None:
    with pytest.raises(PlanError) as caught:
        Ledger.from_dict({**home.ledger.to_dict(), key: value})
    assert named in str(caught.value)
