"""`modem.signal`: what the antenna hears. Asked once a beat by the meter, so it must cost little."""

from __future__ import annotations

from typing import Any

from agent.commands.agent import Agent
from agent.commands.looking import NO_MODEM
from agent.commands.table import Command, Progress
from agent.errors import Rejected

PARTS = ("signal", "registration", "operator", "access_technology")


async def signal(agent: Agent, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    status = agent.snapshot().to_dict()
    modem = status["modem"]
    if modem["reading"] is None:
        raise Rejected(NO_MODEM, f"modem {modem['state']}: nothing was read from it yet")
    return {"v": 1, "time": status["time"], **{name: modem["reading"].get(name) for name in PARTS}}


ROWS = (Command("modem.signal", "what the antenna hears now, and on which cell", signal),)
