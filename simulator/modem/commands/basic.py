"""V.250: line settings, S registers and profiles, what a module says of itself, and the lists of its commands."""

from __future__ import annotations

import re

from simulator.modem.commands.table import COMMANDS, Call, command
from simulator.modem.indicators import INDICATORS
from simulator.modem.reply import Refused, Reply, ok
from simulator.modem.v250 import BASIC, REGISTERS

_REGISTER = re.compile(r"(\d+)(\?|=(\d*))?")


@command(*BASIC)
def line_setting(call: Call) -> Reply:
    """A value that is left out is 0 (V.250 5.3.1)."""
    value = int(call.text or 0) if call.text.isdecimal() or not call.text else None
    if value not in BASIC[call.name]:
        raise Refused(None)
    call.port.settings.basic[call.name] = value
    return ok()


def only_zero(call: Call) -> None:
    """For what has a single value: &F, &W, Z, H, O (V.250 6.1 to 6.3)."""
    if call.text.strip("0"):
        raise Refused(None)


@command("Z")
def stored_profile(call: Call) -> Reply:
    """Ends a call too (V.250 6.1.1). Echo comes back with it, as many a host has learnt."""
    only_zero(call)
    call.port.hang_up()
    call.port.settings = call.modem.stored_settings()
    return ok()


@command("&F")
def factory_profile(call: Call) -> Reply:
    only_zero(call)
    call.port.settings = call.modem.factory_settings()
    return ok()


@command("&W")
def store_profile(call: Call) -> Reply:
    only_zero(call)
    call.modem.saved_settings = call.port.settings.copy()
    return ok()


@command("&V")
def show_profile(call: Call) -> Reply:
    return ok("ACTIVE PROFILE:", *call.port.settings.listing())


@command("S")
def register(call: Call) -> Reply:
    match = _REGISTER.fullmatch(call.text)
    if match is None or int(match[1]) not in REGISTERS:
        raise Refused(None)
    number, registers = int(match[1]), call.port.settings.registers
    if match[2] == "?":
        return ok(f"{registers[number]:03d}")
    if match[2]:
        value = int(match[3] or 0)
        if value not in REGISTERS[number][1]:
            raise Refused(None)
        registers[number] = value
    return ok()


@command("T", "P")
def dialling_kind(call: Call) -> Reply:
    """Tone or pulse: there is no line to dial on."""
    if call.text:
        raise Refused(None)
    return ok()


@command("I")
def information(call: Call) -> Reply:
    profile = call.modem.profile
    return ok(profile.manufacturer, profile.model, f"Revision: {profile.revision}")


@command("+CMEE")
def error_mode(call: Call) -> Reply:
    if call.form == "test":
        return ok("+CMEE: (0,1,2)")
    if call.form == "read":
        return ok(f"+CMEE: {call.port.settings.error_mode}")
    call.port.settings.error_mode = call.number(0, 0, allowed=range(3))
    return ok()


@command("+CLAC")
def all_commands(call: Call) -> Reply:
    """27.007 8.37: what the standard has, and the profile's own."""
    if call.form == "test":
        return ok()
    profile = call.modem.profile
    have = {name for name in COMMANDS if name not in profile.absent} | profile.vendor_commands
    return ok(*[f"AT{name}" for name in sorted(have)])


@command("+GCAP")
def capabilities(call: Call) -> Reply:
    return ok() if call.form == "test" else ok("+GCAP: +CGSM")


@command("+FCLASS")
def service_class(call: Call) -> Reply:
    """T.31 8.2: data is the only class here; its read and test forms are bare numbers."""
    if call.form == "set" and call.number(0) != 0:
        raise Refused(None)
    return ok() if call.form == "set" else ok("0")


@command("+CMUX")
def multiplexer(call: Call) -> Reply:
    """27.010 is not spoken here."""
    if call.form == "test":
        return ok("+CMUX: (0),(0),(1-8),(1-32768),(1-255),(0-100),(2-255),(1-255),(1-7)")
    raise Refused(4)


@command("+CIND")
def indicators(call: Call) -> Reply:
    if call.form == "test":
        rows = [f'("{name}",(0-{most}))' if most > 1 else f'("{name}",(0,1))' for name, (most, _) in INDICATORS.items()]
        return ok(f"+CIND: {','.join(rows)}")
    if call.form != "read":  # none of them is the host's to set
        raise Refused(3)
    return ok(f"+CIND: {','.join(str(value) for value in call.modem.indicators.values())}")


@command("+CPAS")
def activity(call: Call) -> Reply:
    """27.007 8.1: 0 ready, 4 a call is in progress."""
    return ok("+CPAS: (0-5)") if call.form == "test" else ok(f"+CPAS: {4 if call.modem.calling else 0}")


@command("+CBC")
def battery(call: Call) -> Reply:
    return ok("+CBC: (0-2),(1-100),<voltage>") if call.form == "test" else ok("+CBC: 0,100,3861")
