"""27.007 clause 8: the SIM. PIN tries are counted as a real card counts them."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from simulator.modem.charset import displayed
from simulator.modem.commands.table import Call, command
from simulator.modem.reply import Refused, Reply, ok

_PIN = re.compile(r"[0-9]{4,8}")  # 102.221 9.5.1
_FACILITIES = ("SC", "AO", "OI", "OX", "AI", "IR", "AB", "AG", "AC", "FD", "PN", "PU", "PP")
_QUOTED = ",".join(f'"{name}"' for name in _FACILITIES)
_EF_ICCID, _EF_IMSI, _EF_SPN, _EF_AD = 0x2FE2, 0x6F07, 0x6F46, 0x6FAD


@command("+CPIN")
def pin(call: Call) -> Reply:
    sim = call.state.sim
    if call.form == "test":
        return ok()
    if not sim.present:
        raise Refused(10)
    if sim.busy:
        raise Refused(sim.busy)
    if call.form == "read":
        return ok(f"+CPIN: {call.modem.sim_text}")
    if sim.locked == "SIM PIN":
        return _try_pin(call)
    if sim.locked == "SIM PUK":
        return _try_puk(call)
    raise Refused(3)


def _verify(call: Call, given: str) -> None:
    """The card compares a PIN: three wrong ones in a row block it, whichever command brought them (102.221 9.5)."""
    sim = call.state.sim
    if not _PIN.fullmatch(given):
        raise Refused(50)  # nothing that a card could be asked to compare
    if given == sim.pin:
        sim.pin_left = 3
        return
    sim.pin_left = max(0, sim.pin_left - 1)
    if sim.pin_left:
        raise Refused(16)
    sim.locked, sim.pin_enabled = "SIM PUK", True
    call.modem.refresh()
    raise Refused(12)


def _verify_second(call: Call, given: str) -> None:
    """PIN2: it blocks only what it protects."""
    sim = call.state.sim
    if not _PIN.fullmatch(given):
        raise Refused(50)
    if not sim.pin2_left:
        raise Refused(18)
    sim.pin2_left = 3 if given == sim.pin2 else sim.pin2_left - 1
    if given != sim.pin2:
        raise Refused(16 if sim.pin2_left else 18)


def _try_pin(call: Call) -> Reply:
    _verify(call, call.argument(0))
    return _unlocked(call)


def _try_puk(call: Call) -> Reply:
    sim = call.state.sim
    if not _PIN.fullmatch(call.argument(1)):
        raise Refused(50)
    if call.argument(0) != sim.puk or not sim.puk_left:
        sim.puk_left = max(0, sim.puk_left - 1)
        raise Refused(16 if sim.puk_left else 13)
    sim.pin, sim.puk_left = call.argument(1), 10
    return _unlocked(call)


def _unlocked(call: Call) -> Reply:
    sim = call.state.sim
    sim.locked, sim.pin_left = "", 3

    def then() -> None:
        call.modem.unsolicited("+CPIN: READY")
        call.modem.refresh()

    return ok(then=then)


@command("+CLCK")
def lock(call: Call) -> Reply:
    """Facility "SC" is the PIN request, "FD" fixed dialling by PIN2; the others are never set here."""
    call.need_sim()
    if call.form == "test":
        return ok(f"+CLCK: ({_QUOTED})")
    if call.form != "set" or call.argument(0) not in _FACILITIES:
        raise Refused(50)
    facility, mode = call.argument(0), call.number(1, allowed=range(3))
    sim = call.state.sim
    if mode == 2:
        return ok(f"+CLCK: {int({'SC': sim.pin_enabled, 'FD': sim.fixed_dialling}.get(facility, False))}")
    if facility == "SC":
        _verify(call, call.argument(2))
        sim.pin_enabled = mode == 1
    elif facility == "FD":
        _verify_second(call, call.argument(2))
        sim.fixed_dialling = mode == 1
    else:
        raise Refused(4)
    return ok()


@command("+CPWD")
def password(call: Call) -> Reply:
    """27.007 7.5: a new PIN or PIN2. A card changes its PIN only while it asks for it (31.102, CHANGE PIN)."""
    call.need_sim()
    if call.form == "test":
        return ok('+CPWD: ("SC",8),("P2",8)')
    facility, new = call.argument(0), call.argument(2)
    if call.form != "set" or facility not in ("SC", "P2") or not _PIN.fullmatch(new):
        raise Refused(50)
    sim = call.state.sim
    if facility == "P2":
        _verify_second(call, call.argument(1))
        sim.pin2 = new
    elif not sim.pin_enabled:
        raise Refused(3)
    else:
        _verify(call, call.argument(1))
        sim.pin = new
    return ok()


@command("+CPINR")
def tries_left(call: Call) -> Reply:
    """27.007 8.65: of all, or of those that the name, perhaps with a star at its end, fits."""
    if call.form == "test":
        return ok()
    if not call.state.sim.present:
        raise Refused(10)
    sim, wanted = call.state.sim, call.argument(0, "*")
    rows = {"SIM PIN": (sim.pin_left, 3), "SIM PUK": (sim.puk_left, 10), "SIM PIN2": (sim.pin2_left, 3)}
    found = [name for name in rows if fnmatchcase(name, wanted)]
    if call.form == "read" or not found:
        raise Refused(50)
    return ok(*[f"+CPINR: {name},{rows[name][0]},{rows[name][1]}" for name in found])


@command("+CIMI")
def imsi(call: Call) -> Reply:
    if call.form == "test":
        return ok()
    call.need_sim()
    return ok(call.state.sim.imsi)


@command("+CNUM")
def own_number(call: Call) -> Reply:
    if call.form == "test":
        return ok()
    call.need_sim()
    number, name, charset = call.state.sim.msisdn, call.state.sim.number_name, call.state.reporting.charset
    quoted = f'"{displayed(name, charset)}"' if name else ""
    kind = 145 if number.startswith("+") else 129
    return ok(f'+CNUM: {quoted},"{displayed(number, charset)}",{kind}') if number else ok()


def _swapped(digits: str) -> str:
    """BCD with the nibbles the card's way round, padded with F (11.11 10.1.1)."""
    padded = digits + "F" * (len(digits) % 2)
    return "".join(padded[i + 1] + padded[i] for i in range(0, len(padded), 2))


