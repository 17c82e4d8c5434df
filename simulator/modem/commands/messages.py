"""27.005: what the SMS commands are set to, and how messages are listed, read and deleted."""

from __future__ import annotations

from collections.abc import Container

from simulator.modem import message_text, pdu
from simulator.modem.charset import displayed, understood
from simulator.modem.commands.table import Call, command, dialled, setting
from simulator.modem.reply import Refused, Reply, ok
from simulator.modem.sms import CAPACITY, REC_READ, REC_UNREAD, STATUSES, Message

_SIM_ERRORS = {10: 310, 11: 311, 12: 316}
_SIM_BUSY = 314
_ADDRESS_TYPES = {str(kind) for kind in range(128, 256)}  # 24.011 8.2.5.2: bit 8 is always 1
_DELETED = {1: (1,), 2: (1, 3), 3: (1, 2, 3), 4: (0, 1, 2, 3)}  # <delflag> of 27.005 3.5.4 -> <stat>


def need_sim(call: Call) -> None:
    """27.005 has its own numbers for a SIM that is not there."""
    try:
        call.need_sim()
    except Refused as refused:
        raise Refused(_SIM_ERRORS.get(refused.code or 0, _SIM_BUSY), "CMS") from None


def index(call: Call, place: int = 0) -> int:
    """A place in a memory; one that cannot be is an invalid index."""
    text = call.argument(place)
    if not text.isdecimal():
        raise Refused(321, "CMS")
    return int(text)


def number_in(call: Call, place: int) -> str:
    """A telephone number in the host's character set, and the type that may follow it."""
    number = understood(call.argument(place), call.state.reporting.charset)
    kind = call.argument(place + 1)
    if not number.removeprefix("+").isdecimal() or (kind and kind not in _ADDRESS_TYPES):
        raise Refused(305, "CMS")
    return dialled(number, kind)


def _choice(call: Call, default: int | None, allowed: Container[int]) -> int:
    try:
        return call.number(0, default, allowed=allowed)
    except Refused:
        raise Refused(303, "CMS") from None  # as for the rows of parameters.py


def _set_mode(call: Call) -> None:
    call.state.reporting.text_mode = _choice(call, 0, range(2))


def _set_charset(call: Call) -> None:
    """Its name is itself text in the present character set."""
    name = understood(call.argument(0), call.state.reporting.charset)
    if f'"{name}"' not in call.modem.profile.dialect.charsets:
        raise Refused(50)
    call.state.reporting.charset = name


def _service_centre(call: Call) -> str:
    """It is the SIM's (31.102, EF_SMSP)."""
    need_sim(call)
    smsc = call.state.sim.smsc
    return f'"{displayed(smsc, call.state.reporting.charset)}",{145 if smsc.startswith("+") else 129}'


def _set_service_centre(call: Call) -> None:
    need_sim(call)
    call.state.sim.smsc = number_in(call, 0)


def _set_service(call: Call) -> None:
    call.state.reporting.sms_service = _choice(call, None, range(2))


setting("+CMGF", "(0,1)", lambda call: str(call.state.reporting.text_mode), _set_mode)
setting("+CSCA", "", _service_centre, _set_service_centre)


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
    if call.form == "read":
        return ok(f"+CSMS: {call.state.reporting.sms_service},1,1,1")
    _set_service(call)
    return ok("+CSMS: 1,1,1")


@command("+CSAS", "+CRES")
def saved_settings(call: Call) -> Reply:
    """27.005 3.3.5 and 3.3.6: one profile."""
    if call.form == "test":
        return ok(f"{call.name}: (0)")
    if call.form == "read" or call.argument(0, "0") != "0":
        raise Refused(303, "CMS")
    if call.name == "+CSAS":
        call.modem.messages.save_settings()
    else:
        call.modem.messages.restore_settings()
    return ok()


@command("+CPMS")
def storage(call: Call) -> Reply:
    """27.005 3.2.2: one memory to read and delete, one to write and send from, one for what comes in."""
    store = call.modem.sms
    if call.form == "test":
        memories = ",".join(f'"{name}"' for name in sorted(store.memories, reverse=True))
        return ok(f"+CPMS: ({memories}),({memories}),({memories})")
    if call.form == "read":
        return ok("+CPMS: " + ",".join(f'"{name}",{_used(call, name)}' for name in store.chosen))
    need_sim(call)
    if not call.args:  # mem1 may not be left out
        raise Refused(305 if call.state.reporting.text_mode else 304, "CMS")
    wanted = [call.argument(place) or before for place, before in enumerate(store.chosen)]
    if any(name not in store.memories for name in wanted) or len(call.args) > len(wanted):
        raise Refused(302, "CMS")
    store.chosen = wanted
    call.modem.messages.retry()
    return ok("+CPMS: " + ",".join(_used(call, name) for name in wanted))


def _used(call: Call, memory: str) -> str:
    return f"{len(call.modem.sms.memories[memory])},{CAPACITY}"


@command("+CMGL")
def list_messages(call: Call) -> Reply:
    text_mode = bool(call.state.reporting.text_mode)
    if call.form == "test":
        words = ",".join(f'"{status}"' for status in (*STATUSES, "ALL"))
        return ok(f"+CMGL: ({words})" if text_mode else "+CMGL: (0-4)")
    need_sim(call)
    wanted = _wanted(call, text_mode)
    lines: list[str] = []
    for place, message in sorted(call.modem.sms.messages.items()):
        if wanted in (4, message.status):
            header, body = message_text.listed(call.state, message) if text_mode else _octets(call, message)
            lines += [f"+CMGL: {place},{header}", *([body] if body else [])]
            _mark_read(call, message)
    return ok(*lines)


def _wanted(call: Call, text_mode: bool) -> int:
    """27.005 3.4.2: a word in text mode, a number in PDU mode."""
    choices = (*STATUSES, "ALL") if text_mode else ("0", "1", "2", "3", "4")
    given = call.argument(0) or choices[0]
    if given.upper() not in choices:
        raise Refused(305 if text_mode else 304, "CMS")
    return choices.index(given.upper())


def _octets(call: Call, message: Message) -> tuple[str, str]:
    octets, length = pdu.shown(message, call.state.sim.smsc)
    return f"{message.status},,{length}", octets


def _mark_read(call: Call, message: Message) -> None:
    """Not with a second parameter of 1, which makers have added (SIM7500/SIM7600 AT Command Manual, +CMGL, +CMGR)."""
    if message.status == REC_UNREAD and call.argument(1) != "1":
        message.status = REC_READ


@command("+CMGR")
def read_message(call: Call) -> Reply:
    if call.form == "test":
        return ok()
    need_sim(call)
    message = call.modem.sms.messages.get(index(call))
    if message is None:
        raise Refused(321, "CMS")
    text_mode = call.state.reporting.text_mode
    header, body = message_text.read(call.state, message) if text_mode else _octets(call, message)
    _mark_read(call, message)
    return ok(f"+CMGR: {header}", *([body] if body else []))


@command("+CMGD")
def delete_message(call: Call) -> Reply:
    messages = call.modem.sms.messages
    if call.form == "test":
        return ok(f"+CMGD: ({','.join(str(i) for i in sorted(messages))}),(0-4)")
    need_sim(call)
    flag = call.argument(1) or "0"
    if flag not in ("0", "1", "2", "3", "4"):
        raise Refused(305, "CMS")
    doomed = _DELETED.get(int(flag), ())
    for place in [i for i, m in messages.items() if m.status in doomed]:
        del messages[place]
    if not doomed and messages.pop(index(call), None) is None:
        raise Refused(321, "CMS")
    return ok(then=call.modem.messages.retry)
