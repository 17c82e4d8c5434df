"""Stored and arriving messages as PDUs (23.040 clauses 9.2.2 and 9.2.3): DELIVER, SUBMIT and STATUS-REPORT, read.

Pure, called by the parsers of +CMGL, +CMGR, +CMT and +CDS. What is cut short or no PDU reads as None, never as half
a text.
"""

from __future__ import annotations

import re

from agent.at.engine.charset import gsm7
from agent.at.engine.grammar import Reading

_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}){8,400}", re.ASCII)
_KINDS = {0: "deliver", 1: "submit", 2: "status-report"}
_DIGITS = "0123456789*#abc"
_PARTS = {0x00: 1, 0x08: 2}  # information elements of a long message, and the octets of their reference


def read_pdu(raw: str) -> Reading | None:
    """`from` (or `to`), `received` as in text mode (yy/MM/dd,hh:mm:ss±zz), `text`; `part` and `parts` of a long one."""
    if not _HEX.fullmatch(raw):
        return None
    octets = list(bytes.fromhex(raw))
    octets = octets[1 + octets[0] :]  # the service centre
    try:
        return _message(octets[0], octets[1:])
    except (IndexError, ValueError):
        return None


def _message(first: int, rest: list[int]) -> Reading | None:
    kind = _KINDS.get(first & 3)
    if kind is None:
        return None
    rest = rest if kind == "deliver" else rest[1:]  # the other two have a reference here
    party, rest = _address(rest)
    if kind == "status-report":
        return {"kind": kind, "to": party, "received": _stamp(rest[:7]), "text": None, "delivery_status": rest[14]}
    coding, rest = rest[1], rest[2:]
    received = None
    if kind == "deliver":
        received, rest = _stamp(rest[:7]), rest[7:]
    else:
        rest = rest[{0: 0, 0x10: 1}.get(first & 0x18, 7) :]  # how long it is to be kept
    body = _body(coding, rest[0], rest[1:], bool(first & 0x40))
    return {"kind": kind, "from" if kind == "deliver" else "to": party, "received": received, **body}


def _address(octets: list[int]) -> tuple[str | None, list[int]]:
    """<digits>,<type>,<swapped nibbles>; type 101 in bits 4 to 6 is a name in septets."""
    count, kind = octets[0], octets[1]
    size = (count + 1) // 2
    raw, rest = octets[2 : 2 + size], octets[2 + size :]
    if count > 20 or len(raw) < size:
        raise ValueError("an address longer than its message")
    if kind >> 4 & 7 == 5:
        return gsm7(_septets(raw, count * 4 // 7)) or None, rest
    nibbles = [nibble for octet in raw for nibble in (octet & 15, octet >> 4)][:count]
    number = "".join(_DIGITS[nibble] for nibble in nibbles)
    return ("+" if kind >> 4 & 7 == 1 else "") + number if number else None, rest


def _stamp(octets: list[int]) -> str | None:
    """Seven octets of swapped digits; the sign of the zone is the bit 3 of the last."""
    if len(octets) < 7:
        raise ValueError("a time cut short")
    year, month, day, hour, minute, second = ((o & 15) * 10 + (o >> 4) for o in octets[:6])
    zone = (octets[6] & 7) * 10 + (octets[6] >> 4)
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 60):
        return None
    sign = "-" if zone and octets[6] & 8 else "+"
    return f"{year:02}/{month:02}/{day:02},{hour:02}:{minute:02}:{second:02}{sign}{zone:02}"


def _body(coding: int, length: int, data: list[int], headed: bool) -> Reading:
    """The text, behind its header; None for what is binary or compressed."""
    head = data[: 1 + data[0]] if headed else []
    alphabet = _alphabet(coding)
    if alphabet == "gsm7":
        skipped = (len(head) * 8 + 6) // 7
        if len(data) < (length * 7 + 7) // 8:
            raise ValueError("a text cut short")
        text: str | None = gsm7(_septets(data, length)[skipped:])
    elif len(data) < length:
        raise ValueError("a text cut short")
    else:
        text = bytes(data[len(head) : length]).decode("utf-16-be", "replace") if alphabet == "ucs2" else None
    return {"text": text, **_part(head[1:])}


def _alphabet(coding: int) -> str | None:
    """23.038 clause 4."""
    if coding < 0x80:
        return None if coding & 0x20 else {0: "gsm7", 8: "ucs2"}.get(coding & 0x0C)
    return {0xC: "gsm7", 0xD: "gsm7", 0xE: "ucs2", 0xF: None if coding & 4 else "gsm7"}.get(coding >> 4)


def _part(elements: list[int]) -> Reading:
    """<element>,<length>,<data>… of the header: only the one of long messages matters."""
    while len(elements) >= 2:
        size, data = elements[1], elements[2 : 2 + elements[1]]
        width = _PARTS.get(elements[0])
        if width is not None and len(data) == width + 2:
            return {"parts": data[width], "part": data[width + 1]}
        elements = elements[2 + size :]
    return {}


def _septets(octets: list[int], count: int) -> bytes:
    whole = int.from_bytes(bytes(octets), "little")
    return bytes(whole >> 7 * index & 0x7F for index in range(count))
