"""The table itself: every row of every subject, by name."""

from __future__ import annotations

from agent.commands import device, looking, plan, radio
from agent.commands.table import Command

COMMANDS: dict[str, Command] = {row.name: row for room in (looking, radio, plan, device) for row in room.ROWS}
