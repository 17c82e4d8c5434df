"""Commands on flash: what was asked, how far it got, what was answered; and the audit trail. On the store's thread.

A command's row is written before it is acknowledged to the broker and before anything is done; its final answer is
written in the transaction that also queues the answer and, for a change of the ledger, makes the change. So a repeated
id finds the stored answer, and a power cut leaves exactly one truth.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from agent.store.counter_window import CounterWindow

if TYPE_CHECKING:
    from agent.command_schema import ChainedEntry, Result
    from agent.plan import Moment

SCHEMA = (
    """CREATE TABLE journal (
        id TEXT PRIMARY KEY, type TEXT NOT NULL, args TEXT NOT NULL, issuer TEXT NOT NULL, role TEXT NOT NULL,
        state TEXT NOT NULL, n INTEGER NOT NULL, boot TEXT NOT NULL, received_s REAL NOT NULL, ttl_s REAL,
        received INTEGER NOT NULL, instance TEXT NOT NULL, topic TEXT NOT NULL, correlation BLOB NOT NULL,
        answer TEXT NOT NULL, finished INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID""",
    "CREATE INDEX journal_open ON journal (finished, received)",
    "CREATE TABLE issuer (name TEXT PRIMARY KEY, counter INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE audit (
        n INTEGER PRIMARY KEY AUTOINCREMENT, entry TEXT NOT NULL, hash TEXT NOT NULL)""",
)

ARRIVAL = (
    "ALTER TABLE journal ADD COLUMN serial INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX journal_arrival ON journal (serial)",
)

COUNTERS = ("ALTER TABLE issuer ADD COLUMN used TEXT NOT NULL DEFAULT '[]'",)  # above `counter`, which is the floor

KEPT = 2_000  # finished commands; a repeat of an older id is refused by its counter, nonce or expiry instead
AUDIT_KEPT = 5_000
# Numbers that rise for ever begin anew at a multiple of this after damage (numbers.py). 2**53, up to which every JSON
# reader counts right (RFC 8259, 6), leaves room for 2**21 of them.
SPAN = 2**32
FIRST_HASH = "0" * 64
LOST_N = 1_000  # number of the last answer to a command whose answers were lost: above all that it can have had


@dataclass(frozen=True, slots=True)
class Entry:
    """One command. Times: `received_s` of boot `boot`, `received` in seconds since 1970 or 0 when the clock lied."""

    id: str
    type: str
    args: dict[str, Any]  # JSON, checked against the command's schema
    issuer: str
    role: str
    state: str
    n: int  # number of the last result message
    boot: str
    received_s: float
    ttl_s: float | None
    received: int
    instance: str  # of the agent's process that runs it
    topic: str  # where results go
    correlation: bytes
    answer: Result  # the last result message
    finished: bool = False

    def too_late(self, now: Moment) -> bool:
        """Whether the time to live has passed, by boot time; across a boot by the wall clock, if both were trusted."""
        if self.ttl_s is None:
            return False
        if self.boot == now.boot_id:
            return now.boot_s - self.received_s > self.ttl_s
        if self.received and now.trusted:
            return now.wall.timestamp() - self.received > self.ttl_s
        return True


_COLUMNS = (
    "id, type, args, issuer, role, state, n, boot, received_s, ttl_s, received, instance, topic, correlation, "
    "answer, finished"
)


# The place in the order of arrival, which no clock has a say in: a command keeps it, a new one comes last.
_SERIAL = "coalesce((SELECT serial FROM journal WHERE id = ?), (SELECT coalesce(max(serial), 0) + 1 FROM journal))"


