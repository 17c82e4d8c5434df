"""TOML both ways: `tomllib`, which Python 3.10 has under another name, and the writing that no Python brings.

Called by what reads the configuration, profiles and roles, and by what writes a configuration: `setup` and a push.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TypeGuard

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["dumps", "tomllib"]

BARE = re.compile(r"[A-Za-z0-9_-]+")


def dumps(table: Mapping[str, Mapping[str, object]]) -> str:
    """Sections of plain values and of lists of tables, such as [[plan.steps]]; a key that has no value is left out."""
    lines: list[str] = []
    for section, values in table.items():
        lines += [f"[{_key(section)}]", *_pairs({key: value for key, value in values.items() if not _is_tables(value)})]
        for key, value in values.items():
            for row in value if _is_tables(value) else ():
                lines += ["", f"[[{_key(section)}.{_key(key)}]]", *_pairs(row)]
        lines.append("")
    return "\n".join(lines)


def _pairs(values: Mapping[str, object]) -> list[str]:
    return [f"{_key(key)} = {_value(value)}" for key, value in values.items() if value is not None]


def _key(name: str) -> str:
    """Quoted where it must be: a pushed key with a line end in it would else open a section that may not be pushed."""
    return name if BARE.fullmatch(name) else _value(name)


def _is_tables(value: object) -> TypeGuard[Sequence[Mapping[str, object]]]:
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(_pairs(value)) + "}"
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped too.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
