"""27.007 clause 8: the SIM. PIN tries are counted as a real card counts them."""

from __future__ import annotations

from simulator.modem.commands.table import Call, command
from simulator.modem.reply import Refused, Reply, ok

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


def _try_pin(call: Call) -> Reply:
    sim = call.state.sim
    if call.argument(0) != sim.pin:
        sim.pin_left = max(0, sim.pin_left - 1)
        if sim.pin_left == 0:
            sim.locked = "SIM PUK"
            raise Refused(12)
        raise Refused(16)
    return _unlocked(call)


def _try_puk(call: Call) -> Reply:
    sim = call.state.sim
    if call.argument(0) != sim.puk or len(call.args) < 2:
        sim.puk_left = max(0, sim.puk_left - 1)
        raise Refused(13 if sim.puk_left == 0 else 16)
    sim.pin = call.argument(1)
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
    """Facility "SC" is the PIN request; the others are never set here."""
    call.need_sim()
    if call.form == "test":
        return ok('+CLCK: ("SC","AO","OI","OX","AI","IR","AB","AG","AC","FD","PN","PU","PP")')
    facility, mode = call.argument(0), call.number(1)
    sim = call.state.sim
    if mode == 2:
        return ok(f"+CLCK: {int(sim.pin_enabled) if facility == 'SC' else 0}")
    if facility != "SC":
        raise Refused(4)
    if call.argument(2) != sim.pin:
        sim.pin_left = max(0, sim.pin_left - 1)
        raise Refused(16)
    sim.pin_enabled, sim.pin_left = mode == 1, 3
    return ok()


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
    number, name = call.state.sim.msisdn, call.state.sim.number_name
    quoted = f'"{name}"' if name else ""
    return ok(f'+CNUM: {quoted},"{number}",{145 if number.startswith("+") else 129}') if number else ok()


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


@command("+CPBS", "+CPBR", "+CPBF")
def phonebook(call: Call) -> Reply:
    """Empty but for the subscriber's own number, which stands alone in the memory "ON"."""
    call.need_sim()
    reporting, own = call.state.reporting, call.state.sim.msisdn
    entries = 1 if reporting.phonebook == "ON" and own else 0
    if call.name == "+CPBS":
        if call.form == "set":
            if call.argument(0) not in ("SM", "ME", "ON"):
                raise Refused(3)
            reporting.phonebook = call.argument(0)
            return ok()
        known = '+CPBS: ("SM","ME","ON")'
        return ok(known if call.form == "test" else f'+CPBS: "{reporting.phonebook}",{entries},250')
    if call.form == "test":
        return ok(f"{call.name}: (1-{1 if reporting.phonebook == 'ON' else 250}),40,14")
    if call.name == "+CPBR" and entries and call.number(0) == 1:
        return ok(f'+CPBR: 1,"{own}",145,"Own"')
    return ok()
