"""27.007 clause 7: supplementary services that the network keeps for the subscriber, and USSD."""

from __future__ import annotations

from simulator.modem.charset import displayed, understood
from simulator.modem.commands.table import Call, command, dialled
from simulator.modem.reply import Refused, Reply, ok

_ALL_CLASSES = 7  # 27.007 7.11: voice, data and fax
_UCS2_SCHEMES = range(72, 76)  # 23.038 5: 010010xx


def _need_network(call: Call) -> None:
    call.need_sim()
    if not call.modem.registration.registered:
        raise Refused(30)


@command("+CUSD")
def unstructured(call: Call) -> Reply:
    """27.007 7.15: 0 and 1 say whether answers are shown, a string with them is sent; 2 ends the session."""
    reporting = call.state.reporting
    if call.form == "test":
        return ok("+CUSD: (0-2)")
    if call.form == "read":
        return ok(f"+CUSD: {reporting.ussd}")
    mode = call.number(0, 0, allowed=range(3))
    scheme = call.number(2, 15, allowed=range(256))
    if mode == 2:
        call.modem.ussd.cancel()
        return ok()
    reporting.ussd = mode
    if not call.argument(1):
        return ok()
    _need_network(call)
    if call.modem.ussd.busy:
        raise Refused(3)
    text = understood(call.argument(1), "UCS2" if scheme in _UCS2_SCHEMES else reporting.charset)
    return ok(then=lambda: call.modem.ussd.request(text))


@command("+CCFC")
def forwarding(call: Call) -> Reply:
    """27.007 7.11: reason, mode (0 off, 1 on, 2 ask, 3 register, 4 erase), number."""
    if call.form == "test":
        return ok("+CCFC: (0-5)")
    if call.form != "set":
        raise Refused(50)
    reason, mode = call.number(0, allowed=range(6)), call.number(1, allowed=range(5))
    _need_network(call)
    numbers, charset = call.state.network.forwarding, call.state.reporting.charset
    key = str(reason)
    if mode == 2:
        if key not in numbers:
            return ok(f"+CCFC: 0,{_ALL_CLASSES}", delay_s=0.5)
        number = numbers[key]
        shown = f'"{displayed(number, charset)}",{145 if number.startswith("+") else 129}'
        return ok(f"+CCFC: 1,{_ALL_CLASSES},{shown}", delay_s=0.5)
    if mode == 3:
        number = dialled(understood(call.argument(2), charset), call.argument(3))
        if not number.lstrip("+").isdecimal():
            raise Refused(50)
        numbers[key] = number
    elif mode in (0, 4):
        numbers.pop(key, None)
    elif key not in numbers:  # switched on without a number ever registered
        raise Refused(3)
    return ok(delay_s=0.5)


@command("+CCWA")
def waiting(call: Call) -> Reply:
    """27.007 7.12: shown or not, and in the network on (1), off (0) or asked for (2)."""
    reporting, network = call.state.reporting, call.state.network
    if call.form == "test":
        return ok("+CCWA: (0,1)")
    if call.form == "read":
        return ok(f"+CCWA: {reporting.call_waiting}")
    shown = call.number(0, reporting.call_waiting, allowed=range(2))
    mode = call.number(1, allowed=range(3)) if call.argument(1) else None
    if mode is not None:
        _need_network(call)
    reporting.call_waiting = shown
    if mode == 2:
        return ok(f"+CCWA: {int(network.call_waiting)},{_ALL_CLASSES}", delay_s=0.5)
    if mode is not None:
        network.call_waiting = mode == 1
    return ok()
