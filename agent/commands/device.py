"""Commands about the agent and the device itself."""

from __future__ import annotations

from typing import Any

from agent.commands.agent import Agent
from agent.commands.table import Command, Progress


async def rebirth(agent: Agent, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    await agent.rebirth()
    return {"v": 1}


ROWS = (Command("agent.rebirth", "publish status, twins and measurements anew", rebirth, role="read"),)
