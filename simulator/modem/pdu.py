"""SMS PDUs (23.040): what came in as DELIVER and STATUS-REPORT, what goes out as SUBMIT."""

from __future__ import annotations

from datetime import datetime, timedelta

from simulator.modem.sms import DELIVER, REPORT, SUBMIT, Message

# 23.038 6.2.1; the escape at 0x1B leads to the extension table.
_ALPHABET = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = {"^": 0x14, "{": 0x28, "}": 0x29, "\\": 0x2F, "[": 0x3C, "~": 0x3D, "]": 0x3E, "|": 0x40, "€": 0x65}
ALPHANUMERIC = 0xD0  # type of an address that is a name
_VALIDITY_OCTETS = {0x00: 0, 0x08: 7, 0x10: 1, 0x18: 7}  # TP-VPF, 23.040 9.2.3.3
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
    """Its length in digits, its type and the digits; a name in the default alphabet (23.040 9.1.2.5)."""
    digits = number.removeprefix("+")
    if not digits.isdecimal() and digits:
        codes = septets(number) or []
        return (7 * len(codes) + 3) // 4, bytes([ALPHANUMERIC]) + packed(codes)
    return len(digits), bytes([0x91 if number.startswith("+") else 0x81]) + _semi_octets(digits)


def _service_centre(number: str) -> bytes:
    length, body = _address(number)
    return bytes([len(body)]) + body if length else b"\x00"


def _stamp(when: datetime) -> bytes:
    quarters = int((when.utcoffset() or timedelta()).total_seconds() // 900)
    zone = int(_semi_octets(f"{abs(quarters):02d}")[0]) | (0x08 if quarters < 0 else 0)
    return _semi_octets(when.strftime("%y%m%d%H%M%S")) + bytes([zone])


def scheme(message: Message) -> int:
    """Its data coding scheme: UCS2 where the default alphabet lacks a sign."""
    return 0x08 if septets(message.text) is None else message.scheme


def shown(message: Message, smsc: str) -> tuple[str, int]:
    """A message as hex, and its length without the service centre's address."""
    if message.octets:
        data = bytes.fromhex(message.octets)
        return message.octets, len(data) - 1 - data[0]
    if message.kind == SUBMIT:
        return _with_centre(_submit(message), "")
    return _with_centre(_report(message), smsc) if message.kind == REPORT else deliver(message, smsc)


def deliver(message: Message, smsc: str) -> tuple[str, int]:
    """The SMS-DELIVER of a message as hex, and its length without the service centre's address."""
    return _with_centre(_deliver(message), smsc)


def _with_centre(body: bytes, smsc: str) -> tuple[str, int]:
    return (_service_centre(smsc) + body).hex().upper(), len(body)


def _deliver(message: Message) -> bytes:
    length, address = _address(message.number)
    head = bytes([message.first_octet, length]) + address + bytes([message.protocol, scheme(message)])
    return head + _stamp(message.at) + _user_data(message)


def _submit(message: Message) -> bytes:
    """With a relative validity period, or none (23.040 9.2.3.3)."""
    length, address = _address(message.number)
    validity = bytes([message.validity]) if message.first_octet & 0x18 == 0x10 else b""
    head = bytes([message.first_octet, message.reference, length]) + address
    return head + bytes([message.protocol, scheme(message)]) + validity + _user_data(message)


def _report(message: Message) -> bytes:
    """23.040 9.2.2.3; status 0: it was received."""
    length, address = _address(message.number)
    head = bytes([message.first_octet, message.reference, length]) + address
    return head + _stamp(message.at) + _stamp(message.done_at or message.at) + b"\x00"


def _user_data(message: Message) -> bytes:
    codes = septets(message.text)
    if codes is None or scheme(message) & 0x0C == 0x08:
        user = message.text.encode("utf-16-be")
        return bytes([len(user)]) + user
    return bytes([len(codes)]) + packed(codes)


def handed_over(pdu: str, at: datetime) -> Message:
    """What the host has as a PDU: an SMS-SUBMIT, or an SMS-DELIVER to keep. Raises ValueError when it is neither."""
    data = bytes.fromhex(pdu)
    try:
        place = 1 + data[0]
        first = data[place]
        kind = {0x00: DELIVER, 0x01: SUBMIT}.get(first & 0x03)
        if kind is None:
            raise ValueError("neither an SMS-SUBMIT nor an SMS-DELIVER")
        place += 2 if kind == SUBMIT else 1  # a SUBMIT has a reference before its address
        digits = data[place]
        octets = (digits + 1) // 2
        number = _number(data[place + 1], data[place + 2 : place + 2 + octets], digits)
        place += 2 + octets
        protocol, coding = data[place], data[place + 1]
        place += 2 + (7 if kind == DELIVER else _VALIDITY_OCTETS[first & 0x18])
        length, user = data[place], data[place + 1 :]
    except IndexError:
        raise ValueError("the PDU is cut short") from None
    text = _user_text(user, length, coding, headed=bool(first & 0x40))
    return Message(
        number, text, at, kind=kind, first_octet=first, protocol=protocol, scheme=coding, octets=data.hex().upper()
    )


def _user_text(user: bytes, length: int, coding: int, *, headed: bool) -> str:
    header = user[0] + 1 if headed and user else 0
    if coding & 0x0C == 0x08:
        return user[header:length].decode("utf-16-be", "replace")
    if coding & 0x0C == 0x04:
        return user[header:length].decode("latin-1")
    return unpacked(user, length, (header * 8 + 6) // 7)


def _number(kind: int, octets: bytes, digits: int) -> str:
    if kind & 0x70 == ALPHANUMERIC & 0x70:
        return unpacked(octets, digits * 4 // 7)
    swapped = "".join(f"{octet & 0x0F:X}{octet >> 4:X}" for octet in octets)[:digits]
    return ("+" if kind & 0x70 == 0x10 else "") + swapped
