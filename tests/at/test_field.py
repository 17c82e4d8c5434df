"""Replies as they came from modules in the field, identifiers replaced, and forms of the same kinds.

`data/field.jsonl` holds a row a reply, or a row a poll of several commands; `data/public.jsonl` likewise, each with the
public report, manual or source file that shows it, whose identities and networks are replaced where they are personal.
`right` names the fields that are judged: a null is a value that can't be known, and a number in its place is as wrong
as another number.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.at import decode, parse_command
from agent.modem.poll import assemble
from agent.modem.reading import Identity

DATA = Path(__file__).parent / "data"
ROWS: list[dict[str, Any]] = [
    json.loads(line)
    for name in ("field.jsonl", "public.jsonl")
    for line in (DATA / name).read_text("utf-8").splitlines()
]


def differences(found: Any, right: Any, path: str = "") -> list[str]:
    """Where `found` is not what `right` says, field by field."""
    if isinstance(right, dict):
        held = found if isinstance(found, dict) else {}
        return [d for key, value in right.items() for d in differences(held.get(key), value, f"{path}.{key}")]
    if isinstance(right, list) and right and isinstance(right[0], dict):
        if not isinstance(found, (list, tuple)) or len(found) != len(right):
            return [f"{path}: {found} for {right}"]
        return [d for i, value in enumerate(right) for d in differences(found[i], value, f"{path}.{i}")]
    near = isinstance(right, (int, float)) and isinstance(found, (int, float)) and abs(found - right) < 0.05
    return [] if near or found == right else [f"{path}: {found} for {right}"]


def polled(answers: list[list[str]]) -> Any:
    """The daemon's reading of one poll."""
    readings: dict[str, Any] = {
        parse_command(command).name: decode(command, reply)["reading"] for command, reply in answers
    }
    return assemble(readings, at_boot_s=0.0).to_dict()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.get('command', 'poll')[:30]}-{str(row['right'])[:40]}")
def test_a_reply_from_the_field_means_what_an_expert_says(row: dict[str, Any]) -> None:
    found = polled(row["poll"]) if "poll" in row else decode(row["command"], row["reply"])["reading"]
    assert (found is None) == (row["right"] is None)
    assert differences(found, row["right"]) == []


@pytest.mark.parametrize(
    ("command", "carriers"),
    [
        (row["command"], row["right"]["carriers"])
        for row in ROWS
        if ";" not in row.get("command", ";") and "carriers" in (row["right"] or {})
    ],
)
def test_carriers_reach_the_daemons_reading(command: str, carriers: list[dict[str, Any]]) -> None:
    """For every maker whose answer `decode` can read."""
    rows = [row for row in ROWS if row.get("command") == command and row["right"]]
    row = next(row for row in rows if row["right"].get("carriers") == carriers)
    signal = polled([[command, row["reply"]]])["signal"]
    assert differences(signal["carriers"], carriers) == []


@pytest.mark.parametrize(
    ("maker", "technology"),
    [("Quectel", "LTE"), ("Telit", "LTE"), ("SIMCOM INCORPORATED", None), ("", None)],
)
def test_an_access_technology_of_8_is_what_the_maker_means_by_it(maker: str, technology: str | None) -> None:
    answer: Any = decode("AT+CEREG?", '\r\n+CEREG: 2,1,"1F2E","1A2B3C4",8\r\n\r\nOK\r\n')["reading"]
    reading = assemble({"+CEREG": answer}, at_boot_s=0.0, identity=Identity(manufacturer=maker))
    assert reading.access_technology == technology
