"""27.007 8.15 and 8.40 onwards: the module's clock and how the network's time gets into it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo

from simulator.modem.commands.table import Call, command, setting
from simulator.modem.reply import Refused, Reply, ok


@command("+CCLK")
def clock(call: Call) -> Reply:
    if call.form == "test":
        return ok()
    if call.form == "read":
        return ok(call.modem.render('+CCLK: "{time_local}{zone_quarters}"'))
    call.modem.set_wall(_parsed(call.argument(0), call.modem.local_time().tzinfo))
    return ok()


def _parsed(text: str, here: tzinfo | None) -> datetime:
    """Without a zone it is the time here (27.007 8.15)."""
    stamp, quarters = text[:17], text[17:]
    try:
        zone = timezone(timedelta(minutes=15 * int(quarters))) if quarters else here
        return datetime.strptime(stamp, "%y/%m/%d,%H:%M:%S").replace(tzinfo=zone)
    except ValueError:
        raise Refused(50) from None


def _set_update(call: Call) -> None:
    call.state.clock.update = call.number(0, allowed=(0, 1, 3))


def _set_report(call: Call) -> None:
    call.state.clock.report = call.number(0, allowed=range(3))


setting("+CTZU", "(0,1,3)", lambda call: str(call.state.clock.update), _set_update)
setting("+CTZR", "(0-2)", lambda call: str(call.state.clock.report), _set_report)
