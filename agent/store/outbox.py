"""Reports on flash: rows not yet acknowledged by the broker, the sequence they bear, and the gaps that must be told.

Called only on the store's thread, inside a transaction. agent/mqtt/outbox.py holds the rows in memory and decides
what reaches this file; here is what must be true after a power cut:

- every number up to `accounted` was delivered, is a row here, or lies in a gap;
- no number above `reserved` was ever used in this boot.

So what a crash may have swallowed is exactly the numbers between the two, and they become a gap at the next start.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

URGENT, ROUTINE = 0, 1  # lanes: events, alarms and results; measurements

SCHEMA = (
    """CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT, lane INTEGER NOT NULL, boot TEXT NOT NULL, seq INTEGER,
        topic TEXT NOT NULL, payload BLOB NOT NULL, retain INTEGER NOT NULL, expiry_s INTEGER,
        correlation BLOB NOT NULL, created INTEGER NOT NULL)""",
    "CREATE INDEX outbox_lane ON outbox (lane, id)",
    "CREATE TABLE outbox_gap (boot TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL)",
    "CREATE TABLE outbox_mark (only INTEGER PRIMARY KEY CHECK (only = 1), boot TEXT NOT NULL, "
    "accounted INTEGER NOT NULL, reserved INTEGER NOT NULL, session INTEGER NOT NULL)",
    "CREATE TABLE twin (topic TEXT PRIMARY KEY, rev INTEGER NOT NULL, digest TEXT NOT NULL, "
    "acknowledged INTEGER NOT NULL)",
)


@dataclass(eq=False, slots=True)
class Row:
    """One report. `id` is 0 while it is in memory only; `seq` is None for what bears no number (a cleared alarm)."""

    lane: int
    boot: str
    seq: int | None
    topic: str
    payload: bytes
    retain: bool = False
    expiry_s: int | None = None
    correlation: bytes = b""
    created: int = 0  # seconds since 1970 as the agent believed at the time; 0 when it could not know
    id: int = 0
    acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers of one boot that will never come, or come without having been missed."""

    boot: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Mark:
    """What is known about the sequence; see the module docstring."""

    boot: str
    accounted: int
    reserved: int
    session: int  # no session number above this was ever used


_COLUMNS = "lane, boot, seq, topic, payload, retain, expiry_s, correlation, created"


