"""The one table of commands: what the CLI, the control socket and the MQTT channel can ask for.

A row is data: its arguments (a small subset of JSON Schema, agent/commands/arguments.py), who may ask, how long it may
take, whether it may run twice, and which resource it needs alone. `modem-agent commands --json` prints it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from agent.commands.agent import Agent
from agent.keeper import Change, LedgerChange, Tables
from agent.plan import Ledger

if TYPE_CHECKING:
    from agent.command_schema import Rule

# A caller's JSON, checked against the row's schema, which says of what type each value is, and filled up.
Args = dict[str, Any]
Out = Mapping[str, object]  # the answer's part `out`, as the encoder takes it
Schema = Mapping[str, "Rule"]  # argument name -> its schema, of JSON


class Progress(Protocol):
    """What a running command may tell its caller; `id` is the command's own, or empty on the control socket."""

    @property
    def id(self) -> str: ...
    @property
    def role(self) -> str:
        """Of whoever asked."""
        ...

    @property
    def issuer(self) -> str:
        """Who asks; proved only where there are keys."""
        ...

    def __call__(self, percent: int, what: str) -> None:
        """How far it got, and what is being done."""
        ...

    async def conclude(self, ledger: LedgerChange, out: Callable[[Ledger], Out], tables: Tables | None = None) -> Out:
        """Change the ledger and give the final answer in one transaction, which a cancelled command does not end.

        `tables` has its part in it where the command came from afar.
        """
        ...

    def cancel(self, id: str) -> bool:
        """End another command of the same channel; False when it is not under way. Raises Rejected."""
        ...


class Quiet:
    """The caller keeps no journal: the control socket."""

    id = issuer = ""

    def __init__(self, agent: Agent, tell: Callable[[int, str], None], role: str) -> None:
        self._agent, self._tell, self.role = agent, tell, role

    def __call__(self, percent: int, what: str) -> None:
        self._tell(percent, what)

    async def conclude(self, ledger: LedgerChange, out: Callable[[Ledger], Out], tables: Tables | None = None) -> Out:
        return out(await self._agent.keeper.do(Change(ledger=ledger)))

    def cancel(self, id: str) -> bool:
        return False


Run = Callable[[Agent, Args, Progress], Awaitable[Out]]

ROLES = ("read", "act", "admin")  # each may do all that the ones before it may


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table."""

    name: str
    help: str
    run: Run
    args: Schema = field(default_factory=dict)  # argument name -> schema; "required": True inside it
    role: str = "read"
    time_limit_s: float = 30.0
    repeatable: bool = True  # may run again when a power cut leaves open whether it ran
    needs: Callable[[Agent], object] = lambda agent: None  # raises Rejected while it could not be done anyway
    resource: str | None = None  # commands of one resource run one after the other
    survives: str = ""  # "process" or "boot": its success is that a new one has begun
    reads: Callable[[Args], bool] = lambda args: False  # whether it changes nothing, whatever it costs
    resume: Run | None = None  # what a later run of the agent does for it, instead of running it again
    undo: Run | None = None  # takes back what a cancelled one has begun; its result says what the state is now

    @property
    def at_once(self) -> bool:
        """Whether it only looks and needs nothing for itself, so that it can be done before it is journalled."""
        return self.role == "read" and self.resource is None and self.repeatable and self.time_limit_s <= 30

    def to_dict(self) -> dict[str, object]:
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
