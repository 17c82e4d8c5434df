"""Text as modems write it: UCS2 as hex digits, GSM 7-bit codes, stray Latin-1 or UTF-8 bytes (27.007 +CSCS, 23.038).

Called by the operator, phone-number and SMS parsers, one field at a time: the stream as a whole is never decoded
strictly, one odd byte in a name would cost everything behind it.
"""

from __future__ import annotations

import re

from agent.at.engine.grammar import unquote

# 23.038 clause 6.2.1: the default alphabet, position by position.
GSM7 = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
_HEX_WORDS = re.compile(r"(?:[0-9A-Fa-f]{4}){1,200}", re.ASCII)
_BREAKS = str.maketrans("\r\n", "  ")


def ucs2(value: str, *, declared: bool = False) -> str | None:
    """Decode hex words when the result is plainly text; None when the value is not UCS2. `declared` means that the
    answer says so itself."""
    if not _HEX_WORDS.fullmatch(value):
        return None
    decoded = bytes.fromhex(value).decode("utf-16-be", "replace").rstrip("\0\uffff")
    if not decoded or not decoded.translate(_BREAKS).isprintable() or "\ufffd" in decoded:
        return None
    # "BEEF" or "1234" alone is a name, not one far-off character; 00xx words are unmistakable.
    far = [char for char in decoded if char >= "\u0250"]
    near = len(decoded) - len(far)
    mixed = near == 0 or max(far, default="") < "\u0e80"  # digits of a number give far-off characters beside near ones
    likely = near * 2 > len(decoded) or (len(decoded) >= 2 and mixed and _one_script(far))
    return decoded if declared or likely else None


def _one_script(decoded: list[str]) -> bool:
    """Whether all characters come from one block of a living script: chance hex does not."""
    blocks = (
        (0x0370, 0x03FF),
        (0x0400, 0x052F),
        (0x0590, 0x06FF),
        (0x0E00, 0x0E7F),
        (0x3040, 0x9FFF),
        (0xAC00, 0xD7A3),
    )
    return any(all(low <= ord(char) <= high for char in decoded) for low, high in blocks)


def gsm7(data: bytes) -> str:
    """Unpacked GSM 7-bit codes as text."""
    result, escaped = [], False
    for code in data:
        if escaped:
            result.append(EXTENSION.get(code, " "))
            escaped = False
        elif code == 0x1B:
            escaped = True
        else:
            result.append(GSM7[code] if code < 128 else "?")
    return "".join(result)


def gsm7_packed(value: str) -> str | None:
    """Text as packed septets in hexadecimal, as Huawei gives the answer of a USSD code; None when the digits are the
    text itself: a hexadecimal letter must be among them, and what comes out must be plain."""
    if len(value) < 6 or len(value) % 2 or not re.fullmatch(r"[0-9A-F]*[A-F][0-9A-F]*", value):
        return None
    bits = int.from_bytes(bytes.fromhex(value), "little")
    codes = [bits >> shift & 0x7F for shift in range(0, len(value) * 4 - 6, 7)]
    text = gsm7(bytes(codes)).rstrip("@\r")
    plain_ones = sum(1 for char in text if char.isalnum() or char in " .,:;!?*#+-/()\n'@%")
    return text if text and plain_ones >= 0.9 * len(text) else None


def name(raw: str | None) -> str | None:
    """An operator's name: UCS2 hex, GSM 7-bit leftovers, UTF-8 or Latin-1 bytes; None when empty.

    With the character set GSM (the default of most modules) code 0x40 is an inverted exclamation mark and 0x00 an @;
    the other codes that differ from ASCII ($ _ and brackets) are left as they look, since modules that speak IRA
    by default write real ones. A byte of 0xFF is in no character set of 27.007 5.5 that names are written in: it is
    noise of the line, which has left more than can be seen.
    """
    if raw is None or "\xff" in raw:
        return None
    value = unquote(raw)
    wide = ucs2(value)
    if wide is not None:
        return wide.strip() or None
    if any(char > "\x7f" for char in value):
        value = _bytes_text(value)
    value = "".join("¡" if char == "@" else GSM7[ord(char)] if char < " " else char for char in value)
    return value.replace("\n", " ").replace("\r", " ").strip() or None


def _bytes_text(value: str) -> str:
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value
