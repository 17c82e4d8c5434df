"""27.007 8.2: functionality. 1,1 restarts the module; what a profile does not list is refused."""

from __future__ import annotations

from simulator.modem.commands.table import Call, command
from simulator.modem.parameters import Parameters
from simulator.modem.reply import Refused, Reply, ok


@command("+CFUN")
def functionality(call: Call) -> Reply:
    power, dialect = call.state.power, call.modem.profile.dialect
    if call.form == "test":
        return ok(f"+CFUN: {dialect.functionality}")
    if call.form == "read":
        return ok(f"+CFUN: {power.functionality}")
    given = Parameters(dialect.functionality, "1,0").accepted(call.args or ["1"], ["1", "0"])  # 1: the clause's default
    if given is None:
        raise Refused(50)
    wanted = int(given[0])
    if given[1] == "1" or wanted in dialect.restarting:
        return ok(then=call.modem.restart)

    def then() -> None:
        power.functionality = wanted
        call.modem.refresh()

    return ok(delay_s=0.5 if wanted == 1 else 1.0, then=then)


@command("+CPWROFF")
def power_off(call: Call) -> Reply:
    return ok() if call.form == "test" else ok(then=lambda: call.modem.act("power-off"))
