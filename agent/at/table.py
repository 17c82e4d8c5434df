"""All rows, gathered: what the agent can ask any module, found by name and kind.

A row is data beside its parser; adding a command means adding a row, and the README's table is made from these rows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from agent.at import (
    functionality,
    huawei,
    identity,
    names,
    nettime,
    nordic,
    packet,
    qeng,
    quectel,
    registration,
    signal,
    sim,
    simcom,
    sms,
    telit,
    vendors,
)
from agent.at.grammar import Reading, prefix_of
from agent.at.row import Command, Row, parse_command

_EXTENDED = tuple("+^#%*!$_&@")
_ELEMENT = re.compile(r'((?:"[^"]*"|[^;"])+)')

COMMANDS: tuple[Row, ...] = (
    *identity.ROWS,
    *sim.ROWS,
    *registration.ROWS,
    *names.ROWS,
    *signal.ROWS,
    *packet.ROWS,
    *nettime.ROWS,
    *qeng.ROWS,
    *quectel.ROWS,
    *sms.ROWS,
    *functionality.ROWS,
    *huawei.ROWS,
    *nordic.ROWS,
    *simcom.ROWS,
    *telit.ROWS,
    *vendors.ROWS,
)
_BY_KEY: dict[tuple[str, str], Row] = {(row.name, kind): row for row in COMMANDS for kind in row.kinds}


def find(command: Command) -> Row | None:
    """The row of a command in the form it is used, None when there is none; a chain gets one of its own."""
    if ";" in command.text and command.name[:1] in _EXTENDED:
        return _chain(command.text)
    return _BY_KEY.get((command.name, command.kind))


@lru_cache(maxsize=64)
def _chain(text: str) -> Row | None:
    """`AT+CSQ;+COPS?`: every element answers under its own prefix (V.250 5.2.1). The agent sends none, others do."""
    elements = [parse_command("AT" + part) for part in _ELEMENT.findall(text[2:])]
    pairs = [(element, row) for element in elements if (row := _BY_KEY.get((element.name, element.kind))) is not None]
    if len(elements) < 2 or not pairs:
        return None

    def parse(lines: Sequence[str], command: Command) -> Reading | None:
        merged: Reading = {}
        for element, row in pairs:
            own = [line for line in lines if prefix_of(line) in row.accepted]
            found = row.parse(own, element) if row.parse is not None and own else None
            merged = {**(found or {}), **{key: value for key, value in merged.items() if value is not None}}
        return merged or None

    prefixes = tuple(sorted({prefix for _, row in pairs for prefix in row.accepted}))
    limit_s = max(row.timeout_s for _, row in pairs)
    return Row("chain", ("set",), parse, "V.250 5.2.1", timeout_s=limit_s, prefixes=prefixes)
