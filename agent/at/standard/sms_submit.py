"""SMS-SUBMIT as PDUs (23.040 clause 9.2.2.2): what a message becomes on its way to the module. Pure.

Called by the Modem. GSM 7-bit where the text allows it, else UCS2; a long text becomes several parts with a common
reference (9.2.3.24.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.at.engine.charset import EXTENSION, GSM7

PARTS_CAP = 5  # a household is told something, not sent a book
_NUMBER = re.compile(r"\+?[0-9]{3,20}", re.ASCII)
_CODES = {char: code for code, char in enumerate(GSM7)}
_ESCAPED = {char: code for code, char in EXTENSION.items()}


@dataclass(frozen=True, slots=True)
class Submit:
    """One part: `length` goes into AT+CMGS=, `pdu` behind the prompt."""

    length: int
    pdu: str


def submit(number: str, text: str, reference: int = 0) -> list[Submit]:
    """All parts of a message. Raises ValueError for what is no phone number, or too long."""
    if not _NUMBER.fullmatch(number):
        raise ValueError(f"not a phone number: {number!r}")
    codes = _septets(text)
    units: list[list[int]] = _cut_septets(codes) if codes is not None else _cut_ucs2(text)
    if len(units) > PARTS_CAP:
        raise ValueError(f"the text makes {len(units)} messages, {PARTS_CAP} are allowed")
    return [_part(number, unit, codes is not None, reference, index, len(units)) for index, unit in enumerate(units, 1)]


def _septets(text: str) -> list[int] | None:
    """GSM codes of the text, None when the alphabet lacks one of its signs."""
    codes: list[int] = []
    for char in text:
        if char in _ESCAPED:
            codes += [0x1B, _ESCAPED[char]]
        elif char in _CODES and char != "\x1b":
            codes.append(_CODES[char])
        else:
            return None
    return codes


def _cut_septets(codes: list[int]) -> list[list[int]]:
    """160 in one message, 153 in a part; an escape is never parted from what it escapes."""
    if len(codes) <= 160:
        return [codes]
    parts: list[list[int]] = []
    while codes:
        size = (
            153 if len(codes) > 153 and codes[152] != 0x1B else min(152, len(codes)) if len(codes) > 153 else len(codes)
        )
        parts.append(codes[:size])
        codes = codes[size:]
    return parts


def _cut_ucs2(text: str) -> list[list[int]]:
    """70 units in one message, 67 in a part; a surrogate pair stays together."""
    data = text.encode("utf-16-be", "replace")
    words = [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]
    if len(words) <= 70:
        return [words]
    parts: list[list[int]] = []
    while words:
        size = 66 if len(words) > 67 and 0xD800 <= words[66] < 0xDC00 else 67
        parts.append(words[:size])
        words = words[size:]
    return parts


def _part(number: str, unit: list[int], is_gsm: bool, reference: int, index: int, total: int) -> Submit:
    header = bytes((5, 0, 3, reference & 0xFF, total, index)) if total > 1 else b""
    if is_gsm:
        fill = -(len(header) * 8) % 7  # bits that bring the text to a septet's edge
        data = header + _packed(unit, fill)
        length = (len(header) * 8 + fill) // 7 + len(unit)
    else:
        data = header + b"".join(word.to_bytes(2, "big") for word in unit)
        length = len(data)
    digits = number.lstrip("+")
    kind = 0x91 if number.startswith("+") else 0x81
    first = 0x51 if header else 0x11  # SMS-SUBMIT with a relative validity period
    body = bytes((first, 0, len(digits), kind)) + _semi_octets(digits)
    body += bytes((0, 0 if is_gsm else 8, 167, length)) + data  # 167: the message may wait a day
    return Submit(len(body), "00" + body.hex().upper())  # 00: the SIM's own service centre


def _packed(codes: list[int], fill: int) -> bytes:
    """Seven bits each, the first in the lowest bits (23.038 clause 6.1.2.1.1)."""
    bits = sum(code << (fill + 7 * place) for place, code in enumerate(codes))
    return bits.to_bytes((fill + 7 * len(codes) + 7) // 8, "little")


def _semi_octets(digits: str) -> bytes:
    padded = digits + "F" * (len(digits) % 2)
    return bytes(int(padded[i + 1] + padded[i], 16) for i in range(0, len(padded), 2))
