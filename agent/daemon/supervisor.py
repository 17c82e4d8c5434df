"""Supervised tasks: each concern runs alone, so that a modem that is gone never stops the counting.

A task that fails is logged, counted and started again after a growing pause. A task marked fatal (the counting) ends
the daemon when it fails by a bug, or again and again: the service manager starts it anew and it carries on from what
is on disk, which is better than going on with a ledger that nobody keeps. What stalls is the watchdog's matter.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable

from agent.backoff import Backoff
from agent.errors import AgentError

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
FATAL_FAILURES = 5
CLOSE_S = 2.0
STEADY_S = 300.0  # a task that ran this long is taken to have been well: its pause starts small again


class Supervisor:
    """Starts tasks, restarts those that fail, and knows when each last made progress."""

    def __init__(self, faults: Counter[str], *, on_fatal: Callable[[str, str], bool]) -> None:
        self._faults, self._on_fatal = faults, on_fatal
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._beats: dict[str, tuple[float, float]] = {}

    def start(self, name: str, work: Callable[[], Awaitable[None]], *, fatal: bool = False) -> None:
        """Run `work()` for ever under `name`; it returns only to be started again."""
        self._tasks[name] = asyncio.create_task(self._keep(name, work, fatal), name=name)

    async def _keep(self, name: str, work: Callable[[], Awaitable[None]], fatal: bool) -> None:
        backoff, failures = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S), 0
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
                failures += 1
                if fatal and (not expected or failures >= FATAL_FAILURES) and self._on_fatal(name, str(error)):
                    return
            if loop.time() - began > STEADY_S:
                failures = 0
                backoff.reset()
            await asyncio.sleep(backoff.next_s())

    def beat(self, name: str, within_s: float) -> None:
        """A task says that it made progress and will again within so many seconds."""
        self._beats[name] = (asyncio.get_running_loop().time(), within_s)

    def stalled(self) -> list[str]:
        """Tasks that have not kept what their last beat promised; the watchdog is told."""
        now = asyncio.get_running_loop().time()
        return [name for name, (at, within_s) in self._beats.items() if now - at > within_s]

    async def close(self) -> None:
        """Cancel all tasks and wait until they are gone, but not for one that does not go."""
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=CLOSE_S)
        self._tasks.clear()
