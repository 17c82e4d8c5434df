"""What leaves the device without what tells a person, a card or a home: identifiers and the cell. Pure.

Identifiers go by the name of their field and by their form (agent/modem/mask.py). The cell is where the home is: it is
shown while a fault is sought, unless the configuration says otherwise (operator.location).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar, cast, overload

from agent.at.cells import PLACES
from agent.modem.mask import masked

if TYPE_CHECKING:
    from agent import status_schema as schema

IDENTIFIERS = frozenset({"imei", "imsi", "iccid", "msisdn", "sms_to"})
NO_FAULT = frozenset({"none", "throttled"})  # of agent.modem.cause.CAUSES

T = TypeVar("T")


@overload
def redact(found: Mapping[str, object]) -> dict[str, object]: ...
@overload
def redact(found: str) -> str: ...
@overload
def redact(found: object) -> object: ...
def redact(found: object) -> object:
    """The same without identifiers, also within text."""
    if isinstance(found, Mapping):
        return {str(k): _hidden(v) if str(k) in IDENTIFIERS else redact(v) for k, v in found.items()}
    if isinstance(found, (list, tuple)):
        return [redact(item) for item in found]
    return masked(found) if isinstance(found, str) else found


def _hidden(value: object) -> str | None:
    return None if value in (None, "") else "***"


def without_places(found: T) -> T:
    """The same without the cell: of JSON, whose shape stays."""
    return cast("T", _unplaced(found))


def _unplaced(found: object) -> object:
    if isinstance(found, Mapping):
        return {k: None if k in PLACES else _unplaced(v) for k, v in found.items()}
    if isinstance(found, (list, tuple)):
        return [_unplaced(item) for item in found]
    return found


def shows_location(status: schema.Status, rule: str) -> bool:
    """Whether the cell may be told now; `rule` is operator.location."""
    if rule == "faults":
        return status["modem"]["cause"] not in NO_FAULT
    return rule == "always"


def located(status: schema.Status, rule: str) -> schema.Status:
    """The status schema as the operator may have it: with the cell, or without."""
    return {**status} if shows_location(status, rule) else {**status, "modem": without_places(status["modem"])}


def anonymous(status: schema.Status) -> schema.Status:
    """The status schema without the identifiers of module and card: enough is left to tell one card from another."""
    reading = status["modem"]["reading"]
    if reading is None:
        return {**status}
    parts = {
        name: {key: _partly(value) if key in IDENTIFIERS else value for key, value in part.items()}
        for name, part in (("identity", reading["identity"]), ("sim", reading["sim"]))
    }
    told = cast("schema.Reading", {**reading, **parts})
    return {**status, "modem": {**status["modem"], "reading": told}}


def _partly(value: object) -> object:
    """The first six digits, which name maker or operator, and the last two; of a phone number the country."""
    if not isinstance(value, str) or not value:
        return value
    head = 3 if value.startswith("+") or len(value) < 14 else 6  # the shortest IMSI has 14 digits
    return value[:head] + "*" * max(3, len(value) - head - 2) + value[-2:] if len(value) > head + 4 else "***"
