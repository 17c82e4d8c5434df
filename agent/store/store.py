"""The one writer thread: the loop hands it a function, the function runs in one transaction, the loop gets its result.

Called by the daemon. A disk that is full or read-only raises StoreError to whoever awaits; what was to be written is
still in memory there, and is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from agent.errors import StoreError
from agent.store.database import Database

T = TypeVar("T")


class Store:
    """Owns the Database; opening raises StoreError or StoreTooNew at once."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.problem: str | None = None  # of the last transaction, None once one succeeds
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        try:
            self._database = self._thread.submit(Database.open, self.path).result()
        except BaseException:
            self._thread.shutdown()
            raise

    @property
    def set_aside(self) -> Path | None:
        """Where a damaged database was put when this one was opened."""
        return self._database.set_aside

    @property
    def state(self) -> str:
        """ok, full, read-only or damaged: what the last transaction met."""
        problem = self.problem or ""
        if "readonly" in problem or "read-only" in problem:
            return "read-only"
        if "full" in problem:
            return "full"
        return "damaged" if problem else "ok"

    async def run(self, fn: Callable[[Database], T]) -> T:
        """`fn(database)` in one transaction on the writer thread; what it raises is raised here, after a rollback."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, fn)

    def _transact(self, fn: Callable[[Database], T]) -> T:
        try:
            with self._database.transaction():
                result = fn(self._database)
        except StoreError as error:
            self.problem = str(error)
            raise
        self.problem = None
        return result

    def close(self) -> None:
        """Wait for what was handed in, checkpoint and close. Further use raises RuntimeError."""
        self._thread.submit(self._database.close).result()
        self._thread.shutdown()
