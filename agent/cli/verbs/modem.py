"""`modem-agent modem`: what the module is and says, each value with its name and unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from agent.cli import screen
from agent.cli.verb import Call, verb
from agent.errors import PortAbsent

_SECTIONS = ("identity", "sim", "registration", "operator", "signal")


@verb("modem-agent modem", "modem-agent modem --full --json")
@click.option("--full", is_flag=True, help="Identifiers (IMEI, IMSI, ICCID, number) unmasked.")
def command(call: Call, full: bool) -> int:
    """What the module is and says: identity, SIM, cell, contexts."""
    with call.client() as client:
        answer = client.call("status")["modem"]
    if answer.get("reading") is None:
        reason = answer.get("reason") or "nothing was read from it yet"
        raise PortAbsent(f"modem {answer.get('state')}: {reason}")
    shown = answer if full else masked(answer)
    if call.json:
        screen.print_json({"v": 1, **shown})
        return 0
    for line in _lines(shown):
        print(line)
    return 0


# What tells a person or a SIM apart; TS 23.003 has their forms. The first six (maker, operator) and the last two stay,
# as in the logs.
_IDENTIFIERS = frozenset({"imei", "imsi", "iccid", "msisdn"})


def masked(value: Any, name: str = "") -> Any:
    """The same value with every identifier masked, however deep it lies."""
    if isinstance(value, Mapping):
        return {key: masked(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(inner, name) for inner in value]
    if name in _IDENTIFIERS and value is not None:
        text = str(value)
        return text[:6] + "*" * max(0, len(text) - 8) + text[-2:] if len(text) > 8 else "*" * len(text)
    return value


def _lines(answer: Mapping[str, Any]) -> list[str]:
    reading = answer["reading"]
    lines = [*screen.pairs([("state", answer.get("state"))])]
    rest = {k: v for k, v in reading.items() if k not in (*_SECTIONS, "contexts")}
    for title, section in [*[(name, reading.get(name)) for name in _SECTIONS], ("other", rest)]:
        if isinstance(section, Mapping) and any(v not in (None, {}, []) for v in section.values()):
            lines += ["", title, *screen.pairs(_rows(section), indent=2)]
    for number, context in enumerate(reading.get("contexts") or (), 1):
        lines += ["", f"context {number}", *screen.pairs(_rows(context), indent=2)]
    return lines


def _rows(section: Mapping[str, Any]) -> list[tuple[str, object]]:
    """Flat rows; what is nested is named with a dot, what is unknown or empty is left out."""
    rows: list[tuple[str, object]] = []
    for name, value in section.items():
        if isinstance(value, Mapping):
            rows += [(f"{name}.{inner}", found) for inner, found in _rows(value)]
        elif isinstance(value, (list, tuple)):
            for number, item in enumerate(value, 1):
                rows += [(f"{name}.{number}.{k}", v) for k, v in _rows(item)] if isinstance(item, Mapping) else [
                    (f"{name}.{number}", item)
                ]  # fmt: skip
        elif value is not None and value != "":
            rows.append((name, value))
    return rows
