"""27.005: sending, storing for later, and acknowledging messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from simulator.modem import parameters, pdu
from simulator.modem.charset import from_ucs2, understood
from simulator.modem.commands.messages import index, need_sim, number_in
from simulator.modem.commands.table import Call, command
from simulator.modem.reply import Prompt, Refused, Reply, ok
from simulator.modem.sms import DELIVER, REC_READ, REC_UNREAD, STATUSES, STO_SENT, STO_UNSENT, SUBMIT, Message

_SEND_S = 0.3
_LONGEST_PDU = 164  # 23.040 9.2.3: an SMS-SUBMIT with 140 octets of text and the longest header


@command("+CMGS")
def send_message(call: Call) -> Reply:
    if call.form == "test":
        return ok()
    _need_network(call)
    if call.state.reporting.text_mode:
        _need_service_centre(call)
        number = number_in(call, 0)
        return Reply([], prompt=Prompt(lambda text: _sent(call, _written(call, number, text)), lines=True))
    return Reply([], prompt=Prompt(partial(_from_pdu, call, _length(call), partial(_sent, call))))


@command("+CMGW")
def write_message(call: Call) -> Reply:
    """27.005 3.5.3: into mem2, as a draft or with the status that is named."""
    if call.form == "test":
        return ok()
    need_sim(call)
    if call.state.reporting.text_mode:
        number = number_in(call, 0) if call.argument(0) else ""
        status = _status(call, call.argument(2))
        return Reply([], prompt=Prompt(lambda text: _stored(call, status, _written(call, number, text)), lines=True))
    status = _status(call, call.argument(1))
    return Reply([], prompt=Prompt(partial(_from_pdu, call, _length(call), partial(_stored, call, status))))


@command("+CMSS")
def send_stored(call: Call) -> Reply:
    """27.005 3.5.2: from mem2, to the number that it has or to another."""
    if call.form == "test":
        return ok()
    _need_network(call)
    draft = call.modem.sms.drafts.get(index(call))
    if draft is None:
        raise Refused(321, "CMS")
    if draft.kind != SUBMIT:
        raise Refused(302, "CMS")
    message = replace(draft, number=number_in(call, 1), octets="") if call.argument(1) else replace(draft)
    if not message.number:
        raise Refused(305, "CMS")
    reply = _sent(call, message)
    draft.status = STO_SENT
    return reply


@command("+CNMA")
def acknowledge(call: Call) -> Reply:
    """27.005 3.4.4: 2 says that the host could not take it; nothing to acknowledge is an error."""
    if call.form == "test":
        return ok() if call.state.reporting.text_mode else ok("+CNMA: (0-2)")
    how = call.argument(0) or "0"
    if how not in ("0", "1", "2"):
        raise Refused(305, "CMS")
    if not call.modem.messages.acknowledge(how != "2"):
        raise Refused(340, "CMS")
    return ok()


def _need_network(call: Call) -> None:
    need_sim(call)
    if not call.modem.registration.registered:
        raise Refused(331, "CMS")


def _need_service_centre(call: Call) -> None:
    if not call.state.sim.smsc:
        raise Refused(330, "CMS")


def _status(call: Call, given: str) -> int:
    if given in STATUSES:
        return STATUSES.index(given)
    if given and given not in ("0", "1", "2", "3"):
        raise Refused(305 if call.state.reporting.text_mode else 304, "CMS")
    return int(given or STO_UNSENT)


def _length(call: Call) -> int:
    text = call.argument(0)
    if not text.isdecimal() or not 0 < int(text) <= _LONGEST_PDU:
        raise Refused(304, "CMS")
    return int(text)


def _written(call: Call, number: str, text: bytes) -> Message:
    """What was typed at the prompt, with +CSMP's parameters; it must fit into one message."""
    reporting = call.state.reporting
    first_octet, validity, protocol, scheme = parameters.values(reporting, "+CSMP")
    message = Message(
        number,
        _text(text.decode("latin-1"), int(scheme), reporting.charset),
        call.modem.local_time(),
        kind=SUBMIT,
        first_octet=int(first_octet),
        protocol=int(protocol),
        scheme=int(scheme),
        validity=validity,
    )
    try:
        pdu.shown(message, "")
    except ValueError:  # a validity in another format than the first octet's
        raise Refused(305, "CMS") from None
    if pdu.too_long(message):
        raise Refused(305, "CMS")
    return message


def _text(typed: str, scheme: int, charset: str) -> str:
    """Hex of UCS2 or of octets where the scheme says so, else the host's character set (27.005 3.1, <data>)."""
    alphabet = scheme & pdu.ALPHABET
    if alphabet == pdu.OCTETS:
        try:
            return bytes.fromhex(typed).decode("latin-1")
        except ValueError:
            raise Refused(305, "CMS") from None
    if alphabet != pdu.UCS2 and charset != "UCS2":
        return understood(typed, charset)
    read = from_ucs2(typed)
    if read is None:
        raise Refused(305, "CMS")
    return read


def _from_pdu(call: Call, length: int, use: Callable[[Message], Reply], text: bytes) -> Reply:
    octets = text.decode("latin-1").strip()
    try:
        message = pdu.handed_over(octets, call.modem.local_time())
    except ValueError:
        raise Refused(304, "CMS") from None
    if pdu.shown(message, "")[1] != length:
        raise Refused(304, "CMS")
    return use(message)


def _sent(call: Call, message: Message) -> Reply:
    if message.kind != SUBMIT or (message.octets and not message.number.removeprefix("+").isdecimal()):
        raise Refused(304, "CMS")
    return ok(f"{call.name}: {call.modem.messages.send(message)}", delay_s=_SEND_S)


def _stored(call: Call, status: int, message: Message) -> Reply:
    store = call.modem.sms
    message.status = status
    if status in (REC_UNREAD, REC_READ):
        message.kind = DELIVER
    place = store.store(store.chosen[1], message)
    if not place:
        raise Refused(322, "CMS")
    return ok(f"+CMGW: {place}")
