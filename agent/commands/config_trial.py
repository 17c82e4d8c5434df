"""The trial of a pushed configuration: decided by the daemon, whoever asked for it and whatever became of the command.

Confirmed once the device can be reached with it: in a session of its own the broker took the subscription to commands
and a report. Rolled back when its time is over. A command, or somebody at the socket, only waits for the verdict.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from agent.commands import pushed_config
from agent.commands.agent import Agent
from agent.errors import StoreError

log = logging.getLogger(__name__)

LOOK_S = 0.5  # how often a trial looks whether the broker was reached
STORE_RETRY_S = 5.0


class ConfigTrials:
    """The daemon's task: one trial after the other."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._begun = asyncio.Event()

    def begun(self) -> None:
        """There is a trial to decide; harmless when there is none."""
        self._begun.set()

    async def run(self) -> None:
        """Decide what the last run left open, and then what begins, until cancelled."""
        while True:
            self._begun.clear()
            try:
                await decide(self._agent)
            except StoreError as error:
                log.warning("trial of a configuration: %s", error)
                await asyncio.sleep(STORE_RETRY_S)
                continue
            await self._begun.wait()


async def decide(agent: Agent) -> None:
    """Return when no configuration is on trial (any more). Raises StoreError."""
    while (made := await agent.store.run(pushed_config.trial)) is not None:
        now = agent.clock.now()
        if made.reached(agent.snapshot().session):
            await agent.store.run(partial(pushed_config.confirm, id=made.id))
        elif made.timed_out(now.boot_id, now.boot_s):
            await roll_back(agent, made.id, made.timeout)
        else:
            await asyncio.sleep(LOOK_S)


async def roll_back(agent: Agent, id: str, reason: str) -> None:
    """End this trial and go back to the good configuration; nothing where it is not on trial (any more)."""
    if await agent.store.run(partial(pushed_config.give_up, id=id, reason=reason)):
        await agent.restart()
