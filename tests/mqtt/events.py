"""The list of events and alarms (agent/mqtt/schema/events.json) beside the code that sends them, and in README.md.

`python -m tests.mqtt.events` writes the tables of agent/mqtt/README.md anew.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from agent.daemon import incident, line_speed, meter_difference
from agent.daemon.tasks.reporting import EVENT_NAMES
from agent.traffic import proof, uplink

AGENT = Path(__file__).parents[2] / "agent"
LIST = AGENT / "mqtt" / "schema" / "events.json"
README = AGENT / "mqtt" / "README.md"
CONSTANTS = {
    "incident.EVENT": incident.EVENT,
    "line_speed.ALARM": line_speed.ALARM,
    "meter_difference.ALARM": meter_difference.ALARM,
    "uplink.ALARM": uplink.ALARM,
    "ALARM": proof.ALARM,
}
# Calls that hand on a name which was given elsewhere, and what names come by each.
HANDED_ON: dict[str, frozenset[str]] = {
    **dict.fromkeys(("name", "event", "event.name", "Event(name, details)"), frozenset[str]()),
    "EVENT_NAMES.get(notice.kind, notice.kind)": frozenset({*EVENT_NAMES.values(), "new-period", "expired"}),
}
BLOCK = re.compile(r"(?<=<!-- events -->\n).*?(?=<!-- /events -->)", re.DOTALL)


def notice(kind: str, percent: int) -> dict[str, Any]:
    """What a warning or a throttle says, as the plan would notice it."""
    used = {"UsedBytes": 400_000_000 * percent, "LimitBytes": 40_000_000_000, "PeriodStart": "2026-11"}
    return {"kind": kind, "percent": percent, **used, "reason": "a test", "ShapingRate": -1}


@cache
def known() -> dict[str, dict[str, Any]]:
    """`events` and `alarms`: name -> text and fields."""
    return dict(json.loads(LIST.read_text(encoding="utf-8")))


def check(kind: str, name: str, fields: Mapping[str, object]) -> None:
    """Raises AssertionError or ValidationError when an event or alarm is not as listed."""
    assert name in known()[kind], f"events.json does not list {name} under {kind}"
    listed = known()[kind][name]["fields"]
    jsonschema.validate(
        fields,
        {
            "type": "object",
            "properties": listed,
            "required": [field for field, what in listed.items() if not what.get("optional")],
            "additionalProperties": False,
        },
    )


@dataclass(frozen=True)
class Sent:
    """A place in the code that sends one; `fields` where they are written there."""

    kind: str
    names: frozenset[str]
    fields: frozenset[str]
    where: str


def sent() -> Iterator[Sent]:
    """Every call in agent/ that sends an event or an alarm."""
    for path in sorted(AGENT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and (found := _call(node)) is not None:
                kind, arguments = found
                where = f"{path.relative_to(AGENT)}:{node.lineno}"
                yield Sent(kind, _names(arguments[0], where), frozenset(_keys(arguments[1:])), where)


def _call(node: ast.Call) -> tuple[str, list[ast.expr]] | None:
    """events or alarms, and the arguments; also of functools.partial(reporting.alarm, NAME)."""
    function, arguments = node.func, node.args
    if ast.unparse(function) in ("functools.partial", "partial") and arguments:
        function, arguments = arguments[0], arguments[1:]
    kinds = {"event": "events", "alarm": "alarms"}
    if not isinstance(function, ast.Attribute) or function.attr not in kinds or not arguments:
        return None
    return kinds[function.attr], arguments


def _names(argument: ast.expr, where: str) -> frozenset[str]:
    if isinstance(argument, ast.Constant):
        return frozenset({str(argument.value)})
    written = ast.unparse(argument)
    if written in CONSTANTS:
        return frozenset({CONSTANTS[written]})
    assert written in HANDED_ON, f"{where}: what name is {written}?"
    return HANDED_ON[written]


def _keys(arguments: list[ast.expr]) -> Iterator[str]:
    for argument in arguments:
        for node in ast.walk(argument):
            if isinstance(node, ast.Dict):
                yield from (str(key.value) for key in node.keys if isinstance(key, ast.Constant))


def tables() -> str:
    """The two tables of the README."""
    out = []
    for kind, prefix in (("events", "e"), ("alarms", "a")):
        out += [f"| {kind[:-1]} | when | fields |", "|---|---|---|"]
        for name, listed in known()[kind].items():
            fields = "; ".join(
                f"`{field}`{'?' if what.get('optional') else ''} {what['description']}"
                for field, what in listed["fields"].items()
            )
            out.append(f"| `{prefix}/{name}` | {listed['text']} | {fields} |")
        out.append("")
    return "\n".join(out)


def main() -> int:
    README.write_text(BLOCK.sub(lambda _: tables(), README.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
