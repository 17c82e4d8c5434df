"""Levels of a JSON text are counted alike whatever stands in its texts, and without recursion."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.json_nesting import nested_deeper

TEXTS = st.text(alphabet='[]{}"\\a', max_size=6)
VALUES = st.recursive(
    st.none() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


def levels(value: object) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(levels, value), default=0) if isinstance(value, list) else 0


@given(VALUES, st.booleans())
def test_the_text_has_as_many_levels_as_the_value(value: object, ascii: bool) -> None:
    text = json.dumps([value], ensure_ascii=ascii)
    assert nested_deeper(text, levels([value]) - 1)
    assert not nested_deeper(text, levels([value]))


@pytest.mark.parametrize(("text", "deeper"), [
    ("[" * 60_000, True),
    ('{"a":' * 60_000, True),
    ("[]" * 60_000, False),
    ("]" * 60_000 + "[" * 8, False),
    ('["' + "[" * 60_000, False),  # a text that is not closed goes to the end
    ('["' + "\\" * 60_001 + '"' + "[" * 60_000, False),
], ids=["lists", "objects", "side by side", "closed first", "in a text", "behind an escaped quote"])  # fmt: skip
def test_what_is_no_json_is_counted_too(text: str, deeper: bool) -> None:
    assert nested_deeper(text, 8) == deeper
