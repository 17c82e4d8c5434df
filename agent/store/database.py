"""SQLite for everything that must survive: opening, checking, migrating, transactions.

Called by `Store` (the daemon's writer thread) and by CLI verbs while the daemon is down. Synchronous. Never touches a
database that a newer version wrote.

Journal mode: WAL with locking_mode=EXCLUSIVE and synchronous=FULL. One fsync makes a commit, and only the changed
pages are written, to one file that is overwritten in place. EXCLUSIVE keeps the WAL's index in memory instead of a
shared memory map, which jffs2 cannot give (it has no shared writable mmap), and keeps a second daemon out. Pages of
1 kB: the ledger's row fits one or two, and a commit dirties one or two blocks of the disk.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.errors import StoreError, StoreTooNew
from agent.plan.ledger import Ledger, closed_hours
from agent.plan.record import from_dict, to_dict
from agent.store.history import History
from agent.store.journal import AuditTable, JournalTable
from agent.store.ledger import EventTable, LedgerTable, MetaTable
from agent.store.outbox import OutboxTable
from agent.store.schema import MIGRATIONS

PAGE_BYTES = 1_024
CHECKPOINT_PAGES = 200
CACHE_KB = 256
DAMAGED_KEPT = 2


class Database:
    """One connection. Use `Database.open` or `open_readonly`; `close` it."""

    def __init__(self, connection: sqlite3.Connection, path: Path, scratch: Path | None = None) -> None:
        self.connection = connection
        self.path = path
        self.set_aside: Path | None = None  # where a damaged predecessor went
        self._scratch = scratch
        self.ledger = LedgerTable(connection)
        self.history = History(connection)
        self.events = EventTable(connection)
        self.meta = MetaTable(connection)
        self.outbox = OutboxTable(connection)
        self.journal = JournalTable(connection)
        self.audit = AuditTable(connection)

    # -- opening -----------------------------------------------------------------------------------------------

    @classmethod
    def open(cls, path: Path | str) -> Database:
        """Open for writing, creating or migrating as needed. Raises StoreError, StoreTooNew."""
        path = Path(path)
        try:
            return cls._open(path)
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise StoreError(f"{path}: {error}") from error
            aside = _set_aside(path)
        try:
            database = cls._open(path)
        except sqlite3.Error as error:
            raise StoreError(f"{path}: {error}") from error
        database.set_aside = aside
        return database

    @classmethod
    def _open(cls, path: Path) -> Database:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{path.parent}: {error.strerror}") from error
        connection = _connect(path)
        try:
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            if version > len(MIGRATIONS):
                raise StoreTooNew(
                    f"{path}: written by a newer agent (schema {version}, this one knows {len(MIGRATIONS)})"
                )
            _settle_pragmas(connection)
            _check(connection)
            _migrate(connection, version)
        except BaseException:
            connection.close()
            raise
        return cls(connection, path)

    @classmethod
    def open_readonly(cls, path: Path | str) -> Database:
        """Look at a copy: no lock is taken, nothing on the disk changes, and it works beside a running daemon."""
        path = Path(path)
        if not path.exists():
            raise StoreError(f"{path}: no such database")
        scratch = Path(tempfile.mkdtemp(prefix="modem-agent-"))
        try:
            for suffix in ("", "-wal"):
                with contextlib.suppress(FileNotFoundError):
                    shutil.copyfile(f"{path}{suffix}", scratch / f"copy{suffix}")
            connection = _connect(scratch / "copy")
            try:
                version = int(connection.execute("PRAGMA user_version").fetchone()[0])
                if version > len(MIGRATIONS):
                    raise StoreTooNew(f"{path}: written by a newer agent (schema {version})")
                _check(connection)
                _migrate(connection, version)
            except BaseException:
                connection.close()
                raise
            return cls(connection, path, scratch)
        except (sqlite3.Error, OSError) as error:
            shutil.rmtree(scratch, ignore_errors=True)
            raise StoreError(f"{path}: {error}") from error
        except StoreError:
            shutil.rmtree(scratch, ignore_errors=True)
            raise

    def close(self) -> None:
        self.connection.close()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- working -----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Database]:
        """All or nothing; within another transaction it is part of that one."""
        if self.connection.in_transaction:
            yield self
            return
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            yield self
            self.connection.execute("COMMIT")
        except BaseException as error:
            with contextlib.suppress(sqlite3.Error):
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise StoreError(f"{self.path}: {error}") from error
            raise

    def load_ledger(self) -> Ledger | None:
        """The ledger as last kept. Raises StoreError, PlanError."""
        data = self.ledger.load()
        return None if data is None else from_dict(data)

    def keep(self, ledger: Ledger) -> None:
        """Save the ledger and move its closed hours into the history; `plan.committed` then does so in memory."""
        with self.transaction():
            closed = closed_hours(ledger)
            self.history.add(closed)
            self.ledger.save(to_dict(replace(ledger, hours=tuple(h for h in ledger.hours if h not in closed))))


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=2.0, isolation_level=None)
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")  # holds for a new file only
    connection.execute(f"PRAGMA cache_size = -{CACHE_KB}")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # before the first look at a WAL, or it is memory-mapped
    return connection


def _settle_pragmas(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")


def _check(connection: sqlite3.Connection) -> None:
    problems = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(3)")]
    if problems != ["ok"]:
        raise sqlite3.DatabaseError(f"malformed: {'; '.join(problems)}")


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    if version == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in MIGRATIONS[version:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    text = str(error)
    return any(sign in text for sign in ("malformed", "not a database", "disk image", "unsupported file format"))


def _set_aside(path: Path) -> Path:
    """Move a damaged database and its WAL out of the way, the last few are kept for support."""
    numbers = [int(n) for p in path.parent.glob(f"{path.name}.damaged-*") if (n := p.name.split("-")[1]).isdigit()]
    aside = path.with_name(f"{path.name}.damaged-{max(numbers, default=0) + 1}")
    os.replace(path, aside)
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", f"{aside}{suffix}")
    for number in sorted(set(numbers))[: -(DAMAGED_KEPT - 1)]:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(f"{path.name}.damaged-{number}{suffix}").unlink(missing_ok=True)
    return aside


def describe(database: Database) -> dict[str, Any]:
    """Sizes and schema, for doctor and the bundle."""
    pages = int(database.connection.execute("PRAGMA page_count").fetchone()[0])
    return {"path": str(database.path), "schema": len(MIGRATIONS), "bytes": pages * PAGE_BYTES}
