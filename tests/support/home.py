"""An agent of a fleet whose updates come to an end at once, well or badly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agent.commands.authority import BrokerAuthority
from agent.commands.command import Command, Progress
from agent.commands.runner import Runner
from agent.commands.table import COMMANDS
from agent.errors import Rejected
from tests.commands.standin import StandIn, config_for


def home(folder: Path, url: str, device: str, ran: list[str], bad: set[str], version: str = "0") -> StandIn:
    """`ran` gets a line an update; an update of a device in `bad` is put back."""
    folder.mkdir(exist_ok=True)
    agent = StandIn(folder, config_for(url), device=device, version=version)

    async def update(_: Any, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
        ran.append(f"{device} {args['version']}")
        progress(30, "fetching")
        if device in bad:
            raise Rejected(7022, "restored: it did not say that it is well")
        return {"v": 1, "result": "installed"}

    row = COMMANDS["agent.update"]
    agent.runner = Runner(
        agent, agent.outbox, BrokerAuthority(), device=device, instance="1", nonce=lambda: agent.nonce,
        commands={row.name: Command(row.name, row.help, update, args=row.args, role=row.role)},
    )  # fmt: skip
    agent.session._deliver = agent.runner.deliver
    return agent
