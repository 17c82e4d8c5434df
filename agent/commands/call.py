"""One command under way: its progress, its final answer inside the transaction of the deed, its cancelling."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from agent.commands import results
from agent.commands.results import answer
from agent.mqtt import Batch
from agent.store.journal import Entry

if TYPE_CHECKING:
    from agent.commands.runner import Runner

T = TypeVar("T")


class AlreadyFinished(Exception):
    """The command has its final answer (it timed out, or was cancelled): the deed must not follow."""


class Call:
    """agent.commands.command.Progress for a command of the journal."""

    def __init__(self, runner: Runner, entry: Entry) -> None:
        self._runner = runner
        self.entry = entry
        self.task: asyncio.Task[None] | None = None
        self.cancelled_by = ""
        self.finished = False
        self._batch: Batch | None = None
        self._told_s = runner.agent.clock.now().boot_s
        self._percent = -1

    @property
    def id(self) -> str:
        return self.entry.id

    PROGRESS_S = 5.0  # at most one progress message in so long: each is a flash write and half a kilobyte of the link

    def __call__(self, percent: int, what: str) -> None:
        now_s = self._runner.agent.clock.now().boot_s
        if percent <= self._percent or now_s - self._told_s < self.PROGRESS_S or self.finished:
            return
        self._told_s, self._percent = now_s, percent
        self._runner.tell_progress(self, percent, what)

    def finish(self, out: Callable[[], dict[str, Any]]) -> Callable[[Any], None]:
        outbox = self._runner.outbox
        batch = self._batch = outbox.batch()
        entry, n = self.entry, self.entry.n + 1

        def body() -> dict[str, Any]:
            return answer(id=entry.id, type=entry.type, n=n, state=results.SUCCEEDED, out=out())

        save = self._runner.ending(entry, batch, body)
        outbox.seal(batch)

        def also(db: Any) -> None:
            save(db)
            batch.save(db)

        return also

    def cancel(self, id: str) -> bool:
        return id != self.id and self._runner.cancel(id, self.entry.issuer)

    async def bound(self, change: Awaitable[T]) -> T:
        task = asyncio.ensure_future(self._settle(change))
        return await asyncio.shield(task)

    async def _settle(self, change: Awaitable[T]) -> T:
        batch, self._batch = self._batch, None
        try:
            made = await change
        except BaseException:
            if batch is not None:
                self._runner.outbox.abandoned(batch)
            raise
        if batch is not None:
            self._runner.outbox.committed(batch)
            self.finished = True
        return made
