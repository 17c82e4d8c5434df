"""Commands that only look: `status`, `usage`, `modem.info`. They cost nothing and change nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent import redact
from agent.commands import results
from agent.commands.agent import Agent
from agent.commands.command import ROLES, Command, Progress
from agent.errors import Rejected

NO_MODEM = 7801  # vendor range: the cellular module is absent, busy or hung


def shown(agent: Agent, args: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """The status schema as whoever asks may see it. A technician on the device sees all. Raises Rejected."""
    status, rule = agent.snapshot().to_dict(), agent.config.operator.location
    if not progress.id:
        return status
    if not args["whole"]:
        return redact.anonymous(redact.located(status, rule))
    if progress.role != ROLES[-1]:
        raise Rejected(results.PERMISSION_DENIED, f"whole needs the role {ROLES[-1]}, not {progress.role}")
    return redact.located(status, "never" if rule == "never" else "always")


async def status(agent: Agent, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    await agent.refresh()
    return shown(agent, args, progress)


async def usage(agent: Agent, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    await agent.refresh()
    found = agent.snapshot().to_dict()
    out = {name: found[name] for name in ("v", "time", "clk", "usage", "period", "plan")}
    if "days" in args:
        out["days"] = await agent.store.run(lambda db: db.history.days(args["days"]))
    if "months" in args:
        out["months"] = await agent.store.run(lambda db: db.history.months(args["months"]))
    return out


async def modem_info(agent: Agent, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    modem = shown(agent, args, progress)["modem"]
    if modem["reading"] is None:
        raise Rejected(NO_MODEM, f"modem {modem['state']}: nothing was read from it yet")
    return {"v": 1, **modem}


WHOLE = {
    "whole": {
        "type": "boolean",
        "default": False,
        "help": "with identifiers, and with the cell unless operator.location is never: for an admin",
    }
}
COUNT = {"type": "integer", "minimum": 1, "maximum": 400}

ROWS = (
    Command("status", "everything about the agent, at one look", status, args=WHOLE),
    Command(
        "usage",
        "what the household has used, of how much, until when",
        usage,
        args={"days": {**COUNT, "help": "also so many days"}, "months": {**COUNT, "help": "also so many months"}},
    ),
    Command("modem.info", "identity, SIM, registration and signal of the module", modem_info, args=WHOLE),
)
