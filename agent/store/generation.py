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
from agent.store.ledger import MetaTable
from agent.store.schema import MIGRATIONS

# The months that cannot be had again. Not the outbox: it is large, and told twice does less harm than written daily.
TABLES = ("meta", "ledger", "days", "months")


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
    for table in TABLES:
        rows = connection.execute(f"SELECT * FROM {table}").fetchall()
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            copy.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
    copy.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    copy.execute("COMMIT")


def _put(copy: sqlite3.Connection, place: Path) -> None:
    with contextlib.closing(sqlite3.connect(place, isolation_level=None)) as kept:
        kept.execute(f"PRAGMA page_size = {files.PAGE_BYTES}")
        kept.execute("PRAGMA journal_mode = OFF")
        kept.execute("PRAGMA synchronous = OFF")  # one fsync when all is written
        copy.backup(kept)


def restore(path: Path) -> bool:
    """Put a copy of the newest sound one in the place of a database that is gone; False if there is none. Raises
    StoreTooNew, OSError."""
    sound = [(number, place) for place in places(path) if (number := _turn(place)) is not None]
    if not sound:
        return False
    new = path.with_name(f"{path.name}.new")
    import shutil  # with its compressors a luxury for what happens once in a device's life

    shutil.copyfile(max(sound)[1], new)
    with new.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(new, path)
    files.sync_folder(path.parent)
    return True


def _turn(place: Path) -> int | None:
    """Its number, by which the newer of two is known; None if it is not sound."""
    if not place.exists():
        return None
    with contextlib.closing(files.connect(":memory:")) as copy:
        try:
            with contextlib.closing(sqlite3.connect(place)) as kept:
                kept.backup(copy)
            files.prepare(copy, place, durable=False)
        except sqlite3.Error:
            return None
        return turn(MetaTable(copy))


def turn(meta: MetaTable) -> int:
    """How many generations were written."""
    number = (meta.get("generation") or "").partition(" ")[0]
    return int(number) if number.isdecimal() else 0
