"""`modem-agent signal`: the radio signal with a word for how good it is; --watch is the meter (meter.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.cli import screen
from agent.cli.verb import Call, verb
from agent.errors import PortAbsent


@verb("modem-agent signal", "modem-agent signal --json")
def command(call: Call) -> int:
    """The radio signal; --watch aims an antenna."""
    with call.client() as client:
        status = client.call("status")
    answer = extract(status)
    if call.json:
        screen.print_json(answer)
        return 0
    for line in screen.pairs(rows(answer)):
        print(line)
    return 0


def extract(status: Mapping[str, Any]) -> dict[str, Any]:
    """The signal's part of a status; raises PortAbsent when no modem was ever read."""
    reading = status["modem"].get("reading")
    if reading is None:
        raise PortAbsent(f"modem {status['modem']['state']}: nothing was read from it yet")
    picked = {name: reading.get(name) for name in ("signal", "registration", "operator", "access_technology")}
    return {"v": 1, "time": status["time"], "state": status["modem"]["state"], **picked}


def rows(answer: Mapping[str, Any]) -> list[tuple[str, object]]:
    from agent.cli.status import network
    from agent.commands import quality

    values = answer.get("signal") or {}
    lines: list[tuple[str, object]] = [("Network", network(answer))]
    for name, (unit, _, _) in quality.SCALES.items():
        value = values.get(name)
        if value is not None:
            lines.append((name.split("_")[0].upper(), f"{value:g} {unit}  {quality.word(name, value)}"))
    lines.append(("Overall", quality.overall(values) or "no signal"))
    return lines
