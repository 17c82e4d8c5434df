"""Commands that only look: `status`, `usage`, `modem.info`. They cost nothing and change nothing."""

from __future__ import annotations

from agent.commands.agent import Agent
from agent.commands.command import Args, Command, Out, Progress
from agent.errors import Rejected

NO_MODEM = 7801  # vendor range: the cellular module is absent, busy or hung


async def status(agent: Agent, args: Args, progress: Progress) -> Out:
    await agent.refresh()
    return agent.snapshot().to_dict()


async def usage(agent: Agent, args: Args, progress: Progress) -> Out:
    await agent.refresh()
    shown = agent.snapshot().to_dict()
    out = {name: shown[name] for name in ("v", "time", "clk", "usage", "period", "plan")}
    if "days" in args:
        out["days"] = await agent.store.run(lambda db: db.history.days(args["days"]))
    if "months" in args:
        out["months"] = await agent.store.run(lambda db: db.history.months(args["months"]))
    return out


async def modem_info(agent: Agent, args: Args, progress: Progress) -> Out:
    look = agent.snapshot()
    if look.reading is None:
        raise Rejected(NO_MODEM, f"modem {look.modem_state}: nothing was read from it yet")
    return {"v": 1, **look.modem()}


COUNT = {"type": "integer", "minimum": 1, "maximum": 400}

ROWS = (
    Command("status", "everything about the agent, at one look", status),
    Command(
        "usage",
        "what the household has used, of how much, until when",
        usage,
        args={"days": {**COUNT, "help": "also so many days"}, "months": {**COUNT, "help": "also so many months"}},
    ),
    Command("modem.info", "identity, SIM, registration and signal of the module", modem_info),
)