class JournalTable:
    """The journal of commands."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def get(self, id: str) -> Entry | None:
        row = self._db.execute(f"SELECT {_COLUMNS} FROM journal WHERE id = ?", (id,)).fetchone()
        return None if row is None else _entry([*row])

    def unfinished(self) -> list[Entry]:
        """Commands that the last run left open, in the order of their arrival."""
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM journal WHERE finished = 0 ORDER BY serial, received_s")
        return [_entry([*row]) for row in rows]

    def put(self, entry: Entry) -> None:
        """A command's present state; the oldest finished ones beyond KEPT are forgotten."""
        self._db.execute(
            f"INSERT OR REPLACE INTO journal ({_COLUMNS}, serial) VALUES ({', '.join('?' * 16)}, {_SERIAL})",
            (
                entry.id,
                entry.type,
                json.dumps(entry.args),
                entry.issuer,
                entry.role,
                entry.state,
                entry.n,
                entry.boot,
                entry.received_s,
                entry.ttl_s,
                entry.received,
                entry.instance,
                entry.topic,
                entry.correlation,
                json.dumps(entry.answer),
                entry.finished,
                entry.id,
            ),
        )
        if entry.finished:
            self._forget_old()

    def _forget_old(self) -> None:
        (count,) = self._db.execute("SELECT count(*) FROM journal WHERE finished = 1").fetchone()
        if count > KEPT:
            self._db.execute(
                "DELETE FROM journal WHERE id IN "
                "(SELECT id FROM journal WHERE finished = 1 ORDER BY serial, received LIMIT ?)",
                (count - KEPT,),
            )

    def counters(self) -> dict[str, CounterWindow]:
        """The counters that each issuer has used."""
        rows = self._db.execute("SELECT name, counter, used FROM issuer")
        return {name: CounterWindow.from_list([floor, *json.loads(used)]) for name, floor, used in rows}

    def use_counters(self, issuer: str, more: CounterWindow) -> None:
        """These are used too."""
        window = self.counters().get(issuer, CounterWindow()).joined(more)
        row = (issuer, window.floor, json.dumps(window.used))
        self._db.execute("INSERT OR REPLACE INTO issuer (name, counter, used) VALUES (?, ?, ?)", row)

    def bar(self, id: str, type: str) -> None:
        """A command that was begun before the database was damaged is known again, without its answer."""
        if self.get(id) is None:
            values = (id, type, "{}", "", "", "failed", LOST_N, "", 0.0, 0, "", "", b"", "{}", True)
            columns = _COLUMNS.replace("ttl_s, ", "")
            marks = ", ".join("?" * len(values))
            self._db.execute(f"INSERT INTO journal ({columns}, serial) VALUES ({marks}, {_SERIAL})", (*values, id))


def _entry(row: list[Any]) -> Entry:  # as SQLite gives it
    row[2], row[14], row[15] = json.loads(row[2]), json.loads(row[14]), bool(row[15])
    return Entry(*row)


class AuditTable:
    """Who asked for what and what came of it, each entry chained to the one before by its hash.

    The chain shows that nothing was changed or taken out. It cannot stop root from writing a new one: an operator who
    wants to know that too keeps the hash of the last entry that `log.get` gave, and finds it again later.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def head(self) -> str:
        row = self._db.execute("SELECT hash FROM audit ORDER BY n DESC LIMIT 1").fetchone()
        return FIRST_HASH if row is None else str(row[0])

    def add(self, entry: Mapping[str, object]) -> str:
        """Append; the new head of the chain."""
        before = self.head()
        text = json.dumps({**entry, "before": before}, sort_keys=True, separators=(",", ":"))
        digest = hash_of(text)
        self._db.execute("INSERT INTO audit (entry, hash) VALUES (?, ?)", (text, digest))
        self._db.execute("DELETE FROM audit WHERE n <= (SELECT max(n) FROM audit) - ?", (AUDIT_KEPT,))
        return digest

    def begin_at(self, number: int) -> None:
        """The trail goes on after this number: what came before was lost, or the end of it."""
        newest = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'audit'").fetchone()
        if newest is None or int(newest[0]) < number:
            self._db.execute("DELETE FROM sqlite_sequence WHERE name = 'audit'")
            self._db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('audit', ?)", (number,))

    def entries(self, limit: int = AUDIT_KEPT) -> list[ChainedEntry]:
        """The newest entries, oldest first, each with its number and hash."""
        rows = self._db.execute("SELECT n, entry, hash FROM audit ORDER BY n DESC LIMIT ?", (limit,)).fetchall()
        return [
            cast("ChainedEntry", {"n": n, **json.loads(entry), "hash": digest}) for n, entry, digest in reversed(rows)
        ]

    def broken(self) -> int | None:
        """The number of the first entry that was changed, or of one that is missing; None when all is well.

        Missing are also the first ones, unless the trail is at its length and let them go, and the newest ones, whose
        number the table remembers.
        """
        before: str | None = None
        expected: int | None = None
        for n, entry, digest in self._rows():
            if expected is None:
                expected = n if n % SPAN == 1 or self._full() else 1
            if n != expected and not (n % SPAN == 1 and n > expected and before is not None):
                return expected
            if hash_of(entry) != digest or (before is not None and json.loads(entry)["before"] != before):
                return n
            before, expected = digest, n + 1
        newest = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'audit'").fetchone()
        return expected or 1 if newest is not None and int(newest[0]) >= (expected or 1) else None

    def _full(self) -> bool:
        (count,) = self._db.execute("SELECT count(*) FROM audit").fetchone()
        return int(count) >= AUDIT_KEPT

    def _rows(self) -> Iterator[tuple[int, str, str]]:
        yield from self._db.execute("SELECT n, entry, hash FROM audit ORDER BY n")


def hash_of(text: str) -> str:
    import hashlib  # and OpenSSL with it, for which the line at the start need not wait

    return hashlib.sha256(text.encode()).hexdigest()
