"""The table itself: every row of every subject, by name."""

from __future__ import annotations

from agent.commands import device, looking, plan
from agent.commands.table import Command

COMMANDS: dict[str, Command] = {row.name: row for room in (looking, plan, device) for row in room.ROWS}
