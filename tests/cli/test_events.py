"""What `log` says of each event, in words, at both widths; and that every event the agent writes has words."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

import agent
from agent.cli import events, screen
from agent.cli.times import ZONE
from agent.daemon.incident import EVENT
from agent.daemon.tasks.reporting import EVENT_NAMES
from agent.modem.cause import CAUSES
from agent.plan import Ledger, Moment, Plan, decide
from agent.plan.model import Trust

GB = 1_000_000_000
NOTICE = {"percent": 100, "UsedBytes": 40 * GB, "LimitBytes": 40 * GB, "PeriodStart": "2026-11-01"}
OUTAGE = {"cause": "operator-outage", "causes": ["operator-outage"]}

WORDS: list[tuple[str, dict[str, Any], str]] = [
    ("modem-context", {"apn": "orange.be"}, "29 Nov 2026 19:09 the APN orange.be was set in the module"),
    (
        "sim",
        {"state": "swapped", "ICCID": "893202*****11", "PreviousICCID": "893201*****22", "Foreign": True},
        "29 Nov 2026 19:09 another SIM: 893202*****11 in place of 893201*****22; it is not the contract's: its bytes "
        "are counted apart",
    ),
    ("stalled", {"task": "counting"}, "29 Nov 2026 19:09 a part of the agent makes no progress: counting"),
    (
        "fault",
        {"task": "counting", "reason": "no progress"},
        "29 Nov 2026 19:09 the agent ended itself, to be started anew: counting: no progress",
    ),
    ("boot", {"version": "0.1.0"}, "29 Nov 2026 19:09 agent 0.1.0 started"),
    (
        "trouble",
        {"state": "began", "cause": "operator-outage"},
        "29 Nov 2026 19:09 trouble begins: no internet (operator outage)",
    ),
    ("trouble", {"state": "changed", "cause": "sim-missing"}, "29 Nov 2026 19:09 trouble is now: no internet (no SIM)"),
    (
        "trouble",
        {"state": "ended", **OUTAGE, "since": "2026-11-29T18:09:00Z", "seconds": 51},
        "29 Nov 2026 19:09 no internet (operator outage), 51 s",
    ),
    (
        "trouble",
        {"state": "ended", **OUTAGE, "since": "2026-11-29T18:02:00Z", "seconds": 420},
        "29 Nov 2026 19:02-19:09 no internet (operator outage), 7 min",
    ),
    (
        "trouble",
        {"state": "ended", **OUTAGE, "since": "2026-11-28T22:59:00Z", "seconds": 69_000},
        "28 Nov 2026 23:59 - 29 Nov 2026 19:09 no internet (operator outage), 19 h 10 min",
    ),
    (
        "trouble",
        {"state": "ended", "cause": "apn", "causes": ["apn", "no-coverage"], "since": None, "seconds": None},
        "29 Nov 2026 19:09 no internet (no data connection); then no internet (no coverage), for an unknown time",
    ),
    (
        "throttle",
        {"kind": "throttled", **NOTICE, "reason": "100 % used, past 100 %", "ShapingRate": 512_000},
        "29 Nov 2026 19:09 slowed to 512 kbit/s: 40 GB used",
    ),
    (
        "throttle",
        {"kind": "throttled", **NOTICE, "reason": "abuse (by support)", "ShapingRate": 512_000},
        "29 Nov 2026 19:09 slowed to 512 kbit/s: abuse (by support)",
    ),
    (
        "throttle",
        {"kind": "restored", **NOTICE, "reason": "0 % used", "ShapingRate": -1},
        "29 Nov 2026 19:09 fast again (unlimited): 0 % used",
    ),
    (
        "warning",
        {
            "kind": "warning",
            **NOTICE,
            "percent": 80,
            "UsedBytes": 32 * GB + 512_000_000,
            "reason": "",
            "ShapingRate": 1,
        },
        "29 Nov 2026 19:09 80 % used: 32.51 GB of 40 GB",
    ),
    (
        "new-period",
        {"kind": "new-period", **NOTICE, "reason": "", "ShapingRate": 1},
        "29 Nov 2026 19:09 a new billing period: 40 GB until its end",
    ),
    (
        "expired",
        {"kind": "expired", **NOTICE, "reason": "5 % used; contract ended on 2026-11-01", "ShapingRate": 1},
        "29 Nov 2026 19:09 the contract has ended: 5 % used; contract ended on 2026-11-01",
    ),
    (
        "modem-reset",
        {"level": "attach", "cause": "operator-outage", "reason": "operator-outage for 130 s: step attach"},
        "29 Nov 2026 19:09 mobile data taken off and on again: no internet (operator outage)",
    ),
    ("modem-reset", {"level": "radio", "by": "command"}, "29 Nov 2026 19:09 radio switched off and on: by command"),
    (
        "command",
        {"name": "plan.topup", "source": "local:root (uid 0)", "role": "admin", "reads": False},
        "29 Nov 2026 19:09 command plan.topup, by local:root (uid 0) (admin)",
    ),
    (
        "store",
        {"state": "damaged", "reason": "the last good generation is used", "set_aside": "agent.db.bad"},
        "29 Nov 2026 19:09 the database was damaged, it is kept as agent.db.bad: the last good generation is used",
    ),
    ("of-tomorrow", {"level": 7}, "29 Nov 2026 19:09 of-tomorrow: level=7"),  # an agent of another version
    ("throttle", {"kind": "throttled"}, "29 Nov 2026 19:09 throttle: kind=throttled"),  # and a field that is missing
    ("trouble", {"state": "ended", "since": "x"}, "29 Nov 2026 19:09 trouble: state=ended, since=x"),
]


def event(name: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"time": "2026-11-29T18:09:00Z", "clk": "sync", "boot_s": 1.0, "name": name, "data": data}


@pytest.fixture(autouse=True)
def _home() -> None:
    ZONE.reckon_by(lambda: "Europe/Brussels")


@pytest.mark.parametrize(("name", "data", "words"), WORDS)
def test_each_event_in_words(name: str, data: dict[str, Any], words: str) -> None:
    shown = events.line(event(name, data))
    assert shown == words
    assert shown.isascii()
    for columns in (80, 40):
        assert all(len(line) <= columns for line in screen.wrap(shown, columns, indent="  "))


def test_a_clock_that_was_not_right_is_named() -> None:
    told = {**event("boot", {"version": "1"}), "clk": "unsync"}
    assert events.line(told) == "29 Nov 2026 19:09 (unsync) agent 1 started"


@pytest.mark.parametrize(
    ("data", "hidden"),
    [
        ({"name": "modem.at", "reads": True}, True),
        ({"name": "modem.at", "reads": False}, False),
        ({"name": "modem.at"}, True),  # of an agent that did not yet say
        ({"name": "plan.topup"}, False),
        ({"name": "diag.speed", "reads": True}, True),
    ],
)
def test_commands_that_only_read_are_told_apart(data: dict[str, Any], hidden: bool) -> None:
    assert events.reads(event("command", data)) is hidden


def test_every_cause_has_words() -> None:
    assert set(events.CAUSES) == set(CAUSES) - {"none"}


def written() -> set[str]:
    """The names of all events that the agent's own code hands to `event(`, and of the plan's notices."""
    names = {EVENT, "new-period", "expired", *EVENT_NAMES.values()}
    for folder in ("daemon", "commands"):
        for file in (Path(agent.__file__).parent / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "event":
                    first = node.args[0] if node.args else None
                    if isinstance(first, ast.Constant) and isinstance(first.value, str):
                        names.add(first.value)
    return names


def test_every_event_that_the_agent_writes_has_words() -> None:
    assert {"boot", "command", "modem-reset", "store"} < written()
    assert written() == set(events.EVENTS)


def test_the_reason_of_a_throttle_by_use_is_the_policy_s_own() -> None:
    moment = Moment(datetime(2026, 11, 29, tzinfo=timezone.utc), 1.0, "b", Trust.SYNC)
    ledger = replace(Ledger.new(Plan(), moment), received_bytes=Plan().allowance_bytes, fresh=False)
    decision = decide(ledger, Plan(), moment)
    data = {"kind": "throttled", **NOTICE, "reason": decision.reason, "ShapingRate": decision.rates.down_bps}
    assert events.line(event("throttle", data)).endswith("slowed to 512 kbit/s: 40 GB used")
