"""Supervised tasks: each concern runs alone, so that a modem that is gone never stops the counting.

A task that fails is logged, counted and started again after a growing pause. A task marked fatal (ledger, store) ends
the daemon instead: the service manager starts it anew and it carries on from what is on disk.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable

from agent.errors import AgentError

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
STEADY_S = 300.0  # a task that ran this long is taken to have been well: its pause starts small again


class Supervisor:
    """Starts tasks, restarts those that fail, and knows when each last made progress."""

    def __init__(self, faults: Counter[str]) -> None:
        self._faults = faults
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._beats: dict[str, tuple[float, float]] = {}
        self._failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    def start(self, name: str, work: Callable[[], Awaitable[None]], *, fatal: bool = False) -> None:
        """Run `work()` for ever under `name`; it returns only to be started again."""
        self._tasks[name] = asyncio.create_task(self._keep(name, work, fatal), name=name)

    async def _keep(self, name: str, work: Callable[[], Awaitable[None]], fatal: bool) -> None:
        pause_s = FIRST_PAUSE_S
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await work()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                self._faults[f"task.{name}"] += 1
                expected = isinstance(error, AgentError)
                log.error("task %s failed: %s", name, error, exc_info=None if expected else error)
                if fatal:
                    if not self._failed.done():
                        self._failed.set_result(error)
                    return
            if loop.time() - began > STEADY_S:
                pause_s = FIRST_PAUSE_S
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def beat(self, name: str, within_s: float) -> None:
        """A task says that it made progress and will again within so many seconds."""
        self._beats[name] = (asyncio.get_running_loop().time(), within_s)

    def stalled(self) -> list[str]:
        """Tasks that have not kept what their last beat promised; the watchdog is fed while there is none."""
        now = asyncio.get_running_loop().time()
        return [name for name, (at, within_s) in self._beats.items() if now - at > within_s]

    async def failure(self) -> BaseException:
        """Wait for a fatal fault."""
        return await asyncio.shield(self._failed)

    async def close(self) -> None:
        """Cancel all tasks and wait until they are gone."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()
