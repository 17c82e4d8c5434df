"""`modem-agent commands`: the one table that the CLI, the control socket and the operator share, and any row of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from agent.cli import exits, screen
from agent.cli.language import _
from agent.cli.request import ask, confirm
from agent.cli.verb import Call, verb

if TYPE_CHECKING:
    from agent.command_schema import Rule
    from agent.commands.command import Command


@verb("modem-agent commands", "modem-agent commands modem.scan", "modem-agent commands diag.traceroute host=9.9.9.9")
@click.argument("name", required=False, metavar="[COMMAND]")
@click.argument("values", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def command(call: Call, name: str | None, values: tuple[str, ...], yes: bool) -> int:
    """The table of commands that CLI and operator share.

    With a COMMAND, does that: network scan (modem.scan), speed test (diag.speed) and all that has no verb of its own.
    read looks, act changes the line or the plan, admin changes the device; a role may do what those before it may.
    """
    from agent.commands.table import COMMANDS

    if name is None:
        return _list(call, [COMMANDS[known] for known in sorted(COMMANDS)])
    if name not in COMMANDS:
        raise click.UsageError(_("there is no command {name}; 'modem-agent commands' lists them", name=repr(name)))
    row = COMMANDS[name]
    params = arguments(row, values)
    if row.role != "read":
        confirm(call, name, params, _("{name}: {help}. Go on?", name=name, help=row.help), yes=yes)
    answer = ask(call, name, params, limit_s=row.time_limit_s + 10, first=name)
    if call.json:
        screen.print_json(answer)
    else:
        print("\n".join(screen.clean(line) for line in json.dumps(answer, indent=2, ensure_ascii=True).splitlines()))
    return exits.OK


def arguments(row: Command, values: tuple[str, ...]) -> dict[str, object]:
    """NAME=VALUE words by the row's own schema; what is missing or out of range the agent tells."""
    found: dict[str, object] = {}
    for word in values:
        name, equals, text = word.partition("=")
        if not equals or name not in row.args:
            allowed = ", ".join(f"{known}=..." for known in row.args) or _("none")
            words = _(
                "{word} is no argument of {name}; allowed: {allowed}", word=repr(word), name=row.name, allowed=allowed
            )
            raise click.UsageError(words)
        found[name] = _typed(name, row.args[name]["type"], text)
    missing = [name for name, rule in row.args.items() if rule.get("required") and name not in found]
    if missing:
        wanted = ", ".join(f"{name}=..." for name in missing)
        raise click.UsageError(_("{name} wants {arguments}", name=row.name, arguments=wanted))
    return found


def _typed(name: str, kind: str, text: str) -> object:
    if kind == "string":
        return text
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if value is None:
        raise click.UsageError(_("{argument}: must be of type {kind}", argument=f"{name}={text}", kind=kind))
    return value


def _list(call: Call, rows: list[Command]) -> int:
    if call.json:
        screen.print_json({"v": 1, "commands": [row.to_dict() for row in rows]})
        return exits.OK
    for row in rows:
        words = [_argument(name, rule) for name, rule in row.args.items()]
        for line in screen.wrap(" ".join([row.name, *words]), screen.width(), indent="    "):
            print(screen.paint(line, screen.BOLD))
        tail = "" if row.repeatable else ", never twice"
        text = f"{row.help} ({row.role}, {row.time_limit_s:g} s{tail})"
        for line in screen.wrap(text, screen.width() - 4):
            print("    " + line)
    return exits.OK


def _argument(name: str, rule: Rule) -> str:
    kind = "|".join(map(str, rule["enum"])) if "enum" in rule else rule["type"]
    shown = f"{name}={kind}"
    return shown if rule.get("required") else f"[{shown}]"
