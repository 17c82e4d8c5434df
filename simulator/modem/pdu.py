"""SMS PDUs (23.040): SMS-DELIVER as a module shows what came in, SMS-SUBMIT as a host hands over what shall go out."""

from __future__ import annotations

from datetime import datetime, timedelta

from simulator.modem.sms import Message

# 23.038 6.2.1; the escape at 0x1B leads to the extension table.
_ALPHABET = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = {"^": 0x14, "{": 0x28, "}": 0x29, "\\": 0x2F, "[": 0x3C, "~": 0x3D, "]": 0x3E, "|": 0x40, "€": 0x65}
_REVERSE = {code: char for char, code in _EXTENSION.items()}


def septets(text: str) -> list[int] | None:
    """The GSM codes of a text, or None when it has signs that the alphabet lacks."""
    codes: list[int] = []
    for char in text:
        if char in _EXTENSION:
            codes += [0x1B, _EXTENSION[char]]
        elif char in _ALPHABET and char != "\x1b":
            codes.append(_ALPHABET.index(char))
        else:
            return None
    return codes


def packed(codes: list[int]) -> bytes:
    """Seven bits each, the first in the lowest bits (23.038 6.1.2.1.1)."""
    bits = 0
    for place, code in enumerate(codes):
        bits |= code << (7 * place)
    return bits.to_bytes((7 * len(codes) + 7) // 8, "little")


def unpacked(data: bytes, count: int, skip_septets: int = 0) -> str:
    bits = int.from_bytes(data, "little")
    codes = [(bits >> (7 * place)) & 0x7F for place in range(skip_septets, count)]
    text, escaped = "", False
    for code in codes:
        if escaped:
            text, escaped = text + _REVERSE.get(code, " "), False
        elif code == 0x1B:
            escaped = True
        else:
            text += _ALPHABET[code]
    return text


def _semi_octets(digits: str) -> bytes:
    padded = digits + "F" * (len(digits) % 2)
    return bytes(int(padded[i + 1] + padded[i], 16) for i in range(0, len(padded), 2))


def _address(number: str) -> tuple[int, bytes]:
    digits = number.lstrip("+")
    return len(digits), bytes([0x91 if number.startswith("+") else 0x81]) + _semi_octets(digits)


def _service_centre(number: str) -> bytes:
    length, body = _address(number)
    return bytes([len(body)]) + body if length else b"\x00"


def _stamp(when: datetime) -> bytes:
    quarters = int((when.utcoffset() or timedelta()).total_seconds() // 900)
    zone = int(_semi_octets(f"{abs(quarters):02d}")[0]) | (0x08 if quarters < 0 else 0)
    return _semi_octets(when.strftime("%y%m%d%H%M%S")) + bytes([zone])


def deliver(message: Message, smsc: str) -> tuple[str, int]:
    """The SMS-DELIVER of a message as hex, and its length without the service centre's address."""
    length, address = _address(message.number)
    codes = septets(message.text)
    if codes is not None:
        scheme, user_length, user = 0x00, len(codes), packed(codes)
    else:
        user = message.text.encode("utf-16-be")
        scheme, user_length = 0x08, len(user)
    body = bytes([0x04, length]) + address + bytes([0x00, scheme]) + _stamp(message.at) + bytes([user_length]) + user
    return (_service_centre(smsc) + body).hex().upper(), len(body)


def submit(pdu: str) -> tuple[str, str]:
    """Number and text of an SMS-SUBMIT. Raises ValueError when it is none."""
    data = bytes.fromhex(pdu)
    try:
        at = 1 + data[0]
        first, digits = data[at], data[at + 2]
        if first & 0x03 != 0x01:
            raise ValueError("not an SMS-SUBMIT")
        octets = (digits + 1) // 2
        number = _number(data[at + 3], data[at + 4 : at + 4 + octets], digits)
        at += 4 + octets
        scheme = data[at + 1]
        at += 2 + {0x00: 0, 0x08: 7, 0x10: 1, 0x18: 7}[first & 0x18]
        length, user = data[at], data[at + 1 :]
    except IndexError:
        raise ValueError("SMS-SUBMIT is cut short") from None
    header = user[0] + 1 if first & 0x40 else 0
    if scheme & 0x0C == 0x08:
        return number, user[header:length].decode("utf-16-be", "replace")
    if scheme & 0x0C == 0x04:
        return number, user[header:length].decode("latin-1")
    return number, unpacked(user, length, (header * 8 + 6) // 7)


def _number(kind: int, octets: bytes, digits: int) -> str:
    swapped = "".join(f"{octet & 0x0F:X}{octet >> 4:X}" for octet in octets)[:digits]
    return ("+" if kind & 0x70 == 0x10 else "") + swapped
