"""The commands of V.250, 27.007 and 27.005 that every module has; vendors' own are rows of the data files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from simulator.modem.commands import (  # noqa: F401  # each adds its commands to COMMANDS when it is imported
    basic,
    calls,
    clock,
    identity,
    kept,
    message_sending,
    messages,
    network,
    packet,
    phonebook,
    power,
    sim,
    supplementary,
)
from simulator.modem.commands.table import COMMANDS, Call
from simulator.modem.line import arguments
from simulator.modem.reply import Refused, Reply

if TYPE_CHECKING:
    from simulator.modem.modem import SimModem
    from simulator.modem.port import AtPort

# Commands that only act: they take nothing, and nothing of theirs can be read (their rows in 27.007 chapters 5, 7, 8
# and V.250 6.1 have neither).
_WITHOUT_PARAMETERS = {
    *("+CBC", "+CEER", "+CESQ", "+CGMI", "+CGMM", "+CGMR", "+CHUP", "+CIMI", "+CLAC", "+CLCC", "+CNUM", "+COPN"),
    *("+CPAS", "+CSQ", "+GCAP", "+GMI", "+GMM", "+GMR"),
}
_EXTENDED = re.compile(r"([+^#%!*$_@][A-Z0-9_]+)\s*(=\?|\?|=(.*))?", re.IGNORECASE | re.DOTALL)


def run_standard(modem: SimModem, port: AtPort, element: str) -> Reply:
    """Run one command of 27.007 or V.250; a command that does not exist is refused as the vendor does."""
    call = parse(modem, port, element)
    if call is None or call.name in modem.profile.absent or call.name not in COMMANDS:
        return _unknown(modem)
    if call.form in ("set", "read") and call.name in _WITHOUT_PARAMETERS:
        raise Refused(50)
    if call.text.count('"') % 2 and call.name[0] == "+":  # a string is between two quotes (V.250 5.4.2.2)
        raise Refused(50)
    return COMMANDS[call.name](call)


def parse(modem: SimModem, port: AtPort, element: str) -> Call | None:
    match = _EXTENDED.fullmatch(element)
    if match:
        mark, text = match[2] or "", match[3] or ""
        form = {"": "execute", "?": "read", "=?": "test"}.get(mark, "set")
        return Call(modem, port, match[1].upper(), form, text, arguments(text))
    basic_match = re.fullmatch(r"([&\\]?[A-Z])(.*)", element, re.IGNORECASE | re.DOTALL)
    if basic_match is None:
        return None
    return Call(modem, port, basic_match[1].upper(), "set", basic_match[2], [basic_match[2]])


def _unknown(modem: SimModem) -> Reply:
    text = modem.profile.dialect.unknown
    if text == "ERROR":
        raise Refused(None)
    return Reply([], final=text)
