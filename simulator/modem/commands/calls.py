"""Calls: dialling into packet data (V.250 6.3, 27.007 10.2), and the voice calls that are never made."""

from __future__ import annotations

import re

from simulator.modem.commands.basic import only_zero
from simulator.modem.commands.table import Call, command
from simulator.modem.reply import Refused, Reply, ok
from simulator.modem.state import Context
from simulator.modem.v250 import CONNECT_RATE_FROM_X

_MODIFIERS = re.compile(r"[TPW,!@\s\"']", re.IGNORECASE)  # V.250 6.3.1: how to dial, not what
# 27.007 10.2.1: *99 [*address [*layer 2 protocol [*cid]]] # and *98 [*cid] #
_SERVICE = re.compile(r"\*99(?:\*[^*#]*)?(?:\*(?P<protocol>[^*#]*))?(?:\*(?P<cid>\d*))?#|\*98(?:\*(?P<cid98>\d*))?#")
_USSD = re.compile(r"[*#][\d*#]*#")
_CONNECTED = "CONNECT 150000000"


@command("D")
def dial(call: Call) -> Reply:
    """A service code starts packet data, a USSD string before a semicolon is sent; there is no telephony here."""
    number, semicolon, _ = _MODIFIERS.sub("", call.text).partition(";")
    if semicolon and _USSD.fullmatch(number) and call.modem.registration.registered:
        return ok(then=lambda: call.modem.ussd.request(number))
    service = None if semicolon else _SERVICE.fullmatch(number)
    if service is None:
        return Reply([], final="NO CARRIER")
    if service["protocol"] not in (None, "", "1"):  # 1: PPP; the letters of "PPP" have gone as modifiers
        raise Refused(None)
    return _connected(call, service["cid"] or service["cid98"] or "") or Reply([], final="NO CARRIER")


@command("+CGDATA")
def enter_data_state(call: Call) -> Reply:
    """27.007 10.1.12."""
    if call.form == "test":
        return ok('+CGDATA: ("PPP")')
    if call.form == "read" or call.argument(0, "PPP") not in ("PPP", ""):
        raise Refused(50)
    reply = _connected(call, call.argument(1))
    if reply is None:
        raise Refused(133 if call.modem.registration.session_cause else 30)
    return reply


def _connected(call: Call, cid: str) -> Reply | None:
    context = _context(call, cid)
    if context is None or call.port.call is not None or _in_use(call, context):
        return None
    if not call.modem.registration.activate(context):
        return None
    says_rate = call.port.settings.basic["X"] >= CONNECT_RATE_FROM_X
    return Reply([], final=_CONNECTED if says_rate else "CONNECT", then=lambda: call.port.connect(context))


def _in_use(call: Call, context: Context) -> bool:
    """Its packets go to one port at a time."""
    return any(port.call is not None and port.call.context is context for port in call.modem.at_ports)


def _context(call: Call, cid: str) -> Context | None:
    contexts = call.state.contexts
    return next((c for c in contexts if not cid or c.cid == int(cid)), None) if not cid or cid.isdecimal() else None


@command("H", "+CHUP")
def hang_up(call: Call) -> Reply:
    if call.name == "H":
        only_zero(call)
    elif call.form == "test":
        return ok()
    call.port.hang_up()
    return ok()


@command("O")
def online(call: Call) -> Reply:
    """V.250 6.3.7: back to data mode after an escape."""
    only_zero(call)
    if call.port.call is None:
        return Reply([], final="NO CARRIER")
    says_rate = call.port.settings.basic["X"] >= CONNECT_RATE_FROM_X
    return Reply([], final=_CONNECTED if says_rate else "CONNECT", then=call.port.resume)


@command("A")
def answer(call: Call) -> Reply:
    """V.250 6.3.5: nobody rings."""
    if call.text:
        raise Refused(None)
    return Reply([], final="NO CARRIER")


@command("+CHLD", "+VTS")
def within_a_call(call: Call) -> Reply:
    """27.007 7.13 and C.2.11: what they act on is a voice call."""
    if call.form == "test":
        return ok(f"{call.name}: {'(0,1,1x,2,2x,3,4)' if call.name == '+CHLD' else '(0-9,*,#,A-D)'}")
    raise Refused(50 if call.form == "read" or not call.argument(0) else 3)


@command("+CLCC")
def current_calls(call: Call) -> Reply:
    """27.007 7.18: voice calls, of which there are none."""
    return ok()
