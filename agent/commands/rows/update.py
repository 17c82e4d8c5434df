"""`agent.update`: another version of the agent. The room `agent/update` is read when it is asked for."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from agent.commands.agent import Agent
from agent.commands.command import Args, Command, Out, Progress

if TYPE_CHECKING:
    from agent.update.hand_over import Wish


def _wish(args: Args) -> Wish:
    from agent.update.hand_over import Wish

    return Wish(**args)


async def update(agent: Agent, args: Args, progress: Progress) -> Out:
    """Check, fetch, hand over, wait for the verdict, which usually comes to another run of the agent: `settle`."""
    from agent.update import hand_over, package_manager

    wish, manager = _wish(args), package_manager.find()
    id = progress.id or f"local-{secrets.token_hex(4)}"
    await asyncio.to_thread(hand_over.admissible, agent, wish, manager)
    await hand_over.fetched(agent, wish, manager, progress)
    await hand_over.hand_over(agent, wish, manager, id)
    progress(70, "handed over to the package manager")
    return await hand_over.decided(agent.config.device.state_dir, id)


async def settle(agent: Agent, args: Args, progress: Progress) -> Out:
    """A command that an earlier run of the agent began: its verdict, or once more from where the fetching ended."""
    from agent.update import folders, hand_over, verdict

    state_dir = agent.config.device.state_dir
    found = verdict.read(state_dir)
    told = found is not None and found.id == progress.id
    if told or folders.on_trial(state_dir) or hand_over.handed_over(state_dir, progress.id):
        return await hand_over.decided(state_dir, progress.id)
    return await update(agent, args, progress)


async def take_back(agent: Agent, args: Args, progress: Progress) -> Out:
    from agent.update import hand_over

    return {"v": 1, "result": hand_over.take_back(agent.config.device.state_dir, progress.id)}


ROWS = (
    Command(
        "agent.update",
        "install another version of the agent; the old one comes back unless the new one proves itself",
        update,
        args={
            "version": {
                "type": "string", "required": True, "pattern": r"^[0-9][A-Za-z0-9.+~-]{0,63}\Z",
                "help": "a version of the agent, as twin/info shows it",
            },
            "url": {
                "type": "string", "required": True, "maxLength": 500,
                "pattern": r"^https://[^\s?#]+/[A-Za-z0-9][A-Za-z0-9._+~-]{0,127}\Z",
                "help": "https address of the package file",
            },
            "sha256": {"type": "string", "required": True, "pattern": r"^[0-9a-f]{64}\Z", "help": "64 hex digits"},
            "size": {"type": "integer", "required": True, "minimum": 1, "maximum": 50_000_000},
            "downgrade": {"type": "boolean", "default": False},
            "even_when_slow": {"type": "boolean", "default": False},
            "rate_bps": {"type": "integer", "minimum": 8_000, "maximum": 100_000_000, "default": 256_000},
        },
        role="admin",
        time_limit_s=86_400.0,
        resource="update",
        resume=settle,
        undo=take_back,
    ),
)  # fmt: skip
