"""The commands: one table behind the CLI and the MQTT channel, and the journal of what was done."""

from agent.commands.agent import Agent
from agent.commands.catalogue import COMMANDS
from agent.commands.execute import execute
from agent.commands.snapshot import Snapshot
from agent.commands.table import Command

__all__ = ["COMMANDS", "Agent", "Command", "Snapshot", "execute"]
