"""The last good generation: a second, small database with what cannot be had again, should the first be damaged.

Called by `Database` alone. There are two of them, written by turns and in place: a power cut in the middle of one
leaves the other, and a file that is neither made nor renamed costs a third of the blocks.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from agent.store import files
from agent.store.ledger import LedgerTable, MetaTable
from agent.store.schema import MIGRATIONS

# The months that cannot be had again. Not the outbox: it is large, and told twice does less harm than written daily.
TABLES = ("meta", "ledger", "days", "months", "statements")
HISTORY = ("hours", "days", "months")


def places(path: Path) -> tuple[Path, Path]:
    return path.with_name(f"{path.name}.good"), path.with_name(f"{path.name}.good-2")


def write(connection: sqlite3.Connection, place: Path) -> None:
    """Keep the present state there. Raises sqlite3.Error, OSError."""
    with contextlib.closing(files.connect(":memory:")) as copy:
        _fill(copy, connection)
        try:
            _put(copy, place)
        except sqlite3.DatabaseError:  # what is there is no database any more
            place.unlink(missing_ok=True)
            _put(copy, place)
    with place.open("rb") as file:
        os.fsync(file.fileno())


def _fill(copy: sqlite3.Connection, connection: sqlite3.Connection) -> None:
    copy.execute("BEGIN")
    for step in MIGRATIONS:
        for statement in step:
            copy.execute(statement)
    _transfer(connection, copy)
    copy.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    copy.execute("COMMIT")


def _transfer(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """The rows of all kept tables; those that the target has stay as they are."""
    for table in TABLES:
        rows = source.execute(f"SELECT * FROM {table}").fetchall()
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            target.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", rows)


def _put(copy: sqlite3.Connection, place: Path) -> None:
    with contextlib.closing(sqlite3.connect(place, isolation_level=None)) as kept:
        kept.execute(f"PRAGMA page_size = {files.PAGE_BYTES}")
        kept.execute("PRAGMA journal_mode = OFF")
        kept.execute("PRAGMA synchronous = OFF")  # one fsync when all is written
        copy.backup(kept)


def restore(connection: sqlite3.Connection, path: Path) -> bool:
    """Fill a database that has no ledger from the newest sound generation; False if there is none.

    What else the database still has is newer and stays. The history does not: the hours since that generation are
    counted again, from the kernel's counters. Raises StoreTooNew, sqlite3.Error.
    """
    sound = [copy for place in places(path) if (copy := _sound(place)) is not None]
    with contextlib.ExitStack() as closing:
        for copy in sound:
            closing.callback(copy.close)
        if not sound:
            return False
        connection.execute("BEGIN IMMEDIATE")
        try:
            for table in HISTORY:
                connection.execute(f"DELETE FROM {table}")
            _transfer(max(sound, key=lambda copy: turn(MetaTable(copy))), connection)
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    return True


def _sound(place: Path) -> sqlite3.Connection | None:
    """A copy of it in memory; None if it cannot be read or has no ledger."""
    if not place.exists():
        return None
    copy = files.connect(":memory:")
    try:
        with contextlib.closing(sqlite3.connect(place)) as kept:
            kept.backup(copy)
        files.prepare(copy, place, durable=False)
        if LedgerTable(copy).load() is not None:
            return copy
    except sqlite3.Error:
        pass
    except BaseException:
        copy.close()
        raise
    copy.close()
    return None


def turn(meta: MetaTable) -> int:
    """How many generations were written."""
    number = (meta.get("generation") or "").partition(" ")[0]
    return int(number) if number.isdecimal() else 0
