"""Arguments checked against a row's schema: the subset of JSON Schema that a command needs, and no more.

jsonschema itself is not on the device (it pulls a Rust extension); tests/commands proves the two agree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from agent.errors import Rejected

if TYPE_CHECKING:
    from agent.command_schema import Rule
    from agent.commands.command import Schema

INVALID_ARGUMENTS = 7004  # USP: invalid arguments
BAD_COMMAND_ARGUMENTS = 7027  # USP: a mandatory input argument is missing

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
}


def check(schema: Schema, args: Mapping[str, object]) -> dict[str, object]:
    """The arguments with defaults filled in; raises Rejected that names the argument and what is allowed."""
    for name in args:
        if name not in schema:
            known = ", ".join(schema) or "none"
            raise Rejected(INVALID_ARGUMENTS, f"unknown argument {name[:40]!r}; allowed: {known}")
    out: dict[str, object] = {}
    for name, rule in schema.items():
        if name in args:
            _check_value(name, rule, args[name])
            out[name] = args[name]
        elif rule.get("required"):
            raise Rejected(BAD_COMMAND_ARGUMENTS, f"argument {name!r} is missing")
        elif "default" in rule:
            out[name] = rule["default"]
    return out


def _check_value(name: str, rule: Rule, value: object) -> None:
    problem = _problem(rule, value)
    if problem:
        raise Rejected(INVALID_ARGUMENTS, f"argument {name!r}: {problem}")


def _problem(rule: Rule, value: object) -> str:
    kind = rule["type"]
    if isinstance(value, bool) != (kind == "boolean") or not isinstance(
        value, _TYPES[kind]
    ):  # True is an int to Python
        return f"must be {'an' if kind[0] in 'aeiou' else 'a'} {kind}"
    if "enum" in rule and value not in rule["enum"]:
        return "must be one of " + ", ".join(map(str, rule["enum"]))
    match value:
        case int() | float():
            return _out_of_range(rule, value)
        case str():
            return _bad_text(rule, value)
    return ""


def _out_of_range(rule: Rule, value: float) -> str:
    if value != value or not rule.get("minimum", value) <= value <= rule.get("maximum", value):  # NaN is no number here
        return f"must be {rule.get('minimum', '...')} to {rule.get('maximum', '...')}"
    return ""


def _bad_text(rule: Rule, value: str) -> str:
    low, high = rule.get("minLength", 0), rule.get("maxLength", 10_000)
    if not low <= len(value) <= high:
        return f"must have {low} to {high} characters"
    if "pattern" in rule and re.search(rule["pattern"], value) is None:
        return str(rule.get("help", f"must match {rule['pattern']}"))
    return ""
