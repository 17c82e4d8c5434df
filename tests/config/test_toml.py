"""What is written as TOML reads back as it was."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from agent.toml import dumps, tomllib

PLAIN = st.text() | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.floats(allow_nan=False) | st.dates()


KEYS = st.sampled_from(["username", "url_", "x-1", "", "a b", "x = 1\n[commands]\ny"]) | st.text()


@given(st.dictionaries(KEYS, PLAIN | st.lists(PLAIN, max_size=3)))
def test_every_value_reads_back_as_it_was(values: dict[str, object]) -> None:
    table: dict[str, dict[str, object]] = {
        "operator": values,
        "a b.c": values,
        "plan": {"steps": [{"at_percent": 5}, {"at_percent": 7, "on": values}], "list": []},
    }
    assert tomllib.loads(dumps(table)) == table


def test_what_has_no_value_is_left_out() -> None:
    table = {"plan": {"steps": [{"at_percent": 1, "x": None}], "from": date(2026, 11, 27), "none": None}}
    assert tomllib.loads(dumps(table)) == {"plan": {"steps": [{"at_percent": 1}], "from": date(2026, 11, 27)}}
