"""All rows, gathered: what the agent can ask any module, found by name and kind.

A row is data beside its parser; adding a command means adding a row, and the README's table is made from these rows.
"""

from __future__ import annotations

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
from agent.at.row import Command, Row

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
    """The row of a command in the form it is used, None when there is none."""
    return _BY_KEY.get((command.name, command.kind))
