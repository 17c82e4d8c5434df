"""Traffic by hour (45 days), local day (13 months) and billing period (for ever): about 100 kB after ten years.

Called through `Database`, inside a transaction; rows come from the ledger's closed hours. Rows are added up, and what
was added leaves the ledger in the same transaction, so that nothing is there twice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import date, datetime, timedelta, timezone
from typing import Any

from agent.plan.ledger import HourBytes

HOURS_KEPT = timedelta(days=45)
DAYS_KEPT = timedelta(days=13 * 31)

_ADD = (
    "INSERT INTO {table} ({key}, received, sent) VALUES (?, ?, ?)"
    " ON CONFLICT ({key}) DO UPDATE SET received = received + excluded.received, sent = sent + excluded.sent"
)
_ADD_HOUR = (
    "INSERT INTO hours (hour, received, sent, foreign_received, foreign_sent) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (hour) DO UPDATE SET received = received + excluded.received, sent = sent + excluded.sent,"
    " foreign_received = foreign_received + excluded.foreign_received,"
    " foreign_sent = foreign_sent + excluded.foreign_sent"
)
_ADD_DAY = _ADD.format(table="days", key="day")
_ADD_MONTH = _ADD.format(table="months", key="period")


class History:
    """Reading gives lists of dicts, oldest first; the hours still open in the ledger are added to them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, rows: Iterable[HourBytes]) -> None:
        newest: datetime | None = None
        for row in rows:
            amount = (row.received_bytes, row.sent_bytes)
            foreign = (row.foreign_received_bytes, row.foreign_sent_bytes)
            self._connection.execute(_ADD_HOUR, (int(row.hour.timestamp()), *amount, *foreign))
            self._connection.execute(_ADD_DAY, (row.day, *amount))
            self._connection.execute(_ADD_MONTH, (row.period, *amount))
            newest = row.hour if newest is None or row.hour > newest else newest
        if newest is not None:
            self.prune(newest)

    def prune(self, now: datetime) -> None:
        """Drop what has passed its age. `now` is the newest hour counted, never an unchecked clock."""
        self._connection.execute("DELETE FROM hours WHERE hour < ?", (int((now - HOURS_KEPT).timestamp()),))
        self._connection.execute("DELETE FROM days WHERE day < ?", ((now - DAYS_KEPT).date().isoformat(),))

    def since(self, when: datetime) -> list[HourBytes]:
        """The hours that are no longer in the ledger, from that of an instant on."""
        first = int(when.timestamp()) // 3600 * 3600
        rows = self._connection.execute(
            "SELECT hour, received, sent, foreign_received, foreign_sent FROM hours WHERE hour >= ?", (first,)
        )
        return [HourBytes(datetime.fromtimestamp(hour, timezone.utc), "", "", *counted) for hour, *counted in rows]

    def hours(self, number: int | None = None) -> list[dict[str, Any]]:
        sums = self._sums("SELECT hour, received, sent FROM hours ORDER BY hour DESC LIMIT ?", number)
        for row in self._open():
            _into(sums, int(datetime.fromisoformat(row["hour"]).timestamp()), row)
        named = {datetime.fromtimestamp(k, timezone.utc).strftime("%Y-%m-%dT%H:%MZ"): v for k, v in sums.items()}
        return _listed("hour", named, number)

    def days(self, number: int | None = None) -> list[dict[str, Any]]:
        sums = self._sums("SELECT day, received, sent FROM days ORDER BY day DESC LIMIT ?", number)
        for row in self._open():
            _into(sums, row["day"], row)
        return _listed("day", sums, number)

    def months(self, number: int | None = None) -> list[dict[str, Any]]:
        sums = self._sums("SELECT period, received, sent FROM months ORDER BY period DESC LIMIT ?", number)
        for row in self._open():
            _into(sums, row["period"], row)
        return _listed("period", sums, number)

    def recent_bytes_day(self, today: date, days: int = 7) -> float | None:
        """Mean of the whole days before today, for the forecast; None with fewer than two of them."""
        first = today - timedelta(days=days)
        row = self._connection.execute(
            "SELECT count(*), sum(received + sent), min(day) FROM days WHERE day >= ? AND day < ?",
            (first.isoformat(), today.isoformat()),
        ).fetchone()
        if row[0] < 2:
            return None
        return float(row[1] / (today - date.fromisoformat(row[2])).days)

    def _sums(self, query: str, number: int | None) -> dict[Any, list[int]]:
        limit = -1 if number is None else number
        return {key: [received, sent] for key, received, sent in self._connection.execute(query, (limit,))}

    def _open(self) -> list[dict[str, Any]]:
        from agent.store.ledger import LedgerTable

        data = LedgerTable(self._connection).load() or {}
        return [row for row in data.get("hours", []) if isinstance(row, dict)]


def _into(sums: dict[Any, list[int]], key: Any, row: dict[str, Any]) -> None:
    old = sums.setdefault(key, [0, 0])
    old[0] += row["received_bytes"]
    old[1] += row["sent_bytes"]


def _listed(name: str, sums: dict[Any, list[int]], number: int | None) -> list[dict[str, Any]]:
    keys = sorted(sums)
    chosen = keys if number is None else keys[-number:] if number > 0 else []
    return [{name: key, "received_bytes": sums[key][0], "sent_bytes": sums[key][1]} for key in chosen]
