"""What leaves the device without what tells a person, a card or a home: identifiers and the cell. Pure.

Identifiers go by the name of their field and by their form (agent/modem/mask.py). The cell is where the home is: it is
shown while a fault is sought, unless the configuration says otherwise (operator.location).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.at.cells import PLACES
from agent.modem.mask import masked

IDENTIFIERS = frozenset({"imei", "imsi", "iccid", "msisdn", "sms_to"})
NO_FAULT = frozenset({"none", "throttled"})  # of agent.modem.cause.CAUSES

Found = Any  # text, or anything JSON can say


def redact(found: Found) -> Found:
    """The same without identifiers, also within text."""
    if isinstance(found, Mapping):
        return {str(k): _hidden(v) if str(k) in IDENTIFIERS else redact(v) for k, v in found.items()}
    if isinstance(found, (list, tuple)):
        return [redact(item) for item in found]
    return masked(found) if isinstance(found, str) else found


def _hidden(value: Found) -> Found:
    return None if value in (None, "") else "***"


def without_places(found: Found) -> Found:
    """The same without the cell."""
    if isinstance(found, Mapping):
        return {k: None if k in PLACES else without_places(v) for k, v in found.items()}
    if isinstance(found, (list, tuple)):
        return [without_places(item) for item in found]
    return found


def shows_location(status: Mapping[str, Any], rule: str) -> bool:
    """Whether the cell may be told now; `rule` is operator.location."""
    if rule == "faults":
        return str(status["modem"]["cause"]) not in NO_FAULT
    return rule == "always"


def located(status: Mapping[str, Any], rule: str) -> dict[str, Any]:
    """The status schema as the operator may have it: with the cell, or without."""
    return {**status} if shows_location(status, rule) else _with_modem(status, without_places(status["modem"]))


def anonymous(status: Mapping[str, Any]) -> dict[str, Any]:
    """The status schema without the identifiers of module and card: enough is left to tell one card from another."""
    reading = status["modem"]["reading"]
    if reading is None:
        return {**status}
    parts = {
        name: {key: _partly(value) if key in IDENTIFIERS else value for key, value in reading[name].items()}
        for name in ("identity", "sim")
    }
    return _with_modem(status, {**status["modem"], "reading": {**reading, **parts}})


def _with_modem(status: Mapping[str, Any], modem: Mapping[str, Any]) -> dict[str, Any]:
    return {**status, "modem": modem}


def _partly(value: Found) -> Found:
    """The first six digits, which name maker or operator, and the last two; of a phone number the country."""
    if not isinstance(value, str) or not value:
        return value
    head = 3 if value.startswith("+") or len(value) < 14 else 6  # the shortest IMSI has 14 digits
    return value[:head] + "*" * max(3, len(value) - head - 2) + value[-2:] if len(value) > head + 4 else "***"
