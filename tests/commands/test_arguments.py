"""The small schema checker says the same as jsonschema, and names what is wrong."""

from __future__ import annotations

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.commands import arguments
from agent.commands.command import Schema
from agent.commands.table import COMMANDS
from agent.errors import Rejected

SCHEMA: Schema = {
    "bytes": {"type": "integer", "minimum": 1, "maximum": 1000, "required": True},
    "kind": {"type": "string", "enum": ["a", "b"]},
    "name": {"type": "string", "maxLength": 5, "pattern": "^[a-z]*$"},
    "deep": {"type": "boolean", "default": False},
    "ratio": {"type": "number", "minimum": 0.5},
}


def published(schema: Schema) -> dict[str, object]:
    """The same rules as JSON Schema proper."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name, rule in schema.items() if rule.get("required")],
        "properties": {
            name: {key: value for key, value in rule.items() if key not in ("required", "help")}
            for name, rule in schema.items()
        },
    }


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 1002),
    st.floats(-1, 2),
    st.sampled_from(["a", "abcdef", "A", ""]),
    st.just({}),
)


@given(st.dictionaries(st.sampled_from([*SCHEMA, "other"]), VALUES))
def test_agrees_with_json_schema(args: dict[str, object]) -> None:
    # Draft 2020-12 counts 2.0 as an integer; this agent does not, as JSON writers that mean 2 write 2.
    if any(isinstance(v, float) and v.is_integer() for v in args.values()):
        return
    valid = jsonschema.Draft202012Validator(published(SCHEMA)).is_valid(args)
    if valid:
        assert arguments.check(SCHEMA, args)["deep"] is args.get("deep", False)
    else:
        with pytest.raises(Rejected):
            arguments.check(SCHEMA, args)


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        ({}, 7027, "'bytes' is missing"),
        ({"bytes": 0}, 7004, "1 to 1000"),
        ({"bytes": "1"}, 7004, "must be an integer"),
        ({"bytes": True}, 7004, "must be an integer"),
        ({"bytes": 1, "kind": "c"}, 7004, "one of a, b"),
        ({"bytes": 1, "extra": 1}, 7004, "unknown argument 'extra'"),
    ],
)
def test_names_what_is_wrong(args: dict[str, object], code: int, says: str) -> None:
    with pytest.raises(Rejected) as caught:
        arguments.check(SCHEMA, args)
    assert caught.value.code == code
    assert says in caught.value.reason


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda c: c.name)
def test_every_row_is_whole(command) -> None:  # type: ignore[no-untyped-def]
    jsonschema.Draft202012Validator.check_schema(published(dict(command.args)))
    assert command.help[0].islower()
    assert not command.help.endswith(".")
    assert 0 < command.time_limit_s <= (86_400 if command.name == "agent.update" else 900)
    for name, rule in command.args.items():
        assert rule["type"] in arguments._TYPES, name
