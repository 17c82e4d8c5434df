"""Plain values as TOML text, for configurations that the operator pushes. The standard library only reads TOML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any


def dumps(table: Mapping[str, Any]) -> str:
    """Sections of plain values, lists of plain values and lists of tables: what a configuration consists of."""
    return "\n".join(_section(name, values) for name, values in table.items())


def _section(name: str, values: Mapping[str, Any]) -> str:
    lines = [f"[{name}]"]
    lines += [f"{key} = {_value(value)}" for key, value in values.items() if value is not None]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_value(inner)}" for key, inner in value.items() if inner is not None) + "}"
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped too
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
