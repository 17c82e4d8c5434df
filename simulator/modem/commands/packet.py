"""27.007 clause 10: packet data contexts."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.modem.commands.table import Call, command
from simulator.modem.facts import gateway
from simulator.modem.parameters import Parameters
from simulator.modem.reply import Refused, Reply, ok
from simulator.modem.state import Context

_LONGEST_NAME = 100  # of an access point, in octets (23.003 9.1)
_V6_NONE = "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"


def _active(call: Call) -> list[Context]:
    return [context for context in call.state.contexts if context.active]


def _choice(name: str, contexts: Iterable[Context]) -> str:
    """What a test form says: the contexts that a command may be about."""
    return f"{name}: ({','.join(str(context.cid) for context in contexts)})"


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
        for context in [c for c in contexts if c.cid == cid]:
            call.modem.registration.deactivate(context, "ME")
            contexts.remove(context)
        return ok()
    kind = call.argument(1).upper() or "IP"
    if len(call.argument(2)) > _LONGEST_NAME:
        raise Refused(50)
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
    if on:
        call.need_sim()
    cids = [call.number(i) for i in range(1, len(call.args))] or [c.cid for c in call.state.contexts]
    for cid in cids:
        context = _context(call, cid)
        if not on:
            call.modem.registration.deactivate(context, "ME")
        elif not call.modem.registration.activate(context):
            raise Refused(133 if call.modem.registration.session_cause else 148)
    return ok(delay_s=0.3)


@command("+CGPADDR")
def addresses(call: Call) -> Reply:
    contexts = call.state.contexts
    if call.form == "test":
        return ok(_choice("+CGPADDR", contexts))
    if call.form == "set":
        contexts = [_context(call, call.number(i)) for i in range(len(call.args))]
    return ok(*[f"+CGPADDR: {c.cid}" + (f',"{c.address}"' if c.address else ",0.0.0.0") for c in contexts])


@command("+CGCONTRDP")
def dynamic_parameters(call: Call) -> Reply:
    contexts = _active(call)
    if call.form == "test":
        return ok(_choice("+CGCONTRDP", contexts))
    if call.form == "set":
        contexts = [c for c in [_context(call, call.number(0))] if c.active]
    return ok(*[_dynamic(call, context) for context in contexts])


@command("+CGCMOD")
def modify(call: Call) -> Reply:
    """27.007 10.1.11: the new quality of contexts that are active, of all without a parameter."""
    active = _active(call)
    if call.form == "test":
        return ok(_choice("+CGCMOD", active))
    if call.form == "read" or any(_context(call, call.number(place)) not in active for place in range(len(call.args))):
        raise Refused(50)
    return ok()


@command("+CGSCONTRDP", "+CGTFTRDP")
def beside_the_default_bearer(call: Call) -> Reply:
    """27.007 10.1.24 and 10.1.25: secondary contexts and traffic flow templates, of which there are none."""
    if call.form == "read":
        raise Refused(50)
    return ok()


@command("+CGEQOSRDP")
def dynamic_quality(call: Call) -> Reply:
    """27.007 10.1.27; 9: the class of the default bearer (23.203 6.1.7)."""
    active = _active(call)
    if call.form == "test":
        return ok(_choice("+CGEQOSRDP", active))
    if call.form == "read":
        raise Refused(50)
    wanted = [_context(call, call.number(0))] if call.args else active
    return ok(*[f"+CGEQOSRDP: {c.cid},9,0,0,0,0" for c in wanted if c.active])


def _dynamic(call: Call, context: Context) -> str:
    """Address and mask in one string of 4+4 octets (27.007 10.1.23); the gateway is the address beside it."""
    network = call.state.network
    apn = f"{context.apn or 'internet'}.mnc{int(network.mnc):03d}.mcc{network.mcc}.gprs"
    values = (apn, f"{context.address}.255.255.255.252", gateway(context.address), *network.name_servers)
    return f"+CGCONTRDP: {context.cid},5," + ",".join(f'"{value}"' for value in values)


# 27.007 10.1.4 to 10.1.7 and 10.1.31: parameters for each context, and their ranges. The context alone takes its
# values back. "+CGAUTH" does not show its password.
_BY_CONTEXT = {
    "+CGQREQ": ('"IP",(0-3),(0-4),(0-5),(0-9),(0-18,31)', "(0-3),(0-4),(0-5),(0-9),(0-18,31)"),
    "+CGQMIN": ('"IP",(0-3),(0-4),(0-5),(0-9),(0-18,31)', "(0-3),(0-4),(0-5),(0-9),(0-18,31)"),
    "+CGEQOS": ("(1-24),(0-9)", "(0-9)"),
    "+CGAUTH": ("(1-24),(0-2),<userid>,<password>", "(0-2)"),
}


@command(*_BY_CONTEXT)
def by_context(call: Call) -> Reply:
    shown, ranges = _BY_CONTEXT[call.name]
    kept = call.state.reporting.by_context.setdefault(call.name, {})
    if call.form == "test":
        return ok(f"{call.name}: {shown}")
    if call.form == "read":
        return ok(*[f"{call.name}: {cid},{','.join(values)}" for cid, values in sorted(kept.items())])
    cid = call.number(0, allowed=range(1, 25))
    if len(call.args) == 1:
        kept.pop(cid, None)
        return ok()
    count = ranges.count("(")
    values = Parameters(ranges, "").accepted(call.args[1 : count + 1], kept.get(cid, ["0"] * count))
    if values is None or (len(call.args) > count + 1 and call.name != "+CGAUTH"):
        raise Refused(50)
    kept[cid] = values
    return ok()


@command("+CEDRXS")
def sleep_cycle(call: Call) -> Reply:
    """27.007 7.40: accepted; no cycle is ever shorter here."""
    return ok('+CEDRXS: (0-3),(2,4,5),("0000"-"1111")') if call.form == "test" else ok()
