"""Words of `modem-support`: KEY=VALUE to a command's arguments, and a message to one line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

import click

from agent.cli import screen

if TYPE_CHECKING:
    from agent.support.client import Heard


def arguments_of(command: str, words: Sequence[str]) -> dict[str, Any]:
    """Arguments typed as the command's row says; raises UsageError that names the word. Unknown commands pass.

    The device may be newer than this desk: what this desk does not know is sent as JSON, or as text.
    """
    from agent.commands import arguments
    from agent.commands.table import COMMANDS
    from agent.errors import Rejected

    row = COMMANDS.get(command)
    out: dict[str, Any] = {}
    for word in words:
        name, sign, text = word.partition("=")
        if not sign or not name:
            raise click.UsageError(f"{word!r} is no KEY=VALUE")
        out[name] = _typed(text, row.args.get(name, {}) if row else {})
    if row is not None:
        try:
            arguments.check(row.args, out)
        except Rejected as refusal:
            raise click.UsageError(f"{command}: {refusal.reason}") from None
    return out


def _typed(text: str, rule: Mapping[str, Any]) -> Any:
    kind = rule.get("type", "")
    if kind == "string":
        return text
    if kind == "integer":
        return _whole(text)
    try:
        return json.loads(text)
    except ValueError:
        return text


_UNITS = {"kb": 10**3, "mb": 10**6, "gb": 10**9}


def _whole(text: str) -> Any:
    """5GB is 5 000 000 000; what is no number stays text, and the row's check says so."""
    number, unit = text[:-2], _UNITS.get(text[-2:].lower())
    try:
        return round(float(number) * unit) if unit else int(text)
    except ValueError:
        return text


def summary(heard: Heard) -> str:
    """One message for eyes."""
    body = heard.body
    if body is None:
        return "(empty)"
    if heard.topic == "status":
        return f"{body.get('state')} session {body.get('session')} version {body.get('version')}"
    if heard.topic == "m/traffic":
        plan = body.get("plan") or {}
        used, cost = screen.size(plan.get("UsedBytes")), screen.size(body.get("AgentBytes"))
        return f"{plan.get('State')} used {used}, reports {cost}"
    if heard.topic == "m/state":
        cell = body.get("cell") or {}
        radio = f"{cell.get('CurrentAccessTechnology')} RSRP {cell.get('RSRP')}"
        return f"{cell.get('Status')} {radio} modem {body.get('modem')}"
    if heard.topic.endswith("/res"):
        return f"{body.get('id')} {body.get('state')} {body.get('reason', '')}"
    plain = {key: value for key, value in body.items() if key not in ("v", "boot", "up", "clk")}
    return json.dumps(plain, ensure_ascii=False)[:200]


def escape_what_cannot_be_shown(stream: TextIO) -> None:
    """No locale, or a seven-bit one: what cannot be shown is escaped, never a traceback."""
    getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
