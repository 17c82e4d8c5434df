"""The database's files: connecting, checking, migrating, setting a damaged one aside.

Called by `Database` alone.

Journal mode: WAL with locking_mode=EXCLUSIVE and synchronous=FULL. One fsync makes a commit, and only the changed
pages are written, to one file that is overwritten in place. EXCLUSIVE keeps the WAL's index in memory instead of a
shared memory map, which jffs2 cannot give (it has no shared writable mmap), and keeps a second daemon out. Pages of
1 kB: the ledger's row fits one, and a commit dirties one or two blocks of the disk (tests/bench/ledger_writes.py).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from agent.errors import PlanError, StoreError, StoreTooNew
from agent.plan.ledger_record import from_dict
from agent.store.ledger import LedgerTable
from agent.store.schema import MIGRATIONS

PAGE_BYTES = 1_024
CHECKPOINT_PAGES = 128  # once in some days; the WAL has its full length then, and is overwritten from then on
CACHE_KB = 256
DAMAGED_KEPT = 2
SUFFIXES = ("", "-wal", "-shm")


def connect(path: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=2.0, isolation_level=None)
    try:
        # Before the first look at a WAL, or its index is memory-mapped; and the size of the cache is such a look.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")  # holds for a new file only
        connection.execute(f"PRAGMA cache_size = -{CACHE_KB}")
        connection.execute("PRAGMA temp_store = MEMORY")
    except BaseException:
        connection.close()
        raise
    return connection


def prepare(connection: sqlite3.Connection, path: Path, *, durable: bool) -> None:
    """Refuse what is newer, find damage, bring the schema up to date. Raises StoreTooNew, sqlite3.Error."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise StoreTooNew(f"{path}: written by a newer agent (schema {version}, this one knows {len(MIGRATIONS)})")
    if durable:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    problems = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(3)")]
    if problems != ["ok"]:
        raise sqlite3.DatabaseError(f"malformed: {'; '.join(problems)}")
    _migrate(connection, version)
    _check_tables(connection)
    _check_ledger(connection)


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


def _check_tables(connection: sqlite3.Connection) -> None:
    """A table or a column that is gone is damage: the statement that needs it would fail for ever."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as model:
        _migrate(model, 0)
        missing = sorted(_columns(model) - _columns(connection))
    if missing:
        raise sqlite3.DatabaseError(f"malformed: {missing[0]} is missing")


def _columns(connection: sqlite3.Connection) -> set[str]:
    tables = [str(name) for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {f"{table}.{row[1]}" for table in tables for row in connection.execute(f'PRAGMA table_info("{table}")')}


def _check_ledger(connection: sqlite3.Connection) -> None:
    """A ledger that cannot be read is damage too: the daemon would be restarted on it for ever."""
    try:
        data = LedgerTable(connection).load()
        if data is not None:
            from_dict(data)
    except (StoreError, PlanError) as error:
        raise sqlite3.DatabaseError(f"malformed: {error}") from error


def is_hollow(path: Path) -> bool:
    """Whether something is left of a database and SQLite would take it for a new one, or not be able to open it: a
    file of no bytes, a folder, a WAL alone (which SQLite deletes)."""
    if path.exists():
        return path.is_dir() or path.stat().st_size == 0
    return Path(f"{path}-wal").exists()


def is_damage(error: sqlite3.Error) -> bool:
    """Whatever no other explanation fits: a database that cannot be opened as it is would never be opened again."""
    if any(sign in str(error) for sign in ("malformed", "not a database")):
        return True
    return not is_refusal(error) and not is_held(error)


def is_held(error: Exception) -> bool:
    """Whether another process has the database."""
    return any(sign in str(error).lower() for sign in ("locked", "busy"))


def is_full(error: Exception) -> bool:
    return any(sign in str(error).lower() for sign in ("full", "no space"))


def is_refusal(error: Exception) -> bool:
    """Whether the disk is full, read-only or failing: the data on it may be sound, it only takes no more."""
    text = str(error).lower()
    signs = ("readonly", "read-only", "unable to open", "disk i/o", "input/output", "permission")
    return is_full(error) or any(sign in text for sign in signs)


def set_aside(path: Path) -> Path:
    """Move a damaged database and its WAL out of the way; the last few are kept for support."""
    numbers = [int(n) for p in path.parent.glob(f"{path.name}.damaged-*") if (n := p.name.split("-")[1]).isdigit()]
    aside = path.with_name(f"{path.name}.damaged-{max(numbers, default=0) + 1}")
    for suffix in SUFFIXES:
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", f"{aside}{suffix}")
    for number in sorted(set(numbers))[: -(DAMAGED_KEPT - 1)]:
        for suffix in SUFFIXES:
            _delete(path.with_name(f"{path.name}.damaged-{number}{suffix}"))
    sync_folder(path.parent)
    return aside


def _delete(path: Path) -> None:
    if path.is_dir():
        import shutil  # with its compressors a luxury for what happens once in a device's life

        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
