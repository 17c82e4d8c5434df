"""Seals the statement of a month when it is over, and again if the operator's count corrects it. Started by the daemon.

The seal and the event that tells of it are in one transaction. Nothing is written while nothing is to be sealed.
"""

from __future__ import annotations

import asyncio
import logging

from agent import __version__
from agent.commands.agent import Agent
from agent.errors import StoreError
from agent.events import Emit, Progressed
from agent.household import statement
from agent.keeper import Change, as_it_stands
from agent.plan.ledger import Closed

log = logging.getLogger(__name__)

LOOK_S = 60.0


class Sealing:
    """See the module docstring."""

    def __init__(self, agent: Agent, emit: Emit) -> None:
        self._agent, self._emit = agent, emit
        self._sealed: Closed | None = None  # as it was when it was looked at last

    async def run(self) -> None:
        """Look for ever."""
        while True:
            self._emit(Progressed("statement", LOOK_S + 600))
            try:
                await self.look()
            except StoreError as error:
                log.warning("statement: %s", error)
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Seal what is over. Raises StoreError; it is tried again then."""
        agent, closed = self._agent, self._agent.keeper.ledger.previous
        if closed is None or closed is self._sealed or not (device := agent.snapshot().device):
            return
        await agent.keeper.do(Change(ledger=as_it_stands))
        plan = agent.config.plan
        drafted = await agent.store.run(lambda db: statement.draft(db, plan, device=device, version=__version__))
        if drafted is not None:
            sealed, told = drafted
            agent.event("statement", told)
            await agent.keeper.do(
                Change(ledger=as_it_stands, tables=lambda db: db.statements.put(sealed), insists=True)
            )
        self._sealed = closed
