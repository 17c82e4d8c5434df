"""The schema: one list of migrations, each a tuple of statements, run in one transaction when a database is opened.

A migration that was released is never changed; a room that needs a table appends a step. `PRAGMA user_version` is the
number of steps a database has seen.
"""

from __future__ import annotations

from agent.store import journal, outbox

LEDGER_AND_HISTORY = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE ledger (id INTEGER PRIMARY KEY CHECK (id = 1), data TEXT NOT NULL)",
    "CREATE TABLE hours (hour INTEGER PRIMARY KEY, received INTEGER NOT NULL, sent INTEGER NOT NULL)",
    "CREATE TABLE days (day TEXT PRIMARY KEY, received INTEGER NOT NULL, sent INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE months (period TEXT PRIMARY KEY, received INTEGER NOT NULL, sent INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, wall TEXT NOT NULL, clk TEXT NOT NULL,"
    " boot_s REAL NOT NULL, name TEXT NOT NULL, data TEXT NOT NULL)",
)

FOREIGN_HOURS = (
    "ALTER TABLE hours ADD COLUMN foreign_received INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE hours ADD COLUMN foreign_sent INTEGER NOT NULL DEFAULT 0",
)

STATEMENTS = (
    "CREATE TABLE statements (n INTEGER PRIMARY KEY, period TEXT NOT NULL, body TEXT NOT NULL, hash TEXT NOT NULL)",
)

MIGRATIONS: list[tuple[str, ...]] = [
    LEDGER_AND_HISTORY,
    outbox.SCHEMA + journal.SCHEMA,
    journal.ARRIVAL,
    journal.COUNTERS,
    FOREIGN_HOURS,
    STATEMENTS,
]
