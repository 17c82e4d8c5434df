"""Commands that only look: `status`, `usage`, `modem.info`. They cost nothing and change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent import redact
from agent.commands import results
from agent.commands.agent import Agent
from agent.commands.command import ROLES, Args, Command, Out, Progress, Schema
from agent.errors import Rejected
from agent.household import statement as composed
from agent.keeper import Change, as_it_stands
from agent.status import usage_of
from agent.store.database import Database

if TYPE_CHECKING:
    from agent import status_schema as schema
    from agent.command_schema import Rule
    from agent.statement_schema import Answer

NO_MODEM = 7801  # vendor range: the cellular module is absent, busy or hung


def shown(agent: Agent, args: Args, progress: Progress) -> schema.Status:
    """The status schema as whoever asks may see it. A technician on the device sees all. Raises Rejected."""
    status, rule = agent.snapshot().to_dict(), agent.config.operator.location
    if not progress.id:
        return status
    if not args["whole"]:
        return redact.anonymous(redact.located(status, rule))
    if progress.role != ROLES[-1]:
        raise Rejected(results.PERMISSION_DENIED, f"whole needs the role {ROLES[-1]}, not {progress.role}")
    return redact.located(status, "never" if rule == "never" else "always")


async def status(agent: Agent, args: Args, progress: Progress) -> Out:
    await agent.refresh()
    return shown(agent, args, progress)


async def usage(agent: Agent, args: Args, progress: Progress) -> Out:
    await agent.refresh()
    found = agent.snapshot().to_dict()
    out = usage_of(found)
    if "days" in args:
        out["days"] = await agent.store.run(lambda db: db.history.days(args["days"]))
    if "months" in args:
        out["months"] = await agent.store.run(lambda db: db.history.months(args["months"]))
    return out


async def statement(agent: Agent, args: Args, progress: Progress) -> Out:
    """Of the month under way so far, of one that is over as it was sealed."""
    await agent.refresh()
    now = agent.snapshot()
    found: list[Answer | None] = []

    def look(database: Database) -> None:
        """In the transaction that saves the ledger, so that days and sums are of one moment."""
        month, who = args["month"], {"device": now.device, "version": now.version}
        found.append(composed.look(database, agent.config.plan, month, **who))

    await agent.keeper.do(Change(ledger=as_it_stands, tables=look))
    if found[-1] is None:
        raise Rejected(results.INVALID_VALUE, f"nothing is known of {args['month']}")
    return {"v": 1, **found[-1]}


async def modem_info(agent: Agent, args: Args, progress: Progress) -> Out:
    modem = shown(agent, args, progress)["modem"]
    if modem["reading"] is None:
        raise Rejected(NO_MODEM, f"modem {modem['state']}: nothing was read from it yet")
    return {"v": 1, **modem}


WHOLE: Schema = {
    "whole": {
        "type": "boolean",
        "default": False,
        "help": "with identifiers, and with the cell unless operator.location is never: for an admin",
    }
}
COUNT: Rule = {"type": "integer", "minimum": 1, "maximum": 400}

ROWS = (
    Command("status", "everything about the agent, at one look", status, args=WHOLE),
    Command(
        "usage",
        "what the household has used, of how much, until when",
        usage,
        args={"days": {**COUNT, "help": "also so many days"}, "months": {**COUNT, "help": "also so many months"}},
    ),
    Command(
        "usage.statement",
        "a month for the household to put on a table: days, warnings, both meters, gaps",
        statement,
        args={
            "month": {
                "type": "string",
                "pattern": r"^\d{4}-\d{2}(-\d{2})?$",
                "required": True,
                "help": "such as 2026-11, or its first day",
            }
        },
    ),
    Command("modem.info", "identity, SIM, registration and signal of the module", modem_info, args=WHOLE),
)
