"""`modem-agent modem`: what the module is and says, each value with its name and unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import click

from agent.cli import exits, screen
from agent.cli.language import _, spoken
from agent.cli.verb import Call, verb
from agent.errors import AgentError, PortAbsent

if TYPE_CHECKING:
    from agent import status_schema as schema
    from agent.modem.discovery import Candidate

_SECTIONS = ("identity", "sim", "registration", "operator", "signal")


@verb("modem-agent modem", "modem-agent modem --full --json", "modem-agent modem --ports")
@click.option("--full", is_flag=True, help="Identifiers (IMEI, IMSI, ICCID, number) unmasked.")
@click.option("--ports", is_flag=True, help="Every port of every module: what it is, and what was tried.")
def command(call: Call, full: bool, ports: bool) -> int:
    """What the module is and says: identity, SIM, cell, contexts."""
    if ports:
        return _ports(call)
    with call.client() as client:
        answer = client.status()["modem"]
    if answer.get("reading") is None:
        reason = spoken(answer.get("reason") or "") or _("nothing was read from it yet")
        raise PortAbsent(_("modem {state}: {reason}", state=spoken(str(answer.get("state"))), reason=reason))
    shown = answer if full else cast("schema.Modem", masked(answer))
    if call.json:
        screen.print_json({"v": 1, **shown})
        return 0
    for line in _lines(shown):
        print(line)
    return 0


def _ports(call: Call) -> int:
    """Works with the agent dead: sysfs says what is there, the agent what came of asking."""
    from agent.modem.discovery import survey

    found, tried = survey(), _tried(call)
    if call.json:
        rows = [
            {"device": p.device, "usb": p.ids, "interface": p.interface, "driver": p.driver, "kind": p.kind,
             "offered": p.offered, "listed": p.certain}
            for p in found
        ]  # fmt: skip
        screen.print_json({"v": 1, "ports": rows, "tried": tried})
        return exits.OK if found else exits.NO_MODEM
    for line in port_lines(found):
        print(line)
    print("\n".join(["", _("Tried by the agent:"), *(f"  {line}" for line in tried)] if tried else []))
    return exits.OK if found else exits.NO_MODEM


def port_lines(found: Sequence[Candidate]) -> list[str]:
    """A line a port, in the order in which they are tried; those that are left alone last."""
    if not found:
        return [_("no port of a cellular module")]
    lines = [f"{_('Port'):<16} {'USB':<9} {'If':>2} {_('Driver'):<14} {_('What')}"]
    for port in found:
        if not port.offered:
            what = _("{kind}, left alone", kind=port.kind)
        else:
            what = _("AT, by the table") if port.certain else _("not listed: asked with AT")
        number = "" if port.interface < 0 else str(port.interface)
        lines.append(screen.clean(f"{port.device:<16} {port.ids:<9} {number:>2} {port.driver:<14} {what}"))
    return lines


def _tried(call: Call) -> list[str]:
    try:
        with call.client() as client:
            return [str(line) for line in client.status()["modem"].get("tried") or ()]
    except AgentError:
        return []


# What tells a person or a SIM apart; TS 23.003 has their forms. The first six (maker, operator) and the last two stay,
# as in the logs.
_IDENTIFIERS = frozenset({"imei", "imsi", "iccid", "msisdn"})


def masked(value: object, name: str = "") -> object:
    """The same value with every identifier masked, however deep it lies."""
    if isinstance(value, Mapping):
        return {key: masked(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(inner, name) for inner in value]
    if name in _IDENTIFIERS and value is not None:
        text = str(value)
        return text[:6] + "*" * max(0, len(text) - 8) + text[-2:] if len(text) > 8 else "*" * len(text)
    return value


def _lines(answer: schema.Modem) -> list[str]:
    reading: schema.Reading = answer.get("reading") or {}
    lines = [*screen.pairs([("state", answer.get("state"))])]
    rest = {k: v for k, v in reading.items() if k not in (*_SECTIONS, "contexts")}
    for title, section in [*[(name, reading.get(name)) for name in _SECTIONS], ("other", rest)]:
        if isinstance(section, Mapping) and any(v not in (None, {}, []) for v in section.values()):
            lines += ["", title, *screen.pairs(_rows(section), indent=2)]
    for number, context in enumerate(reading.get("contexts") or (), 1):
        lines += ["", f"context {number}", *screen.pairs(_rows(context), indent=2)]
    return lines


def _rows(section: Mapping[str, object]) -> list[tuple[str, object]]:
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
