"""One command under way: its progress, its final answer inside the transaction of the deed, its cancelling."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.keeper import LedgerChange, Tables
from agent.plan import Ledger
from agent.store.journal import Entry

if TYPE_CHECKING:
    from agent.commands.command import Out
    from agent.commands.runner import Runner


class Call:
    """agent.commands.command.Progress for a command of the journal."""

    PROGRESS_S = 5.0  # at most one progress message in so long: each is a flash write and half a kilobyte of the link

    def __init__(self, runner: Runner, entry: Entry) -> None:
        self._runner = runner
        self.entry = entry
        self.task: asyncio.Task[None] | None = None
        self.cancelled_by = ""
        self.finished = False
        self._told_s = runner.agent.clock.now().boot_s
        self._percent = -1

    @property
    def id(self) -> str:
        return self.entry.id

    def __call__(self, percent: int, what: str) -> None:
        now_s = self._runner.agent.clock.now().boot_s
        if percent <= self._percent or now_s - self._told_s < self.PROGRESS_S or self.finished:
            return
        self._told_s, self._percent = now_s, percent
        self._runner.tell_progress(self, percent, what)

    @property
    def issuer(self) -> str:
        return self.entry.issuer

    @property
    def role(self) -> str:
        return self.entry.role

    async def conclude(self, ledger: LedgerChange, out: Callable[[Ledger], Out], tables: Tables | None = None) -> Out:
        success = replace(self._runner.success(self.entry, ledger, out), tables=tables)
        concluded = self._runner.agent.keeper.put(success)
        concluded.add_done_callback(self._concluded)
        return out(await asyncio.shield(concluded))

    def _concluded(self, done: asyncio.Future[Ledger]) -> None:
        self.finished = not done.cancelled() and done.exception() is None

    def cancel(self, id: str) -> bool:
        return id != self.id and self._runner.cancel(id, self.entry)
