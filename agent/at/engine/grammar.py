"""The grammar of an information response: prefix, fields, numbers, lists (27.007 clause 4, V.250 clause 5).

Called by every parser of this room. Works on text decoded byte by byte (latin-1) and never raises: what cannot be read
is None, because an unknown value is null and never 0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

Reading = dict[str, object]
_Item = TypeVar("_Item")

_PREFIX = re.compile(r"([+^#%*!$_&@][A-Z0-9_]+(?: ERROR)?)\s*:", re.IGNORECASE)
_DECIMAL = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)
_REAL = re.compile(r"[+-]?[0-9]{1,9}(?:\.[0-9]{1,6})?", re.ASCII)
_HEX = re.compile(r"(?:0[xX])?([0-9A-Fa-f]{1,24})", re.ASCII)
_RANGE = re.compile(r"([0-9]{1,9})\s*(?:-\s*([0-9]{1,9}))?", re.ASCII)
_LIST_CAP = 4096  # a test form such as (0-4294967295) is a range: cut to a list it would be a wrong one


def prefix_of(line: str) -> str:
    """The upper-case prefix of a line (`+CREG` of `+CREG: 1`), or "" when the line has none."""
    match = _PREFIX.match(line)
    return match[1].upper() if match else ""


def payload(line: str) -> str:
    """What follows the prefix and its colon; the whole line when it has no prefix."""
    match = _PREFIX.match(line)
    return line[match.end() :].strip() if match else line.strip()


def split(text: str) -> list[str]:
    """Fields of a response, quotes kept. A comma inside quotes belongs to the field.

    A quote closes only before a comma, a bracket or the end: operators do put quotes and brackets into their names.
    Where one quote is missing nothing says which: every comma then separates, so that numbers keep their places.
    """
    if text.count('"') % 2 or '"' not in text:
        return [field.strip() for field in text.split(",")]
    fields, position, size = [], 0, len(text)
    while position <= size:
        while position < size and text[position] in " \t":
            position += 1
        end = _closing(text, position) if position < size and text[position] == '"' else -1
        comma = text.find(",", max(end, position))
        comma = size if comma < 0 else comma
        fields.append(text[position:comma].strip())
        position = comma + 1
    return fields


def _closing(text: str, start: int) -> int:
    """Index of the quote that closes the one at `start`, or -1."""
    end = text.find('"', start + 1)
    while end >= 0:
        rest = text[end + 1 :].lstrip(" \t")
        if not rest or rest[0] in ",)\r\n":
            return end
        end = text.find('"', end + 1)
    return -1


def values(line: str) -> list[str]:
    """Fields after the prefix."""
    return split(payload(line))


def quoted(raw: str) -> bool:
    return raw[:1] == '"'


def unquote(raw: str) -> str:
    """A field without its quotes (one of them may be missing) and outer spaces."""
    return raw.strip().strip('"').strip()


def text(raw: str | None) -> str | None:
    """A text field; empty and `-` mean unknown."""
    if raw is None:
        return None
    value = unquote(raw)
    return value if value not in ("", "-") else None


def at(fields: Sequence[_Item], index: int) -> _Item | None:
    """A field by position, None beyond the end: any reply may be cut after any field."""
    return fields[index] if -len(fields) <= index < len(fields) else None


def number(raw: str | None, low: int | None = None, high: int | None = None) -> int | None:
    """A decimal number, None when it is none or outside the range."""
    if raw is None:
        return None
    value = unquote(raw)
    if not _DECIMAL.fullmatch(value):
        return None
    result = int(value)
    if (low is not None and result < low) or (high is not None and result > high):
        return None
    return result


def real(raw: str | None, low: float | None = None, high: float | None = None) -> float | None:
    """A decimal number with or without a fraction; whole values come back as whole floats."""
    if raw is None or not _REAL.fullmatch(unquote(raw)):
        return None
    result = float(unquote(raw))
    if (low is not None and result < low) or (high is not None and result > high):
        return None
    return result


def plain(value: float | None) -> float | int | None:
    """-95.0 reads as -95 in a report; -10.5 stays."""
    return int(value) if value is not None and value == int(value) else value


def hexadecimal(raw: str | None, high: int | None = None) -> int | None:
    """A hexadecimal number with or without 0x and quotes, None past `high`. A space inside makes it unreadable (Gobi
    1000 writes `  0 5`, which may be two bytes or a cut word): better unknown than wrong."""
    if raw is None:
        return None
    match = _HEX.fullmatch(unquote(raw))
    value = int(match[1], 16) if match else None
    return None if value is None or (high is not None and value > high) else value


def bracketed(body: str) -> list[str]:
    """Fields of a test form: `(0-3),(0,1),"IP"`; a list in brackets is one field, its brackets kept."""
    fields, depth, start, inside = [], 0, 0, False
    for position, char in enumerate(body):
        if char == '"':
            inside = not inside
        elif not inside and char in "()":
            depth += 1 if char == "(" else -1
        elif not inside and char == "," and depth <= 0:
            fields.append(body[start:position].strip())
            start = position + 1
    return [*fields, body[start:].strip()]


def area(raw: str | None, bits: int = 16) -> int | None:
    """A location or tracking area code of 16 bits, in 5G of 24 (23.003 clauses 4.1, 19.4.2.3 and 28.6). 0000 and FFFE
    are reserved for `no area` (24.008 10.5.1.3, 24.301 9.9.3.32), FFFF is what memory holds before there is one."""
    return known_area(hexadecimal(raw), bits)


def known_area(value: int | None, bits: int = 16) -> int | None:
    none = (0, 0xFFFE, 0xFFFF, 0xFFFFFE, 0xFFFFFF)
    return None if value is None or value in none or value >> bits else value


def cell(raw: str | None, bits: int = 28) -> int | None:
    """A cell identity: 16 bits in GSM, 28 in UMTS and LTE, 36 in NR (23.003 clauses 4.3.1, 4.7, 19.6 and 19.6A)."""
    return known_cell(hexadecimal(raw), bits)


def known_cell(value: int | None, bits: int = 28) -> int | None:
    """All ones, in 28 or 32 bits whatever the technology, and 0 mean that there is no cell."""
    none = (0, 0xFFFFFFF, 0xFFFFFFFF, (1 << bits) - 1)
    return None if value is None or value in none or value >> bits else value


def number_list(raw: str) -> list[int]:
    """`1,3-5,7` (with or without brackets) as numbers; what is no number is left out; a range too wide to list leaves
    nothing."""
    result: list[int] = []
    for part in raw.strip().strip("()").split(","):
        match = _RANGE.fullmatch(part.strip())
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if high - low > _LIST_CAP:
            return []
        result.extend(range(low, high + 1))
    return result


def number_lists(body: str) -> list[list[int]]:
    """The numbers in each bracket of a test form that holds any; none at all where one of them is no list."""
    lists = [number_list(group) for group in groups(body) if group.strip()]
    return lists if all(lists) else []


def groups(raw: str) -> list[str]:
    """The contents of the top-level brackets, brackets inside quotes left alone.

    A missing opening bracket loses its group, never the rest.
    """
    result: list[str] = []
    start, depth, position = -1, 0, 0
    while position < len(raw):
        char = raw[position]
        if char == '"' and depth:
            end = _closing(raw, position)
            position = end if end > 0 else position
        elif char == "(":
            start, depth = (position + 1, 1) if depth == 0 else (start, depth + 1)
        elif char == ")" and depth:
            depth -= 1
            if depth == 0:
                result.append(raw[start:position])
        position += 1
    return result


def known(reading: Reading) -> Reading | None:
    """The reading itself, or None when every field of it is unknown: nothing was read."""
    return reading if any(value is not None and value != [] for value in reading.values()) else None


def rounded(value: float | None, digits: int = 1) -> float | int | None:
    """Decoded decibels without the noise of binary fractions."""
    return None if value is None else plain(round(value, digits))
