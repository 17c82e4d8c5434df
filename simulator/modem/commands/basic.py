"""V.250: echo, verbosity, result codes, and the commands that hosts send out of habit."""

from __future__ import annotations

from simulator.modem.commands.table import COMMANDS, Call, command
from simulator.modem.reply import Refused, Reply, ok


@command("E")
def echo(call: Call) -> Reply:
    call.port.echo = _flag(call)
    return ok()


@command("V")
def verbose(call: Call) -> Reply:
    call.port.verbose = _flag(call)
    return ok()


@command("Q")
def quiet(call: Call) -> Reply:
    call.port.quiet = _flag(call)
    return ok()


def _flag(call: Call) -> bool:
    if call.text not in ("", "0", "1"):
        raise Refused(None)
    return call.text == "1"


@command("Z", "&F")
def defaults(call: Call) -> Reply:
    """Back to the power-up profile: echo is on again, as many a host has learnt."""
    call.port.echo, call.port.verbose, call.port.quiet = True, True, False
    call.port.cmee = call.modem.profile.cmee_at_power_up
    return ok()


@command("X", "&C", "&D", "&S", "&K", "&W", "\\Q", "L", "M", "T", "P", "&R", "H", "S")
def accepted(call: Call) -> Reply:
    """Nothing here depends on them."""
    if call.name == "S" and call.text.endswith("?"):
        return ok("000")
    return ok()


@command("D")
def dial(call: Call) -> Reply:
    """ATD*99# starts packet data on a modem port; there is no telephony here."""
    if not call.text.startswith("*99"):
        return Reply([], final="NO CARRIER")
    if not call.state.contexts or not call.modem.registration.activate(call.state.contexts[0]):
        return Reply([], final="NO CARRIER")
    return Reply([], final="CONNECT 150000000")


@command("I")
def information(call: Call) -> Reply:
    profile = call.modem.profile
    return ok(profile.manufacturer, profile.model, f"Revision: {profile.revision}")


@command("+CMEE")
def error_mode(call: Call) -> Reply:
    if call.form == "test":
        return ok("+CMEE: (0,1,2)")
    if call.form == "read":
        return ok(f"+CMEE: {call.port.cmee}")
    call.port.cmee = call.number(0, 0, allowed=range(3))
    return ok()


@command("+CLAC")
def all_commands(call: Call) -> Reply:
    have = sorted(name for name in COMMANDS if name not in call.modem.profile.absent)
    return ok(*[f"AT{name}" for name in have])


@command("+GCAP")
def capabilities(call: Call) -> Reply:
    return ok("+GCAP: +CGSM")


@command(
    "+IPR", "+ICF", "+IFC", "+CMUX", "+CSSN", "+CLIP", "+CHUP", "+COLP", "+CRC", "+CCWA", "+CUSD", "+CMER", "+CIND"
)
def indifferent(call: Call) -> Reply:
    """Asked for by old clients; answered so that they go on."""
    shown = {"+IPR": "115200", "+IFC": "2,2", "+ICF": "3,3", "+CRC": "0", "+CLIP": "0,1", "+CIND": "0,0,1,4,0,0,0,0"}
    if call.name == "+CIND" and call.form == "test":
        return ok('+CIND: ("battchg",(0-5)),("signal",(0-5)),("service",(0,1)),("call",(0,1)),("roam",(0,1))')
    if call.form == "read" and call.name in shown:
        return ok(f"{call.name}: {shown[call.name]}")
    if call.name == "+CMUX" and call.form != "test":
        raise Refused(4)
    ranges = {"+CMER": "(0-3),0,0,(0-2),(0,1)", "+IFC": "(0-2),(0-2)", "+CUSD": "(0-2)", "+ICF": "(0-7),(0-3)"}
    return ok() if call.form != "test" else ok(f"{call.name}: {ranges.get(call.name, '(0,1)')}")


@command("+CPAS")
def activity(call: Call) -> Reply:
    return ok("+CPAS: (0-5)") if call.form == "test" else ok("+CPAS: 0")


@command("+CBC")
def battery(call: Call) -> Reply:
    return ok("+CBC: (0-2),(1-100),<voltage>") if call.form == "test" else ok("+CBC: 0,0,3861")
