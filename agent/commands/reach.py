"""What of the network a command from afar may reach: the internet, and of the home what its own file allows."""

from __future__ import annotations

from agent.commands.agent import Agent
from agent.net import targets
from agent.net.routes import read_routes


def refused(agent: Agent, address: str) -> str:
    """Why it may not reach this address; empty when it may."""
    allowed = agent.config.commands.diag_allow
    found = targets.problem(address, allowed, read_routes() or (), agent.config.wan.interfaces)
    if not found and targets.is_own(address) and targets.problem(address, allowed, (), ()):
        found = f"{address} is this device's"
    return f"{found}; commands.diag_allow may name networks" if found else ""
