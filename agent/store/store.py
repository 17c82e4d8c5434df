"""The one writer thread: the loop hands it a function, the function runs in one transaction, the loop gets its result.

Called by the daemon. A disk that refuses a transaction (full, read-only) raises StoreError to whoever awaits: what was
to be written is still in memory there, and is tried again. A disk that cannot even be opened does not stop the daemon:
the store works in memory, says so in `state`, and moves to the disk when that takes data again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from agent.errors import StoreError, StoreTooNew
from agent.store.database import Database
from agent.store.files import is_held

T = TypeVar("T")

REOPEN_S = 30.0


class Store:
    """Owns the Database. Opening raises StoreTooNew, and StoreError when another daemon holds the database."""

    def __init__(self, path: Path | str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.path = Path(path)
        self.problem: str | None = None  # what the disk said last, None while it takes data
        self._monotonic, self._tried_s = monotonic, 0.0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        try:
            self._database = self._thread.submit(self._open).result()
        except BaseException:
            self._thread.shutdown()
            raise

    @property
    def set_aside(self) -> Path | None:
        """Where a damaged database was put when this one was opened."""
        return self._database.set_aside

    @property
    def restored(self) -> bool:
        """Whether this database came from the last good generation."""
        return self._database.restored

    @property
    def went_back(self) -> bool:
        """Whether it is sound, and older than the last run had left it."""
        return self._database.went_back

    @property
    def damaged(self) -> bool:
        """Whether this database, when it was opened, was not what the last run had left."""
        return self._database.damaged

    @property
    def state(self) -> str:
        """ok, full, read-only or damaged: what the disk said last."""
        problem = (self.problem or "").lower()
        if "full" in problem or "no space" in problem:
            return "full"
        if "malformed" in problem or "not a database" in problem:
            return "damaged"
        return "read-only" if problem else "ok"

    async def run(self, fn: Callable[[Database], T]) -> T:
        """`fn(database)` in one transaction on the writer thread; what it raises is raised here, after a rollback."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, fn)

    def close(self) -> None:
        """Wait for what was handed in, checkpoint and close. Further use raises RuntimeError."""
        self._thread.submit(lambda: self._database.close()).result()
        self._thread.shutdown()

    # -- on the thread -----------------------------------------------------------------------------------------

    def _open(self) -> Database:
        self._tried_s = self._monotonic()
        try:
            return Database.open(self.path)
        except StoreTooNew:
            raise
        except StoreError as error:
            if is_held(error):
                raise
            self.problem = str(error)
            return Database.open_in_memory(self.path)

    def _transact(self, fn: Callable[[Database], T]) -> T:
        if self._database.in_memory:
            self._return_to_disk()
        try:
            with self._database.transaction():
                result = fn(self._database)
        except StoreError as error:
            self.problem = str(error)
            raise
        if not self._database.in_memory:
            self.problem = None
        return result

    def _return_to_disk(self) -> None:
        """What was gathered in memory replaces the database on the disk, of which it is the continuation."""
        if self._monotonic() - self._tried_s < REOPEN_S:
            return
        self._tried_s = self._monotonic()
        try:
            real = Database.open(self.path)
        except StoreError as error:
            self.problem = str(error)
            return
        try:
            self._database.connection.backup(real.connection)
            real.note_opened()  # the copy has not seen it
        except Exception as error:  # sqlite3 raises several kinds for a disk that fills up meanwhile
            real.close()
            self.problem = str(error)
            return
        self._database.close()
        self._database = real
