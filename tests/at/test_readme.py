"""The table in agent/at/README.md is the rows' own, and its fields are those that the parsers give."""

from __future__ import annotations

from pathlib import Path

import pytest

import agent.at
from agent.at import COMMANDS, Row, decode, find, parse_command
from tests.at.corpus import rows

README = Path(agent.at.__file__).parent / "README.md"
# The names that the design fixes.
DESIGN = frozenset(
    {"rssi_dbm", "rsrp_dbm", "rsrq_db", "sinr_db", "stat", "lac", "tac", "ci", "act", "rac", "plmn", "operator", "apn"}
    | {"pdp_type", "address", "iccid", "imsi", "imei", "band", "earfcn", "pci", "time"}
)
_ENDING = {"read": "?", "test": "=?", "set": "=…", "execute": ""}


def line(row: Row) -> str:
    forms = " ".join(f"`AT{row.name}{_ENDING[kind]}`" for kind in row.kinds)
    return f"| {forms} | {row.fields} | {row.clause} |"


def table() -> str:
    return "\n".join(sorted({line(row) for row in COMMANDS if row.fields}, key=str.lower))


def test_the_table_is_that_of_the_rows() -> None:
    text = README.read_text("utf-8")
    begin, end = text.index("| command | fields |"), text.index("<!-- end of the table -->")
    assert "\n".join(text[begin:end].splitlines()[2:]).strip() == table()


def test_no_two_rows_answer_the_same_command() -> None:
    keys = [(row.name, kind) for row in COMMANDS for kind in row.kinds]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: f"{row.name}-{row.kinds[0]}")
def test_a_row_is_complete(row: Row) -> None:
    assert row.clause
    assert row.timeout_s > 0
    assert bool(row.fields) == (row.parse is not None)


def test_the_documented_fields_are_the_ones_that_come() -> None:
    """Every field of the design that a recorded reply yields is documented for its command."""
    for capture in rows():
        row = find(parse_command(capture["command"]))
        reading = decode(capture["command"], capture["reply"])["reading"]
        if row is not None and isinstance(reading, dict):
            given = {key for key, value in reading.items() if key in DESIGN and value is not None}
            assert given <= set(row.fields.replace(":", " ").split()), row.name


if __name__ == "__main__":  # python -m tests.at.test_readme: print the table anew
    print(table())
