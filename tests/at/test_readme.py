"""The tables in agent/at/README.md are the rows' and the scales' own; the fields are those that the parsers give."""

from __future__ import annotations

from pathlib import Path

import pytest

import agent.at
from agent.at import COMMANDS, Row, decode, find, parse_command
from agent.at.standard.scale import PLAIN, SCALES, Scale
from simulator.modem.signal import SOURCES
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


def scale_line(scale: Scale) -> str:
    value = f"{scale.step:g} × index {'-' if scale.offset < 0 else '+'} {abs(scale.offset):g}"
    simulator = SOURCES.get((scale.command, scale.field), "")
    return f"| `{scale.command}` | {scale.field} | {scale.low}…{scale.high} | {value} | {scale.source} | {simulator} |"


def scales() -> str:
    lines = [*map(scale_line, SCALES), *(f"| `{names}` | | | | {source} | |" for names, source in PLAIN.items())]
    return "\n".join(sorted(lines, key=str.lower))


def body(heading: str, last: str) -> str:
    text = README.read_text("utf-8")
    begin = text.index(heading)
    return "\n".join(text[begin : text.index(last, begin)].splitlines()[2:]).strip()


def test_the_table_is_that_of_the_rows() -> None:
    assert body("| command | fields |", "<!-- end of the table -->") == table()


def test_the_table_of_scales_has_a_source_for_each() -> None:
    assert body("| command | field | index |", "<!-- end of the scales -->") == scales()


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