@command("+CRSM")
def restricted_sim_access(call: Call) -> Reply:
    """READ BINARY of the few files that hosts want; 106,130 is the card's "file not found"."""
    if call.form == "test":
        return ok()
    call.need_sim()
    if call.number(0) != 176:
        return ok("+CRSM: 109,0")
    sim, network = call.state.sim, call.state.network
    imsi_digits = f"9{sim.imsi}" if len(sim.imsi) % 2 else f"1{sim.imsi}"
    spn = network.long_name.encode("latin-1", "replace").hex().upper()
    files = {
        _EF_ICCID: _swapped(sim.iccid).ljust(20, "F"),
        _EF_IMSI: "08" + _swapped(imsi_digits),
        _EF_SPN: "01" + spn.ljust(32, "F"),
        _EF_AD: f"000000{len(network.mnc):02X}",
    }
    data = files.get(call.number(1))
    return ok(f'+CRSM: 144,0,"{data}"' if data else "+CRSM: 106,130")


@command("+CSIM")
def generic_sim_access(call: Call) -> Reply:
    """VERIFY without data tells the tries left (102.221 11.1.9): 63Cx, or 9000 when none is needed."""
    if call.form == "test":
        return ok()
    if not call.state.sim.present:
        raise Refused(10)
    apdu = call.argument(1).upper()
    sim = call.state.sim
    if apdu.startswith("00200001"):
        return ok(f'+CSIM: 4,"{f"63C{sim.pin_left:X}" if sim.pin_left else "6983"}"')
    if apdu.startswith("002C0001"):
        return ok(f'+CSIM: 4,"63C{sim.puk_left:X}"')
    return ok('+CSIM: 4,"6D00"')


@command("+CCID", "+ICCID", "+QCCID")
def iccid(call: Call) -> Reply:
    """No clause: every vendor has one of these; those that a module lacks stand in its `absent`."""
    if call.form == "test":
        return ok()
    call.need_sim()
    return ok(f"{call.name}: {call.state.sim.iccid}")