class OutboxTable:
    """The tables above, as the store's thread sees them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    # -- the sequence ------------------------------------------------------------------------------------------------

    def begin(self, boot: str) -> Mark:
        """Start of the agent: account for what the last run left open; the next number is `accounted` + 1."""
        mark = self.mark()
        if mark is None:
            mark = Mark(boot, 0, 0, 0)
        elif mark.reserved > mark.accounted:
            self._account(mark)
        if mark.boot == boot:
            mark = Mark(boot, mark.reserved, mark.reserved, mark.session)
        else:
            mark = Mark(boot, 0, 0, mark.session)
        self.set_mark(mark)
        return mark

    def _account(self, mark: Mark) -> None:
        """Numbers that may have been used and are not here become gaps."""
        here = {
            seq
            for (seq,) in self._db.execute(
                "SELECT seq FROM outbox WHERE boot = ? AND seq > ?", (mark.boot, mark.accounted)
            )
        }
        self.add_gaps(ranges(mark.boot, (n for n in range(mark.accounted + 1, mark.reserved + 1) if n not in here)))

    def mark(self) -> Mark | None:
        row = self._db.execute("SELECT boot, accounted, reserved, session FROM outbox_mark").fetchone()
        return None if row is None else Mark(*row)

    def set_mark(self, mark: Mark) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO outbox_mark VALUES (1, ?, ?, ?, ?)",
            (mark.boot, mark.accounted, mark.reserved, mark.session),
        )

    # -- rows --------------------------------------------------------------------------------------------------------

    def insert(self, rows: Iterable[Row]) -> list[int]:
        """Keep rows; their ids. Rows of one lane must come in the order of their numbers."""
        return [self._insert(row) for row in rows]

    def _insert(self, row: Row) -> int:
        where = (row.lane, row.boot, row.seq, row.topic)
        what = (row.payload, row.retain, row.expiry_s, row.correlation, row.created)
        cursor = self._db.execute(
            f"INSERT INTO outbox ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*where, *what)
        )
        return int(cursor.lastrowid or 0)

    def delete(self, ids: Iterable[int]) -> None:
        self._db.executemany("DELETE FROM outbox WHERE id = ?", ((id,) for id in ids))

    def head(self, lane: int, *, after: int, limit: int) -> list[Row]:
        """The oldest rows of a lane beyond row id `after`."""
        found = self._db.execute(
            f"SELECT {_COLUMNS}, id FROM outbox WHERE lane = ? AND id > ? ORDER BY id LIMIT ?", (lane, after, limit)
        )
        return [
            Row(lane, boot, seq, topic, payload, bool(retain), expiry, correlation, created, id)
            for lane, boot, seq, topic, payload, retain, expiry, correlation, created, id in found
        ]

    def size(self) -> tuple[int, int]:
        """Rows and bytes of payload and topic."""
        rows, size = self._db.execute("SELECT count(*), total(length(payload) + length(topic)) FROM outbox").fetchone()
        return int(rows), int(size)

    # -- bounds ------------------------------------------------------------------------------------------------------

    def trim(self, *, rows: int, size_bytes: int, created_after: int) -> list[int]:
        """Give up rows until the bounds hold: too old ones, then the oldest measurements, events only at the very last.

        What is given up becomes a gap. Returns the ids.
        """
        too_old = self._db.execute(
            "SELECT id, boot, seq, 0 FROM outbox WHERE created > 0 AND created < ? ORDER BY id", (created_after,)
        ).fetchall()
        gone = self._give_up(too_old)
        have_rows, have_bytes = self.size()
        victims: list[tuple[int, str, int | None, int]] = []
        oldest = self._db.execute(
            "SELECT id, boot, seq, length(payload) + length(topic) FROM outbox ORDER BY lane DESC, id"
        )
        for victim in oldest:
            if have_rows <= rows and have_bytes <= size_bytes:
                break
            victims.append(victim)
            have_rows, have_bytes = have_rows - 1, have_bytes - victim[3]
        oldest.close()
        return gone + self._give_up(victims)

    def _give_up(self, victims: Sequence[tuple[int, str, int | None, int]]) -> list[int]:
        by_boot: dict[str, list[int]] = {}
        for _, boot, seq, _ in victims:
            if seq is not None:
                by_boot.setdefault(boot, []).append(seq)
        for boot, numbers in by_boot.items():
            self.add_gaps(ranges(boot, sorted(numbers)))
        ids = [victim[0] for victim in victims]
        self.delete(ids)
        return ids

    # -- gaps --------------------------------------------------------------------------------------------------------

    def add_gaps(self, gaps: Iterable[Gap]) -> None:
        """Remember gaps; one that continues the last is joined to it, so that 30 days of drops are one row."""
        for gap in gaps:
            joined = self._db.execute(
                "UPDATE outbox_gap SET last = ? WHERE boot = ? AND last = ?", (gap.last, gap.boot, gap.first - 1)
            )
            if joined.rowcount == 0:
                self._db.execute("INSERT INTO outbox_gap VALUES (?, ?, ?)", (gap.boot, gap.first, gap.last))

    def gaps(self, limit: int) -> list[Gap]:
        return [
            Gap(*row)
            for row in self._db.execute("SELECT boot, first, last FROM outbox_gap ORDER BY rowid LIMIT ?", (limit,))
        ]

    def forget_gaps(self, gaps: Iterable[Gap]) -> None:
        """They have been put into a report of the same transaction. One that has grown meanwhile keeps its rest."""
        for gap in gaps:
            self._db.execute("DELETE FROM outbox_gap WHERE boot = ? AND first = ? AND last = ?", _values(gap))
            self._db.execute(
                "UPDATE outbox_gap SET first = ? WHERE boot = ? AND first = ?", (gap.last + 1, gap.boot, gap.first)
            )

    # -- twins -------------------------------------------------------------------------------------------------------

    def twins(self) -> dict[str, tuple[int, str, bool]]:
        """Topic -> revision, digest of the content, whether the broker has it."""
        rows = self._db.execute("SELECT topic, rev, digest, acknowledged FROM twin")
        return {topic: (rev, digest, bool(acknowledged)) for topic, rev, digest, acknowledged in rows}

    def set_twin(self, topic: str, rev: int, digest: str, acknowledged: bool) -> None:
        self._db.execute("INSERT OR REPLACE INTO twin VALUES (?, ?, ?, ?)", (topic, rev, digest, acknowledged))


def _values(gap: Gap) -> tuple[str, int, int]:
    return gap.boot, gap.first, gap.last


def ranges(boot: str, numbers: Iterable[int]) -> list[Gap]:
    """Rising numbers as runs."""
    out: list[Gap] = []
    for number in numbers:
        if out and out[-1].last == number - 1:
            out[-1] = Gap(boot, out[-1].first, number)
        else:
            out.append(Gap(boot, number, number))
    return out
