"""27.005: the SMS commands, in text and in PDU mode."""

from __future__ import annotations

from datetime import timedelta

from simulator.modem import pdu
from simulator.modem.commands.table import Call, command, setting
from simulator.modem.reply import Refused, Reply, ok
from simulator.modem.sms import CAPACITY, STATUSES, Message
from simulator.modem.ucs2 import displayed, understood


def _set_mode(call: Call) -> None:
    call.state.reporting.text_mode = call.number(0, 0, allowed=range(2))


def _set_charset(call: Call) -> None:
    if f'"{call.argument(0)}"' not in call.modem.profile.dialect.charsets:
        raise Refused(50)
    call.state.reporting.charset = call.argument(0)


def _set_service_centre(call: Call) -> None:
    call.state.sim.smsc = understood(call.argument(0), call.state.reporting.charset)


def _set_indications(call: Call) -> None:
    call.state.reporting.cnmi_mt = call.number(1, 0, allowed=range(4))


setting("+CMGF", "(0,1)", lambda call: str(call.state.reporting.text_mode), _set_mode)
setting("+CSCA", "", lambda call: f'"{call.state.sim.smsc}",145', _set_service_centre)
setting("+CNMI", "(0-3),(0-3),(0-3),(0-2),(0,1)", lambda c: f"2,{c.state.reporting.cnmi_mt},0,0,0", _set_indications)
setting("+CSMP", "", lambda call: "17,167,0,0", lambda call: None)
setting("+CSDH", "(0,1)", lambda call: "0", lambda call: None)


@command("+CSCS")
def charset(call: Call) -> Reply:
    if call.form == "test":
        return ok(f"+CSCS: ({call.modem.profile.dialect.charsets})")
    if call.form == "read":
        return ok(f'+CSCS: "{call.state.reporting.charset}"')
    _set_charset(call)
    return ok()


@command("+CSMS")
def service(call: Call) -> Reply:
    if call.form == "test":
        return ok("+CSMS: (0,1)")
    return ok("+CSMS: 0,1,1,1") if call.form == "read" else ok("+CSMS: 1,1,1")


@command("+CPMS")
def storage(call: Call) -> Reply:
    store = call.modem.sms
    if call.form == "test":
        return ok('+CPMS: ("SM","ME"),("SM","ME"),("SM","ME")')
    if call.form == "read":
        used = len(store.messages)
        return ok("+CPMS: " + ",".join([f'"{store.memory}",{used},{CAPACITY}'] * 3))
    _need(call)
    memory = call.argument(0) or store.memory
    if memory not in store.memories:
        raise Refused(302, "CMS")
    store.memory = memory
    used = len(store.messages)
    return ok("+CPMS: " + ",".join([f"{used},{CAPACITY}"] * 3))


def _need(call: Call) -> None:
    """27.005 has its own numbers for a SIM that is not there."""
    try:
        call.need_sim()
    except Refused as refused:
        raise Refused({10: 310, 11: 311, 12: 316}.get(refused.code or 0, 314), "CMS") from None


def _shown(call: Call, message: Message) -> tuple[str, str]:
    charset_now = call.state.reporting.charset
    text = message.text
    if charset_now != "UCS2" and pdu.septets(text) is None:
        return displayed(message.number, charset_now), displayed(text, "UCS2")
    return displayed(message.number, charset_now), displayed(text, charset_now)


def _stamp(message: Message) -> str:
    quarters = int((message.at.utcoffset() or timedelta(0)).total_seconds() // 900)
    return message.at.strftime("%y/%m/%d,%H:%M:%S") + f"{quarters:+03d}"


@command("+CMGL")
def list_messages(call: Call) -> Reply:
    if call.form == "test":
        words = ",".join(f'"{status}"' for status in (*STATUSES, "ALL"))
        return ok(f"+CMGL: ({words})" if call.state.reporting.text_mode else "+CMGL: (0-4)")
    _need(call)
    text_mode = bool(call.state.reporting.text_mode)
    wanted = _wanted(call, text_mode)
    lines: list[str] = []
    for index, message in sorted(call.modem.sms.messages.items()):
        if wanted not in (4, message.status):
            continue
        if text_mode:
            number, text = _shown(call, message)
            lines += [f'+CMGL: {index},"{STATUSES[message.status]}","{number}",,"{_stamp(message)}"', text]
        else:
            octets, length = pdu.deliver(message, call.state.sim.smsc)
            lines += [f"+CMGL: {index},{message.status},,{length}", octets]
        message.status = 1 if message.status == 0 else message.status
    return ok(*lines)


def _wanted(call: Call, text_mode: bool) -> int:
    given = call.argument(0)
    if given.isdigit() and int(given) <= 4:
        return int(given)
    choices = (*STATUSES, "ALL")
    if given.upper() in choices:
        return choices.index(given.upper())
    if not given:
        return 0
    raise Refused(305 if text_mode else 304, "CMS")


@command("+CMGR")
def read_message(call: Call) -> Reply:
    if call.form == "test":
        return ok()
    _need(call)
    message = call.modem.sms.messages.get(call.number(0))
    if message is None:
        raise Refused(321, "CMS")
    if call.state.reporting.text_mode:
        number, text = _shown(call, message)
        lines = [f'+CMGR: "{STATUSES[message.status]}","{number}",,"{_stamp(message)}"', text]
    else:
        octets, length = pdu.deliver(message, call.state.sim.smsc)
        lines = [f"+CMGR: {message.status},,{length}", octets]
    message.status = 1 if message.status == 0 else message.status
    return ok(*lines)


@command("+CMGD")
def delete_message(call: Call) -> Reply:
    messages = call.modem.sms.messages
    if call.form == "test":
        return ok(f"+CMGD: ({','.join(str(i) for i in sorted(messages))}),(0-4)")
    _need(call)
    doomed = {1: (1,), 2: (1, 3), 3: (1, 2, 3), 4: (0, 1, 2, 3)}.get(call.number(1, 0, allowed=range(5)), ())
    for index in [i for i, m in messages.items() if m.status in doomed]:
        del messages[index]
    if not doomed and messages.pop(call.number(0), None) is None:
        raise Refused(321, "CMS")
    return ok()


@command("+CMGS")
def send_message(call: Call) -> Reply:
    if call.form == "test":
        return ok()
    _need(call)
    if not call.modem.registration.registered:
        raise Refused(331, "CMS")
    if call.state.reporting.text_mode:
        number = understood(call.argument(0), call.state.reporting.charset)
        return Reply([], prompt=lambda text: _sent(call, number, _decoded(call, text)))
    if not call.argument(0).isdigit():
        raise Refused(304, "CMS")
    length = int(call.argument(0))
    return Reply([], prompt=lambda text: _sent_pdu(call, length, text))


def _decoded(call: Call, text: bytes) -> str:
    return understood(text.decode("latin-1"), call.state.reporting.charset)


def _sent_pdu(call: Call, length: int, text: bytes) -> Reply:
    octets = text.decode("latin-1").strip()
    try:
        number, content = pdu.submit(octets)
    except ValueError:
        raise Refused(304, "CMS") from None
    if len(octets) // 2 - 1 - int(octets[:2], 16) != length:
        raise Refused(304, "CMS")
    return _sent(call, number, content)


def _sent(call: Call, number: str, text: str) -> Reply:
    if not number.lstrip("+").isdigit():
        raise Refused(305, "CMS")
    reference = call.modem.sms.send(number, text, call.modem.local_time())
    call.modem.note(f"sms to {number}")
    return ok(f"+CMGS: {reference}", delay_s=0.3)
