"""`modem-agent commands`: the one table that the CLI, the control socket and the operator share."""

from __future__ import annotations

from typing import Any

from agent.cli import screen
from agent.cli.verb import Call, verb


@verb("modem-agent commands", "modem-agent commands --json", socket=False)
def command(call: Call) -> int:
    """The table of commands that CLI and operator share.

    read looks, act changes the line or the plan, admin changes the device; a role may do what those before it may.
    """
    from agent.commands import COMMANDS

    rows = [COMMANDS[name].to_dict() for name in sorted(COMMANDS)]
    if call.json:
        screen.print_json({"v": 1, "commands": rows})
        return 0
    for row in rows:
        words = [_argument(name, rule) for name, rule in row["args"].items()]
        print(screen.paint(" ".join([row["name"], *words]), screen.BOLD))
        tail = "" if row["repeatable"] else ", never twice"
        text = f"{row['help']} ({row['role']}, {row['time_limit_s']:g} s{tail})"
        for line in screen.wrap(text, screen.width() - 4):
            print("    " + line)
    return 0


def _argument(name: str, rule: dict[str, Any]) -> str:
    kind = "|".join(map(str, rule["enum"])) if "enum" in rule else rule["type"]
    shown = f"{name}={kind}"
    return shown if rule.get("required") else f"[{shown}]"
