"""The tables in agent/at/README.md are the rows' and the scales' own; the fields are those that the parsers give."""

from __future__ import annotations

import pytest

from agent.at import COMMANDS, Row, decode, find, parse_command
from tests.at.corpus import rows
from tests.at.tables import COMMANDS_HEAD, README, SCALES_HEAD, scales, shown, table

# The names that the design fixes.
DESIGN = frozenset(
    {"rssi_dbm", "rsrp_dbm", "rsrq_db", "sinr_db", "stat", "lac", "tac", "ci", "act", "rac", "plmn", "operator", "apn"}
    | {"pdp_type", "address", "iccid", "imsi", "imei", "band", "earfcn", "pci", "time"}
)


def test_the_table_is_that_of_the_rows() -> None:
    assert below(COMMANDS_HEAD) == table(), "python -m tests.at.tables writes it anew"


def test_the_table_of_scales_has_a_source_for_each() -> None:
    assert below(SCALES_HEAD) == scales(), "python -m tests.at.tables writes it anew"


def below(head: str) -> str:
    text = README.read_text("utf-8")
    begin, end = shown(text, head)
    return text[begin:end].strip()


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


if __name__ == "__main__":  # python -m tests.at.test_readme: print both tables anew
    print(table(), scales(), sep="\n\n")
