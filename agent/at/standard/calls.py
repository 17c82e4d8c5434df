"""Calls that are up: +CLCC (27.007 clause 7.18), and ^SLCC of Cinterion, which tells the traffic channel besides."""

from __future__ import annotations

from collections.abc import Sequence

from agent.at.engine.charset import name, ucs2
from agent.at.engine.grammar import Reading, at, number, unquote, values
from agent.at.engine.row import EXECUTE, READ, Command, Row

_STATES = ("active", "held", "dialing", "alerting", "incoming", "waiting")


def read_calls(lines: Sequence[str], command: Command) -> Reading | None:
    """<id>,<direction>,<state>,<mode>,<multiparty>[,<number>,<type>[,<alpha>]]; ^SLCC has a field before the number."""
    calls: list[Reading] = []
    for f in map(values, lines):
        index, incoming, state = number(at(f, 0), 1, 255), number(at(f, 1), 0, 1), number(at(f, 2), 0, 9)
        if index is None or incoming is None or state is None:
            continue
        rest = f[6 if command.name == "^SLCC" else 5 :]
        calls.append(
            {
                "index": index,
                "direction": "incoming" if incoming else "outgoing",
                "state": _STATES[state] if state < len(_STATES) else None,
                "mode": {0: "voice", 1: "data", 2: "fax"}.get(mode)
                if (mode := number(at(f, 3), 0, 9)) is not None
                else None,
                "number": unquote(at(rest, 0) or "") or None,
                "name": (ucs2(unquote(alpha)) or name(alpha)) if (alpha := at(rest, 2)) else None,
            }
        )
    return {"calls": calls} if calls else None


_CALLS = "calls: index direction state mode number name"
ROWS = (
    Row("+CLCC", (EXECUTE, READ), read_calls, "27.007 7.18", _CALLS),
    Row("^SLCC", (READ, EXECUTE), read_calls, "Cinterion", _CALLS),
)
