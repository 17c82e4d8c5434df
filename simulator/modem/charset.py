"""Text as the host's character set has it (27.007 5.5, +CSCS), and the alphabet of 23.038 that most of it is made of.

What goes over the port is 8-bit characters: "UCS2" is hex of UTF-16BE, "GSM" the codes of the default alphabet, "IRA"
ASCII. A sign that the set lacks becomes a question mark.
"""

from __future__ import annotations

from collections.abc import Iterable

# 23.038 6.2.1; the escape at 0x1B leads to the extension table.
_ALPHABET = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ESCAPE = 0x1B
_EXTENSION = {"^": 0x14, "{": 0x28, "}": 0x29, "\\": 0x2F, "[": 0x3C, "~": 0x3D, "]": 0x3E, "|": 0x40, "€": 0x65}
_REVERSE = {code: char for char, code in _EXTENSION.items()}
_CODES = {char: [code] for code, char in enumerate(_ALPHABET) if code != _ESCAPE}
_CODES |= {char: [_ESCAPE, code] for char, code in _EXTENSION.items()}
_ON_THE_PORT = {char: "".join(map(chr, codes)) for char, codes in _CODES.items()}


def septets(text: str) -> list[int] | None:
    """The GSM codes of a text, or None when it has signs that the alphabet lacks."""
    codes: list[int] = []
    for char in text:
        if char not in _CODES:
            return None
        codes += _CODES[char]
    return codes


def from_septets(codes: Iterable[int]) -> str:
    text, escaped = "", False
    for code in codes:
        if escaped:
            text, escaped = text + _REVERSE.get(code, " "), False
        elif code == _ESCAPE:
            escaped = True
        else:
            text += _ALPHABET[code]
    return text


def displayed(text: str, charset: str) -> str:
    """As the module sends it to the host."""
    if charset == "UCS2":
        return text.encode("utf-16-be").hex().upper()
    if charset == "GSM":
        return "".join([_ON_THE_PORT.get(char, "?") for char in text])
    return text.encode("ascii", "replace").decode("ascii")


def understood(text: str, charset: str) -> str:
    """As the host meant it; what is not in its character set stays as it is."""
    if charset == "GSM":
        return from_septets(map(ord, text)) if text.isascii() else text
    if charset == "UCS2" and (read := from_ucs2(text)) is not None:
        return read
    return text


def from_ucs2(digits: str) -> str | None:
    """The text of so many hex digits, None when they are none."""
    try:
        return bytes.fromhex(digits).decode("utf-16-be")
    except (ValueError, UnicodeDecodeError):
        return None
