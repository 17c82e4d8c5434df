"""The table itself: every row of every subject, by name."""

from __future__ import annotations

from agent.commands.command import Command
from agent.commands.rows import certificate, config, device, diag, modem, plan, signal, status, update

ROOMS = (status, signal, modem, diag, plan, config, certificate, device, update)
COMMANDS: dict[str, Command] = {row.name: row for room in ROOMS for row in room.ROWS}
