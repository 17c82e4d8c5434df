"""The table itself: every row of every subject, by name."""

from __future__ import annotations

from agent.commands import device, diag, looking, module, plan, radio, settings
from agent.commands.table import Command

ROOMS = (looking, radio, module, diag, plan, settings, device)
COMMANDS: dict[str, Command] = {row.name: row for room in ROOMS for row in room.ROWS}
