"""SQLite for everything that must survive: one connection, its tables, and transactions over them.

Called by `Store` (the daemon's writer thread) and by CLI verbs while the daemon is down. Synchronous. Never touches a
database that a newer version wrote. How it is kept on flash, and why so, stands in `files`.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from agent.errors import PlanError, StoreError, StoreTooNew, StoreUnsure
from agent.plan.ledger import Ledger, closed_hours
from agent.plan.ledger_record import from_dict, to_dict
from agent.store import files, generation, numbers
from agent.store.counter_window import CounterWindow
from agent.store.history import History
from agent.store.journal import AuditTable, JournalTable, hash_of
from agent.store.ledger import EventTable, LedgerTable, MetaTable
from agent.store.outbox import Mark, OutboxTable
from agent.store.statements import StatementTable

TALLIES, OPENED, CLOSED = "tallies", "opened", "closed"
EPOCH = "epoch"  # how many damaged databases went before this one


class Database:
    """One connection. Use `open`, `open_readonly` or `open_in_memory`; `close` it."""

    def __init__(self, connection: sqlite3.Connection, path: Path, scratch: Path | None = None) -> None:
        self.connection = connection
        self.path = path
        self.in_memory = False
        self.set_aside: Path | None = None  # where a damaged predecessor went
        self.restored = False  # from the last good generation
        self.lost = False  # there was a ledger once, and no sound copy of it is left
        self.went_back = False  # it is sound, and older than it was: SQLite leaves out the rest of a damaged WAL
        self._scratch = scratch
        self.ledger = LedgerTable(connection)
        self.history = History(connection)
        self.events = EventTable(connection)
        self.meta = MetaTable(connection)
        self.outbox = OutboxTable(connection)
        self.journal = JournalTable(connection)
        self.audit = AuditTable(connection)
        self.statements = StatementTable(connection)

    # -- opening -----------------------------------------------------------------------------------------------

    @classmethod
    def open(cls, path: Path | str) -> Database:
        """Open for writing, creating, migrating or restoring as needed. Raises StoreError, StoreTooNew."""
        path = Path(path)
        try:
            return cls._open_or_restore(path)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{path}: {error}") from error

    @classmethod
    def _open_or_restore(cls, path: Path) -> Database:
        path.parent.mkdir(parents=True, exist_ok=True)
        log_there = Path(f"{path}-wal").exists()
        aside = files.set_aside(path) if files.is_hollow(path) else None
        try:
            database = cls._open(path)
        except sqlite3.Error as error:
            if not files.is_damage(error):
                raise
            aside = files.set_aside(path)
            database = cls._open(path)
        database.set_aside = aside
        try:
            database._restore()
            database.went_back = database._is_older(log_there=log_there)
            if database.damaged:
                database.begin_anew()
            database.note_opened()
        except BaseException:
            database.close()
            raise
        return database

    @property
    def damaged(self) -> bool:
        """Whether this database, when it was opened, was not what the last run had left."""
        return self.set_aside is not None or self.restored or self.lost or self.went_back

    def _is_older(self, *, log_there: bool) -> bool:
        """Whether its end is lost: it has not seen its last opening, or has no log and was not closed in order."""
        opened = self.meta.get(OPENED)
        if int(opened or 0) < numbers.load(self.path).opened:
            return True
        return opened is not None and not log_there and self.meta.get(CLOSED) != opened

    def note_opened(self) -> None:
        """Here first: a cut in between leaves the file behind, which shows nothing."""
        kept = numbers.load(self.path)
        opened = max(kept.opened, int(self.meta.get(OPENED) or 0)) + 1
        with contextlib.suppress(OSError, sqlite3.Error):  # a full disk: it is noted with the next start
            self.meta.set(OPENED, str(opened))
            numbers.save_opened(self.path, replace(kept, opened=opened))

    def begin_anew(self) -> None:
        """After damage, or on an older copy: no number that may have been used comes again, no command that an issuer's
        counter bars."""
        epoch = numbers.next_epoch(self.path, int(self.meta.get(EPOCH) or 0))
        now = replace(numbers.load(self.path), epoch=epoch)
        numbers.save(self.path, now)
        with self.transaction():
            self.meta.set(EPOCH, str(now.epoch))
            if now.tallies:
                self.meta.set(TALLIES, now.tallies)
            for issuer, window in now.counters.items():
                self.journal.use_counters(issuer, window)
            for id, type in now.commands:
                self.journal.bar(id, type)
            mark = self.outbox.mark()
            if mark is None or self.went_back:
                mark = mark or Mark("", 0, 0, 0)
                self.outbox.set_mark(replace(mark, session=max(mark.session, now.first)))
            self.audit.begin_at(now.first)

    def begin_command(self, id: str, type: str, issuer: str, counter: int | None) -> None:
        """A command that acts is about to begin; its counter is used up. Raises StoreError."""
        kept = numbers.load(self.path).begun(id, type)
        if counter is not None:
            kept = kept.used(issuer, counter)
            self.journal.use_counters(issuer, CounterWindow().with_used(counter))
        self._keep_beside(kept)

    def tallies(self) -> str:
        """What the limits by day and month have counted."""
        return self.meta.get(TALLIES) or ""

    def set_tallies(self, text: str) -> None:
        """Raises StoreError."""
        self.meta.set(TALLIES, text)
        self._keep_beside(replace(numbers.load(self.path), tallies=text))

    def _keep_beside(self, kept: numbers.Numbers) -> None:
        """In the files that outlive this database, before its own transaction ends. Raises StoreError."""
        if self.in_memory:
            return
        try:
            numbers.save(self.path, kept)
        except OSError as error:
            raise StoreError(f"{self.path}: {error}") from error

    def boot_name(self, boot_id: str) -> str:
        """The boot as reports name it: another one after damage, since their numbers begin anew then."""
        epoch = self.meta.get(EPOCH)
        return boot_id if epoch is None else hash_of(f"{epoch} {boot_id}")

    def _restore(self) -> None:
        """A database without a ledger takes what the last good generation has, be it new, emptied or a copy."""
        if self.ledger.load() is None:
            self.restored = generation.restore(self.connection, self.path)
            self.lost = not self.restored and any(place.exists() for place in generation.places(self.path))

    @classmethod
    def _open(cls, path: Path) -> Database:
        connection = files.connect(path)
        try:
            files.prepare(connection, path, durable=True)
            connection.execute("BEGIN IMMEDIATE")  # a read-only file system is found here, not hours later
            connection.execute("ROLLBACK")
        except BaseException:
            connection.close()
            raise
        return cls(connection, path)

    @classmethod
    def open_readonly(cls, path: Path | str) -> Database:
        """Look at a copy: no lock is taken, nothing on the disk changes, and it works beside a running daemon."""
        import tempfile

        path = Path(path)
        if not path.exists():
            raise StoreError(f"{path}: no such database")
        scratch = Path(tempfile.mkdtemp(prefix="modem-agent-"))
        try:
            return cls._open_copy(path, scratch)
        except (sqlite3.Error, OSError) as error:
            _remove(scratch)
            raise StoreError(f"{path}: {error}") from error
        except StoreError:
            _remove(scratch)
            raise

    @classmethod
    def _open_copy(cls, path: Path, scratch: Path) -> Database:
        import shutil

        for suffix in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(f"{path}{suffix}", scratch / f"copy{suffix}")
        connection = files.connect(scratch / "copy")
        try:
            files.prepare(connection, path, durable=False)
            database = cls(connection, path, scratch)
            database._restore()
        except BaseException:
            connection.close()
            raise
        return database

    @classmethod
    def open_in_memory(cls, path: Path | str) -> Database:
        """For a disk that takes nothing: what can still be read of it, in memory. Raises StoreTooNew."""
        connection = files.connect(":memory:")
        try:
            with contextlib.suppress(StoreError), cls.open_readonly(path) as found:
                found.connection.backup(connection)
            files.prepare(connection, Path(path), durable=False)
            database = cls(connection, Path(path))
            database._restore()
        except sqlite3.Error as error:
            connection.close()
            raise StoreError(f"{path}: {error}") from error
        except StoreTooNew:
            connection.close()
            raise
        database.in_memory = True
        return database

    def close(self) -> None:
        if not self.in_memory and self._scratch is None:
            with contextlib.suppress(sqlite3.Error):  # a full disk: the next start takes it for older than it was
                self.meta.set(CLOSED, self.meta.get(OPENED) or "")
        self.connection.close()
        if self._scratch is not None:
            _remove(self._scratch)

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- working -----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Database]:
        """All or nothing; within another transaction it is part of that one. Raises StoreError for the disk."""
        if self.connection.in_transaction:
            yield self
            return
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            yield self
            self._commit()
        except BaseException as error:
            with contextlib.suppress(sqlite3.Error):
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise StoreError(f"{self.path}: {error}") from error
            raise

    def _commit(self) -> None:
        """A full disk took no last frame of the log; after any other failure the log may have all of them."""
        try:
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            if files.is_full(error):
                raise
            raise StoreUnsure(f"{self.path}: {error}") from error

    def copy_to(self, place: Path) -> None:
        """All of it, to another file. A transaction that is open ends before: SQLite copies nothing out of one."""
        within = self.connection.in_transaction
        if within:
            self.connection.execute("COMMIT")
        place.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(place)) as copy:
            self.connection.backup(copy)
        if within:
            self.connection.execute("BEGIN IMMEDIATE")

    def load_ledger(self) -> Ledger | None:
        """The ledger as last kept. Raises StoreError."""
        data = self.ledger.load()
        try:
            return None if data is None else from_dict(data)
        except PlanError as error:
            raise StoreError(f"{self.path}: {error}") from error

    def keep(self, ledger: Ledger) -> None:
        """Save the ledger and move its closed hours into the history; `plan.committed` then does so in memory."""
        with self.transaction():
            moved = closed_hours(ledger)
            self.history.add(moved)
            left = tuple(h for h in ledger.hours if h not in moved)
            # The anchor is of this process: after a restart trusted time has to agree with itself anew.
            self.ledger.save(to_dict(replace(ledger, hours=left, anchor=None)))
            if not self.in_memory:
                self._renew_generation(ledger)

    def _renew_generation(self, ledger: Ledger) -> None:
        """Once a day and with each period; the mark stands in the database, so that a restart writes none."""
        mark = f"{ledger.period.label} {ledger.latest.date() if ledger.latest else ''}"
        if (self.meta.get("generation") or "").partition(" ")[2] == mark:
            return
        turn = generation.turn(self.meta) + 1
        self.meta.set("generation", f"{turn} {mark}")
        with contextlib.suppress(OSError, sqlite3.Error):  # the database itself is sound; the next day tries again
            generation.write(self.connection, generation.places(self.path)[turn % 2])


def _remove(folder: Path) -> None:
    import shutil  # with its compressors a luxury for a daemon that never looks at copies

    shutil.rmtree(folder, ignore_errors=True)
