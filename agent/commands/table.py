"""The one table of commands: what the CLI, the control socket and the MQTT channel can ask for.

A row is data: its arguments (a small subset of JSON Schema, agent/commands/arguments.py), who may ask, how long it may
take, whether it may run twice, and which resource it needs alone. `modem-agent commands --json` prints it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.commands.agent import Agent

Progress = Callable[[int, str], None]  # percent, what is being done
Run = Callable[[Agent, dict[str, Any], Progress], Awaitable[dict[str, Any]]]

ROLES = ("read", "act", "admin")  # each may do all that the ones before it may


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table."""

    name: str
    help: str
    run: Run
    args: Mapping[str, Any] = field(default_factory=dict)  # argument name -> schema; "required": True inside it
    role: str = "read"
    time_limit_s: float = 30.0
    repeatable: bool = True  # may run again when a power cut leaves open whether it ran
    resource: str | None = None  # commands of one resource run one after the other
    survives: str = ""  # "process" or "boot": its success is that a new one has begun

    def to_dict(self) -> dict[str, Any]:
        """The row as `modem-agent commands --json` and `twin/info` show it."""
        return {
            "name": self.name,
            "help": self.help,
            "role": self.role,
            "time_limit_s": self.time_limit_s,
            "repeatable": self.repeatable,
            "resource": self.resource,
            "args": {name: dict(schema) for name, schema in self.args.items()},
        }


def allows(role: str, needed: str) -> bool:
    """Whether somebody of this role may run a command that needs that one."""
    return role in ROLES and ROLES.index(role) >= ROLES.index(needed)
