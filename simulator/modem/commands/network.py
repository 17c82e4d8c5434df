"""27.007 clauses 7 and 8.5: registration, operator and signal."""

from __future__ import annotations

from simulator.modem.charset import displayed, understood
from simulator.modem.commands.table import COMMANDS, Call, command
from simulator.modem.registration import ACT, DOMAINS
from simulator.modem.reply import Refused, Reply, ok

_TECHNOLOGIES = range(14)  # <AcT> of 27.007 7.3
_NEIGHBOURS = (("Orange B", "Orange B", "20610"), ("BASE", "BASE", "20620"))


def _registration(domain: str, name: str, modes: range) -> None:
    def handler(call: Call) -> Reply:
        reporting = call.state.reporting
        if call.form == "test":
            return ok(f"{name}: ({modes.start}-{modes.stop - 1})")
        if call.form != "read":
            setattr(reporting, domain, call.number(0, 0, allowed=modes))
            return ok()
        mode = getattr(reporting, domain)
        return ok(f"{name}: {mode},{call.modem.registration.fields(domain, mode)}")

    COMMANDS[name] = handler


for _domain, _name in DOMAINS.items():
    _registration(_domain, _name, range(4) if _domain != "cereg" else range(6))


@command("+COPS")
def operator(call: Call) -> Reply:
    """A scan takes its time and keeps the port; mode 3 only sets the format."""
    if call.form == "test":
        call.need_sim()
        _need_radio(call)
        return Reply(_scan(call), delay_s=call.modem.profile.timing.scan_s)
    if call.form == "read":
        return ok(_current(call))
    reporting, network = call.state.reporting, call.state.network
    mode, shape = call.number(0, allowed=range(5)), call.number(1, reporting.cops_format, allowed=range(3))
    call.number(3, 0, allowed=_TECHNOLOGIES)
    wanted = understood(call.argument(2), reporting.charset)
    if mode in (1, 4) and not wanted:
        raise Refused(50)
    if mode == 3:
        reporting.cops_format = shape
        return ok()
    call.need_sim()
    if mode != 2:
        _need_radio(call)
    there = wanted in (network.long_name, network.short_name, _plmn(call))
    if mode == 1 and not there:
        raise Refused(32)
    reporting.cops_mode = 0 if mode == 4 and not there else mode  # 4: automatic where the choice is not to be had
    reporting.cops_format = shape
    return ok(delay_s=1.0, then=call.modem.refresh)


def _need_radio(call: Call) -> None:
    """Nothing is looked for with the radio off."""
    if call.state.power.functionality != 1:
        raise Refused(30)


def _plmn(call: Call) -> str:
    return call.state.network.mcc + call.state.network.mnc


def _current(call: Call) -> str:
    network, reporting = call.state.network, call.state.reporting
    if not call.modem.registration.registered:
        return f"+COPS: {reporting.cops_mode}"
    names = (network.long_name, network.short_name, _plmn(call))
    shown = names[reporting.cops_format]
    if reporting.cops_format < 2:
        shown = displayed(shown, reporting.charset)
    return f'+COPS: {reporting.cops_mode},{reporting.cops_format},"{shown}",{ACT[call.state.radio.cell.rat]}'


def _scan(call: Call) -> list[str]:
    network, charset = call.state.network, call.state.reporting.charset
    rows = []
    if call.modem.covered:
        status = 2 if call.modem.registration.registered else 1 if network.accepts else 3
        found = [(status, network.long_name, network.short_name, _plmn(call)), *[(3, *each) for each in _NEIGHBOURS]]
        for stat, long, short, plmn in found:
            rows.append(f'({stat},"{displayed(long, charset)}","{displayed(short, charset)}","{plmn}",7)')
    return [f"+COPS: {','.join(rows)}{',' if rows else ''},(0,1,2,3,4),(0,1,2)"]


@command("+COPN")
def operator_names(call: Call) -> Reply:
    """27.007 7.21: the names that the module knows, by number."""
    if call.form == "test":
        return ok()
    charset, network = call.state.reporting.charset, call.state.network
    known = {plmn: long for long, _, plmn in _NEIGHBOURS} | {_plmn(call): network.long_name}
    return ok(*[f'+COPN: "{plmn}","{displayed(name, charset)}"' for plmn, name in sorted(known.items())])


@command("+CSQ")
def signal_quality(call: Call) -> Reply:
    if call.form == "test":
        return ok("+CSQ: (0-31,99),(0-7,99)")
    facts = "{csq}" if _heard(call) else "99"
    return ok(call.modem.render(f"+CSQ: {facts},99"))


def _heard(call: Call) -> bool:
    return call.modem.covered and call.state.power.functionality == 1


@command("+CESQ")
def extended_signal_quality(call: Call) -> Reply:
    if call.form == "test":
        return ok("+CESQ: (0-63,99),(0-7,99),(0-96,255),(0-49,255),(0-34,255),(0-97,255)")
    shapes = {
        "GSM": "{rxlev_index},99,255,255,255,255",
        "WCDMA": "99,99,{rscp_index},{ecno_index},255,255",
    }
    shape = shapes.get(call.state.radio.cell.rat, "99,99,255,255,{rsrq_index},{rsrp_index}")
    return ok(call.modem.render("+CESQ: " + (shape if _heard(call) else "99,99,255,255,255,255")))


@command("+CPOL")
def preferred(call: Call) -> Reply:
    return ok() if call.form != "test" else ok(f"{call.name}: (1-80),(0-2)")


@command("+CEER")
def extended_error(call: Call) -> Reply:
    registration = call.modem.registration
    if call.form == "test":
        return ok()
    if registration.reject_cause:
        return ok(f'+CEER: "EMM","{registration.reject_cause}"')
    if registration.session_cause:
        return ok("+CEER: Requested service option not subscribed")
    return ok(f"+CEER: {registration.release_cause or 'No cause information available'}")
