"""27.007 clause 5: who the module is."""

from __future__ import annotations

from simulator.modem.commands.table import Call, command
from simulator.modem.reply import Reply, ok

_SOFTWARE = "01"


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
    # 27.007 5.4: the number, the number with the software's version (23.003 6.2.2), that version alone
    asked = {1: imei, 2: imei[:14] + _SOFTWARE, 3: _SOFTWARE}
    kind = call.number(0, 0, allowed=range(4))
    if kind in asked:
        return ok(f'{call.name}: "{asked[kind]}"')
    return ok(f"{call.modem.profile.dialect.cgsn_prefix}{imei}")
