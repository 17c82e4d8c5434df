"""Text mode's view of a message: the fields of 27.005 3.1 in the host's character set, with +CSDH's beside them."""

from __future__ import annotations

from datetime import datetime, timedelta

from simulator.modem import parameters, pdu
from simulator.modem.charset import displayed, septets
from simulator.modem.sms import REPORT, STATUSES, SUBMIT, Message
from simulator.modem.state import State


def listed(state: State, message: Message) -> tuple[str, str]:
    """What +CMGL shows after the index, and the text."""
    status = f'"{STATUSES[message.status]}"'
    if message.kind == REPORT:
        return f"{status},{_report(state, message)}", ""
    more = f",{_kind(message.number)},{_length(message)}" if _full(state) else ""
    stamp = "" if message.kind == SUBMIT else f'"{_stamp(message.at)}"'
    return f"{status},{_number(state, message.number)},,{stamp}{more}", _text(state, message)


def read(state: State, message: Message) -> tuple[str, str]:
    """What +CMGR shows, and the text."""
    status = f'"{STATUSES[message.status]}"'
    if message.kind == SUBMIT:
        more = _details(state, message, f"{message.validity},") if _full(state) else ""
        return f"{status},{_number(state, message.number)},{more}", _text(state, message)
    header, text = direct(state, message)
    return f"{status},{header}", text


def direct(state: State, message: Message) -> tuple[str, str]:
    """What +CMT or +CDS shows, and the text."""
    if message.kind == REPORT:
        return _report(state, message), ""
    more = _details(state, message, "") if _full(state) else ""
    return f'{_number(state, message.number)},,"{_stamp(message.at)}"{more}', _text(state, message)


def _full(state: State) -> bool:
    return parameters.value(state.reporting, "+CSDH", 0) == 1


def _details(state: State, message: Message, validity: str) -> str:
    smsc = state.sim.smsc
    scheme = pdu.scheme(message)
    return (
        f",{_kind(message.number)},{message.first_octet},{message.protocol},{scheme},{validity}"
        f"{_number(state, smsc)},{_kind(smsc)},{_length(message)}"
    )


def _report(state: State, message: Message) -> str:
    """<fo>,<mr>,<ra>,<tora>,<scts>,<dt>,<st>; 0: it was received (23.040 9.2.3.15)."""
    times = f'"{_stamp(message.at)}","{_stamp(message.done_at or message.at)}"'
    number = f"{_number(state, message.number)},{_kind(message.number)}"
    return f"{message.first_octet},{message.reference},{number},{times},0"


def _number(state: State, number: str) -> str:
    return f'"{displayed(number, state.reporting.charset)}"'


def _kind(number: str) -> int:
    if not number.removeprefix("+").isdecimal() and number:
        return pdu.ALPHANUMERIC
    return 145 if number.startswith("+") else 129


def _text(state: State, message: Message) -> str:
    """Hex where the message is in UCS2 or octets, whatever the character set is (27.005 3.1, <data>)."""
    alphabet = pdu.scheme(message) & pdu.ALPHABET
    if alphabet == pdu.OCTETS:
        return message.text.encode("latin-1", "replace").hex().upper()
    return displayed(message.text, "UCS2" if alphabet == pdu.UCS2 else state.reporting.charset)


def _length(message: Message) -> int:
    """Characters of the default alphabet, octets of another."""
    alphabet = pdu.scheme(message) & pdu.ALPHABET
    if alphabet == pdu.UCS2:
        return len(message.text.encode("utf-16-be"))
    return len(message.text) if alphabet == pdu.OCTETS else len(septets(message.text) or ())


def _stamp(when: datetime) -> str:
    quarters = int((when.utcoffset() or timedelta(0)).total_seconds() // 900)
    return when.strftime("%y/%m/%d,%H:%M:%S") + f"{quarters:+03d}"
