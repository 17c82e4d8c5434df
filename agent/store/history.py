"""Traffic by hour (45 days), local day (13 months) and billing period (for ever): about 100 kB after ten years.

Called through `Database`, inside a transaction; rows come from the ledger's closed hours. Rows are added up, and what
was added leaves the ledger in the same transaction, so that nothing is there twice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, TypeVar, cast

from agent.plan.ledger import HourBytes

if TYPE_CHECKING:
    from agent import status_schema as schema

    class _OpenHour(schema.Hour, schema.Day, schema.Month):
        """As the ledger's row has it (agent.plan.ledger_record)."""


K = TypeVar("K", int, str)

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

    def hours(self, number: int | None = None) -> list[schema.Hour]:
        sums: dict[int, schema.Amount] = self._sums("hours", "hour", number)
        for row in self._open():
            _into(sums, int(datetime.fromisoformat(row["hour"]).timestamp()), row)
        named = {datetime.fromtimestamp(k, timezone.utc).strftime("%Y-%m-%dT%H:%MZ"): v for k, v in sums.items()}
        return [{"hour": hour, **amount} for hour, amount in _newest(named, number)]

    def days(self, number: int | None = None) -> list[schema.Day]:
        sums: dict[str, schema.Amount] = self._sums("days", "day", number)
        for row in self._open():
            _into(sums, row["day"], row)
        return [{"day": day, **amount} for day, amount in _newest(sums, number)]

    def months(self, number: int | None = None) -> list[schema.Month]:
        sums: dict[str, schema.Amount] = self._sums("months", "period", number)
        for row in self._open():
            _into(sums, row["period"], row)
        return [{"period": period, **amount} for period, amount in _newest(sums, number)]

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

    def _sums(self, table: str, key: str, number: int | None) -> dict[K, schema.Amount]:
        query = f"SELECT {key}, received, sent FROM {table} ORDER BY {key} DESC LIMIT ?"
        rows = self._connection.execute(query, (-1 if number is None else number,))
        return {at: {"received_bytes": received, "sent_bytes": sent} for at, received, sent in rows}

    def _open(self) -> list[_OpenHour]:
        from agent.store.ledger import LedgerTable

        hours = (LedgerTable(self._connection).load() or {}).get("hours")
        return [cast("_OpenHour", row) for row in hours if isinstance(row, dict)] if isinstance(hours, list) else []


def _into(sums: dict[K, schema.Amount], key: K, row: _OpenHour) -> None:
    old = sums.setdefault(key, {"received_bytes": 0, "sent_bytes": 0})
    old["received_bytes"] += row["received_bytes"]
    old["sent_bytes"] += row["sent_bytes"]


def _newest(sums: dict[str, schema.Amount], number: int | None) -> list[tuple[str, schema.Amount]]:
    """By time; the last so many."""
    rows = [(key, sums[key]) for key in sorted(sums)]
    return rows if number is None else rows[-number:] if number > 0 else []
