"""The ledger as a plain dict and back, for one row of the database.

Called by the store. A key that is missing takes its default (an older agent wrote it), one that is unknown is ignored
(a newer one did, within the same schema version); a value that makes no sense raises PlanError.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

from agent.errors import PlanError
from agent.plan.ledger import Ledger

T = TypeVar("T")


def to_dict(ledger: Ledger) -> dict[str, object]:
    """Plain values fit for JSON. Defaults are left out: the row is written a hundred times a day."""
    return typing.cast("dict[str, object]", _plain(ledger))


def from_dict(data: Mapping[str, object]) -> Ledger:
    """Raises PlanError that names the key."""
    return typing.cast(Ledger, _read(Ledger, data, "ledger"))


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {
            f.name: _plain(getattr(value, f.name))
            for f in fields(value)
            if f.default is MISSING or getattr(value, f.name) != f.default
        }
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value


@lru_cache(maxsize=32)
def _hints(cls: type) -> dict[str, object]:
    return typing.get_type_hints(cls)


def _read(hint: object, value: object, where: str) -> object:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        inner = next(h for h in typing.get_args(hint) if h is not type(None))
        return None if value is None else _read(inner, value, where)
    if origin is tuple:
        item = typing.get_args(hint)[0]
        return tuple(_read(item, v, f"{where}[{i}]") for i, v in enumerate(_typed(list, value, where)))
    if is_dataclass(hint):
        return _read_dataclass(typing.cast(type, hint), _typed(dict, value, where), where)
    if hint is datetime:
        return _instant(value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return _typed(typing.cast(type, hint), value, where)


def _read_dataclass(cls: type, data: dict[str, object], where: str) -> object:
    hints = _hints(cls)
    values: dict[str, object] = {}
    for f in fields(cls):
        if f.name in data:
            values[f.name] = _read(hints[f.name], data[f.name], f"{where}.{f.name}")
        elif f.default is MISSING:
            raise PlanError(f"{where}.{f.name} is missing")
    return cls(**values)


def _instant(value: object, where: str) -> datetime:
    try:
        when = datetime.fromisoformat(_typed(str, value, where))
    except ValueError as error:
        raise PlanError(f"{where}: {value!r} is not a time") from error
    if when.tzinfo is None:
        raise PlanError(f"{where}: {value!r} has no offset")
    return when


def _typed(hint: type[T], value: object, where: str) -> T:
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise PlanError(f"{where}: {value!r} is not {getattr(hint, '__name__', hint)}")
    return value
