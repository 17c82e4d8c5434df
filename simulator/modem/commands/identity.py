"""27.007 clause 5: who the module is."""

from __future__ import annotations

from simulator.modem.commands.table import Call, command
from simulator.modem.reply import Reply, ok


@command("+CGMI", "+GMI")
def manufacturer(call: Call) -> Reply:
    return ok() if call.form == "test" else ok(call.modem.profile.manufacturer)


@command("+CGMM", "+GMM")
def model(call: Call) -> Reply:
    return ok() if call.form == "test" else ok(call.modem.profile.model)


@command("+CGMR", "+GMR")
def revision(call: Call) -> Reply:
    return ok() if call.form == "test" else ok(call.modem.profile.revision)


@command("+CGSN", "+GSN")
def serial_number(call: Call) -> Reply:
    if call.form == "test":
        return ok()
    imei = call.state.imei
    if call.form == "set" and call.number(0, allowed=range(4)) == 1:
        return ok(f'{call.name}: "{imei}"')
    return ok(f"{call.modem.profile.dialect.cgsn_prefix}{imei}")
