"""The commands of parameters.py: set, shown, checked, and nothing more."""

from __future__ import annotations

from simulator.modem import parameters
from simulator.modem.commands.table import COMMANDS, Call
from simulator.modem.parameters import PARAMETERS
from simulator.modem.reply import Refused, Reply, ok


def _kept(call: Call) -> Reply:
    row, reporting = PARAMETERS[call.name], call.state.reporting
    before = parameters.values(reporting, call.name)
    if call.form == "test":
        return ok(f"{call.name}: {row.ranges}") if row.listed else ok()
    if call.form == "read":
        return ok(f"{call.name}: {','.join(before)}{row.tail}")
    after = row.accepted(call.args, before)
    if after is None:
        raise Refused(row.error, row.service)
    reporting.kept[call.name] = after
    return ok(then={"+CNMI": call.modem.messages.mode_changed, "+CMER": call.modem.indicators.report}.get(call.name))


COMMANDS.update(dict.fromkeys(PARAMETERS, _kept))
