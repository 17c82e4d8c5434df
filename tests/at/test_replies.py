"""Replies written from the standards, the vendors' manuals and what forums show, each with all that it must read as.

`data/replies.jsonl` holds a row a reply: what was asked, what came, the final result code, the reading without what is
unknown (an empty object: understood, and nothing known), and the lines that are news or nobody's.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.at import decode

ROWS: list[dict[str, Any]] = [
    json.loads(line) for line in (Path(__file__).parent / "data" / "replies.jsonl").read_text("utf-8").splitlines()
]
# Repetitions of the lines themselves, and indices that stand beside their decibels.
_BESIDE = ("lines", "response", "rsrp_index", "rsrq_index")


def known(value: Any) -> Any:
    """A reading without its unknown fields, at every depth."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [known(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: known(item) for key, item in value.items() if key not in _BESIDE}
    return {key: item for key, item in kept.items() if item is not None and item not in ([], {})}


def _id(row: dict[str, Any]) -> str:
    return f"{row['command'][:24]}-{row['reply'].strip()[:40]!r}"


@pytest.mark.parametrize("row", ROWS, ids=_id)
def test_a_reply_reads_as_an_expert_reads_it(row: dict[str, Any]) -> None:
    found = decode(row["command"], row["reply"])
    assert (found["final"], found["code"]) == (row["final"], row.get("code"))
    assert known(found["reading"]) == row["reading"]
    assert (found["unsolicited"], found["stray"]) == (row.get("unsolicited", []), row.get("stray", []))


FRAMINGS: dict[str, Callable[[str, str], str]] = {
    "echo": lambda command, reply: f"{command}\r{reply}",
    "line feeds alone": lambda command, reply: reply.replace("\r\n", "\n"),
    "carriage returns alone": lambda command, reply: reply.replace("\r\n", "\r"),
    "doubled carriage returns": lambda command, reply: reply.replace("\r\n", "\r\r\n"),
    "leading noise": lambda command, reply: "\0\0\0" + reply,
}


@pytest.mark.parametrize("framing", FRAMINGS)
def test_the_framing_of_a_reply_changes_nothing(framing: str) -> None:
    for row in ROWS:
        if row["command"].startswith("AT") and row["reply"].startswith("\r\n"):
            framed = FRAMINGS[framing](row["command"].strip(), row["reply"])
            assert decode(row["command"], framed) == decode(row["command"], row["reply"]), row["command"]


def test_a_command_is_known_in_every_spelling() -> None:
    for row in ROWS:
        command = row["command"]
        if command.startswith("AT+") and command.strip() == command and '"' not in command:
            wanted = decode(command, row["reply"])
            for spelled in (command.lower(), command + "\r", " " + command, command[2:], "AT " + command[2:]):
                assert decode(spelled, row["reply"]) == wanted, spelled
