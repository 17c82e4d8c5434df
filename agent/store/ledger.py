"""The ledger's one row, and the small tables beside it: meta and the log of events.

Called through `Database` only, inside a transaction.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from agent.errors import StoreError
from agent.plan.model import Moment

if TYPE_CHECKING:
    from agent.json_types import Json, JsonObject
    from agent.status_schema import Event

EVENTS_KEPT = 500


class LedgerTable:
    """The ledger as a plain dict (agent.plan.ledger_record); None before the first save."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def load(self) -> JsonObject | None:
        row = self._connection.execute("SELECT data FROM ledger").fetchone()
        if row is None:
            return None
        try:
            data: Json = json.loads(zlib.decompress(row[0]) if isinstance(row[0], bytes) else row[0])
        except (ValueError, zlib.error) as error:
            raise StoreError(f"the ledger's row cannot be read: {error}") from error
        if not isinstance(data, dict):
            raise StoreError("the ledger's row is not a JSON object")
        return data

    def save(self, data: Mapping[str, object]) -> None:
        # Packed it fits one page of 1 kB with its open hours: a commit is one frame in the WAL.
        packed = zlib.compress(json.dumps(data, separators=(",", ":")).encode(), 9)
        self._connection.execute("INSERT OR REPLACE INTO ledger (id, data) VALUES (1, ?)", (packed,))


class MetaTable:
    """Single values that must survive: the device's id, the last session number, and the like."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, key: str, default: str | None = None) -> str | None:
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return default if row is None else str(row[0])

    def set(self, key: str, value: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))


class EventTable:
    """What happened, newest last, bounded: read by `log` and by support."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, name: str, data: Mapping[str, object], moment: Moment) -> None:
        row = (moment.wall.isoformat(), moment.trust.value, moment.boot_s, name, json.dumps(data, default=str))
        self._connection.execute("INSERT INTO events (wall, clk, boot_s, name, data) VALUES (?, ?, ?, ?, ?)", row)
        self._connection.execute("DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?", (EVENTS_KEPT,))

    def recent(self, number: int = 50) -> list[Event]:
        rows = self._connection.execute(
            "SELECT wall, clk, boot_s, name, data FROM events ORDER BY id DESC LIMIT ?", (number,)
        ).fetchall()
        return [
            {"time": wall, "clk": clk, "boot_s": boot_s, "name": name, "data": json.loads(data)}
            for wall, clk, boot_s, name, data in reversed(rows)
        ]
