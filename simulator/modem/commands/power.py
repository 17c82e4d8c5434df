"""27.007 8.2: functionality. 1,1 restarts the module; 0 and 4 take it off the air."""

from __future__ import annotations

from simulator.modem.commands.table import Call, command
from simulator.modem.reply import Reply, ok


@command("+CFUN")
def functionality(call: Call) -> Reply:
    power = call.state.power
    if call.form == "test":
        return ok("+CFUN: (0,1,4),(0,1)")
    if call.form == "read":
        return ok(f"+CFUN: {power.functionality}")
    wanted = call.number(0, allowed=range(17))
    if call.number(1, 0, allowed=range(2)) == 1 or wanted in (6, 15, 16):  # 15, 16: MediaTek's and u-blox's restart
        return ok(then=call.modem.restart)

    def then() -> None:
        power.functionality = wanted
        call.modem.refresh()

    return ok(delay_s=0.5 if wanted == 1 else 1.0, then=then)


@command("+CPWROFF")
def power_off(call: Call) -> Reply:
    return ok(then=lambda: call.modem.act("power-off"))
