"""SMS PDUs (23.040): what came in as DELIVER and STATUS-REPORT, what goes out as SUBMIT."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from simulator.modem.charset import from_septets, septets
from simulator.modem.sms import DELIVER, REPORT, SUBMIT, Message

ALPHANUMERIC = 0xD0  # type of an address that is a name
ENHANCED, RELATIVE, ABSOLUTE = 0x08, 0x10, 0x18  # TP-VPF, 23.040 9.2.3.3
VALIDITY_FORMAT = 0x18
OCTETS, UCS2, ALPHABET = 0x04, 0x08, 0x0C  # in a data coding scheme (23.038 clause 4); 0: the default alphabet
_VALIDITY_OCTETS = {0: 0, ENHANCED: 7, RELATIVE: 1, ABSOLUTE: 7}
USER_DATA_OCTETS = 140  # 23.040 9.2.3.24
_WHOLE = {True: 160, False: 70}  # what that is in septets, and in signs of UCS2
_PART = {True: 153, False: 67}  # beside the header of a part
HEADED = 0x40  # TP-UDHI


def packed(codes: list[int]) -> bytes:
    """Seven bits each, the first in the lowest bits (23.038 6.1.2.1.1)."""
    bits = 0
    for place, code in enumerate(codes):
        bits |= code << (7 * place)
    return bits.to_bytes((7 * len(codes) + 7) // 8, "little")


def unpacked(data: bytes, count: int, skip_septets: int = 0) -> str:
    bits = int.from_bytes(data, "little")
    return from_septets((bits >> (7 * place)) & 0x7F for place in range(skip_septets, count))


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
    lacks = not message.scheme & ALPHABET and septets(message.text) is None
    return UCS2 if lacks else message.scheme


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
    length, address = _address(message.number)
    validity = _validity(message)
    head = bytes([message.first_octet, message.reference, length]) + address
    return head + bytes([message.protocol, scheme(message)]) + validity + _user_data(message)


def _validity(message: Message) -> bytes:
    """23.040 9.2.3.12; raises ValueError where the value is not in the format that the first octet names."""
    form, value = message.first_octet & VALIDITY_FORMAT, message.validity.strip('"')
    if form == RELATIVE:
        return bytes([int(value)])
    if form == ABSOLUTE:
        zone = timezone(timedelta(minutes=15 * int(value[-3:])))
        return _stamp(datetime.strptime(value[:-3], "%y/%m/%d,%H:%M:%S").replace(tzinfo=zone))
    return bytes.fromhex(value.zfill(14)) if form == ENHANCED else b""


def _report(message: Message) -> bytes:
    """23.040 9.2.2.3; status 0: it was received."""
    length, address = _address(message.number)
    head = bytes([message.first_octet, message.reference, length]) + address
    return head + _stamp(message.at) + _stamp(message.done_at or message.at) + b"\x00"


def _user_data(message: Message) -> bytes:
    """Its length, in septets where it is in septets, its header and the text (23.040 9.2.3.24)."""
    if alphabet := scheme(message) & ALPHABET:
        user = message.header + message.text.encode("utf-16-be" if alphabet == UCS2 else "latin-1", "replace")
        return bytes([len(user)]) + user
    codes = septets(message.text) or []
    filled = (8 * len(message.header) + 6) // 7  # the text begins at a septet of its own
    head = [(int.from_bytes(message.header, "little") >> (7 * place)) & 0x7F for place in range(filled)]
    return bytes([filled + len(codes)]) + packed(head + codes)


def too_long(message: Message) -> bool:
    return len(_user_data(message)) - 1 > USER_DATA_OCTETS


def parts(message: Message, reference: int) -> Iterator[Message]:
    """The message as the network sends it: whole, or in parts with a header each (23.040 9.2.3.24.1)."""
    texts = _pieces(message.text)
    for place, text in enumerate(texts, 1):
        header = bytes([5, 0, 3, reference, len(texts), place]) if len(texts) > 1 else b""
        yield replace(
            message,
            text=text,
            header=header,
            first_octet=message.first_octet | (HEADED if header else 0),
            scheme=scheme(message),
        )


def _pieces(text: str) -> list[str]:
    narrow = septets(text) is not None

    def size(piece: str) -> int:
        return len(septets(piece) or ()) if narrow else len(piece.encode("utf-16-be")) // 2

    if size(text) <= _WHOLE[narrow]:
        return [text]
    found = [""]
    for char in text:
        if size(found[-1] + char) > _PART[narrow]:
            found.append("")
        found[-1] += char
    return found


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
        relative = kind == SUBMIT and first & VALIDITY_FORMAT == RELATIVE
        validity = str(data[place + 2]) if relative else ""
        place += 2 + (7 if kind == DELIVER else _VALIDITY_OCTETS[first & VALIDITY_FORMAT])
        length, user = data[place], data[place + 1 :]
    except IndexError:
        raise ValueError("the PDU is cut short") from None
    text = _user_text(user, length, coding, headed=bool(first & HEADED))
    return Message(
        number,
        text,
        at,
        kind=kind,
        first_octet=first,
        protocol=protocol,
        scheme=coding,
        validity=validity,
        octets=data.hex().upper(),
    )


def _user_text(user: bytes, length: int, coding: int, *, headed: bool) -> str:
    header = user[0] + 1 if headed and user else 0
    if coding & ALPHABET == UCS2:
        return user[header:length].decode("utf-16-be", "replace")
    if coding & ALPHABET == OCTETS:
        return user[header:length].decode("latin-1")
    return unpacked(user, length, (header * 8 + 6) // 7)


def _number(kind: int, octets: bytes, digits: int) -> str:
    if kind & 0x70 == ALPHANUMERIC & 0x70:
        return unpacked(octets, digits * 4 // 7)
    swapped = "".join(f"{octet & 0x0F:X}{octet >> 4:X}" for octet in octets)[:digits]
    return ("+" if kind & 0x70 == 0x10 else "") + swapped
