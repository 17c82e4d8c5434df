"""27.007 clause 10: packet data contexts."""

from __future__ import annotations

from simulator.modem.commands.table import Call, command, setting
from simulator.modem.facts import gateway
from simulator.modem.reply import Refused, Reply, ok
from simulator.modem.state import Context

_V6_NONE = "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"
_DNS = ("195.238.2.21", "195.238.2.22")


def _context(call: Call, cid: int) -> Context:
    for context in call.state.contexts:
        if context.cid == cid:
            return context
    raise Refused(50)


@command("+CGDCONT")
def define(call: Call) -> Reply:
    if call.form == "test":
        return ok(*[f'+CGDCONT: (1-24),"{kind}",,,(0-2),(0-4)' for kind in ("IP", "PPP", "IPV6", "IPV4V6")])
    if call.form == "read":
        return ok(*[_defined(call, context) for context in call.state.contexts])
    cid = call.number(0, allowed=range(1, 25))
    contexts = call.state.contexts
    if len(call.args) == 1:
        contexts[:] = [c for c in contexts if c.cid != cid]
        return ok()
    kind = call.argument(1).upper() or "IP"
    if kind not in {"IP", "IPV6", "IPV4V6", "PPP"}:
        raise Refused(50)
    known = next((c for c in contexts if c.cid == cid), None)
    if known is None:
        contexts.append(Context(cid, kind, call.argument(2)))
        contexts.sort(key=lambda c: c.cid)
    else:
        known.pdp_type, known.apn = kind, call.argument(2)
    return ok()


def _defined(call: Call, context: Context) -> str:
    if not call.modem.profile.dialect.pdp_zero:
        return f'+CGDCONT: {context.cid},"{context.pdp_type}","{context.apn}","{context.address}",0,0'
    zero = {"IP": "0.0.0.0", "IPV6": _V6_NONE}.get(context.pdp_type, f"0.0.0.0.{_V6_NONE}")
    return f'+CGDCONT: {context.cid},"{context.pdp_type}","{context.apn}","{zero}",0,0,0,0'


@command("+CGATT")
def attach(call: Call) -> Reply:
    registration = call.modem.registration
    if call.form == "test":
        return ok("+CGATT: (0,1)")
    if call.form == "read":
        return ok(f"+CGATT: {int(registration.registered and call.state.attached)}")
    wanted = call.number(0, allowed=range(2)) == 1
    if not wanted:
        call.state.attached = False
        return ok(delay_s=0.5, then=lambda: registration.drop_contexts("ME"))
    call.need_sim()
    call.state.attached = True
    if not registration.registered:
        raise Refused(107 if registration.overall == 3 else 30)
    return ok(delay_s=0.5, then=call.modem.refresh)


@command("+CGACT")
def activate(call: Call) -> Reply:
    if call.form == "test":
        return ok("+CGACT: (0,1)")
    if call.form == "read":
        return ok(*[f"+CGACT: {c.cid},{int(c.active)}" for c in call.state.contexts])
    on = call.number(0, allowed=range(2)) == 1
    cids = [call.number(i) for i in range(1, len(call.args))] or [c.cid for c in call.state.contexts]
    for cid in cids:
        context = _context(call, cid)
        if not on:
            _deactivate(call, context)
        elif not call.modem.registration.activate(context):
            raise Refused(133 if call.modem.registration.session_cause else 148)
    return ok(delay_s=0.3)


def _deactivate(call: Call, context: Context) -> None:
    if context.active:
        context.active, context.address = False, ""
        call.modem.packet_event(f"ME PDN DEACT {context.cid}")


@command("+CGPADDR")
def addresses(call: Call) -> Reply:
    contexts = call.state.contexts
    if call.form == "test":
        return ok(f"+CGPADDR: ({','.join(str(c.cid) for c in contexts)})")
    if call.form == "set":
        contexts = [_context(call, call.number(i)) for i in range(len(call.args))]
    return ok(*[f"+CGPADDR: {c.cid}" + (f',"{c.address}"' if c.address else ",0.0.0.0") for c in contexts])


@command("+CGCONTRDP")
def dynamic_parameters(call: Call) -> Reply:
    contexts = [c for c in call.state.contexts if c.active]
    if call.form == "test":
        return ok(f"+CGCONTRDP: ({','.join(str(c.cid) for c in contexts)})")
    if call.form == "set":
        contexts = [c for c in [_context(call, call.number(0))] if c.active]
    return ok(*[_dynamic(call, context) for context in contexts])


def _dynamic(call: Call, context: Context) -> str:
    """Address and mask in one string of 4+4 octets (27.007 10.1.23); the gateway is the address beside it."""
    network = call.state.network
    apn = f"{context.apn or 'internet'}.mnc{int(network.mnc):03d}.mcc{network.mcc}.gprs"
    values = (apn, f"{context.address}.255.255.255.252", gateway(context.address), *_DNS)
    return f"+CGCONTRDP: {context.cid},5," + ",".join(f'"{value}"' for value in values)


def _set_events(call: Call) -> None:
    call.state.reporting.cgerep = call.number(0, 0, allowed=range(3))


setting("+CGEREP", "(0-2),(0,1)", lambda call: f"{call.state.reporting.cgerep},0", _set_events)


@command("+CGAUTH", "+CGQREQ", "+CGQMIN", "+CGEQREQ", "+CGSMS", "+CSCON", "+CEDRXS", "+CPSMS", "+CEMODE", "+CGCLASS")
def kept(call: Call) -> Reply:
    """Settings that change nothing a host could see here."""
    shown = {"+CGSMS": "1", "+CSCON": "0,1", "+CPSMS": "0", "+CEMODE": "2", "+CGCLASS": '"A"'}
    if call.form == "read":
        return ok(*[f"{call.name}: {shown[call.name]}"] if call.name in shown else [])
    return ok(f"{call.name}: (0-3)") if call.form == "test" else ok()
