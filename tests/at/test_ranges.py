"""A figure past its field is none: whatever number stands in a reply, no reading holds one that cannot be.

Every number of every kind of reply is replaced by the values that modules print where nothing was measured, and by ones
that no field can hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from agent.at import decode, parse_command
from tests.at.test_replies import ROWS

# Widest in any technology: 38.133 10.1.6, 10.1.11 and 10.1.16, 25.133 9.1.1 and 9.1.2, 38.104 5.4.2.1, 23.003, 24.008.
RANGES: dict[str, tuple[float, float]] = {
    "rsrp_dbm": (-160, -30),
    "rsrq_db": (-60, 30),
    "sinr_db": (-60, 60),
    "rssi_dbm": (-140, -1),
    "rscp_dbm": (-140, -1),
    "ecio_db": (-60, 0),
    "bandwidth_mhz": (0.2, 400),
    "temperature_c": (-60, 150),
    "pci": (0, 1007),
    "psc": (0, 511),
    "bsic": (0, 63),
    "arfcn": (0, 1023),
    "uarfcn": (0, 16_383),
    "earfcn": (0, 3_279_165),
    "band": (1, 1024),
    "rac": (0, 254),
    "lac": (1, 0xFFFD),
    "tac": (1, 0xFFFFFD),
    "ci": (1, 0xFFFFFFFFE),
}
EXTREMES = ("99999999999", "-99999", "0", "255", "-1", "65535", "-140")
NUMBER = re.compile(r"-?[0-9][0-9A-Fa-f.]*")
A_KIND = 3  # replies of each command: enough for its layouts, and few enough for a test


def impossible(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            low, high = RANGES.get(key, (0, 0))
            if key in RANGES and item is not None and not low <= item <= high:
                yield f"{path}.{key} = {item}"
            yield from impossible(item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from impossible(item, f"{path}.{index}")


def kinds() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for row in ROWS:
        of_cells = RANGES.keys() & (row["reading"] or {}).keys()
        rows = found.setdefault(parse_command(row["command"]).name, [])
        if of_cells and len(rows) < A_KIND and len(NUMBER.findall(row["reply"])) <= 60:
            rows.append((row["command"], row["reply"]))
    return {name: rows for name, rows in found.items() if name and rows}


KINDS = kinds()


@pytest.mark.parametrize("name", KINDS)
def test_no_number_in_a_reply_makes_an_impossible_figure(name: str) -> None:
    for command, reply in KINDS[name]:
        for token in NUMBER.finditer(reply):
            for extreme in EXTREMES:
                changed = reply[: token.start()] + extreme + reply[token.end() :]
                assert list(impossible(decode(command, changed)["reading"])) == [], changed
