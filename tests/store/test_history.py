from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from agent.plan.ledger import HourBytes
from agent.store import Database

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "agent.db") as database:
        yield database


def hour(when: datetime, received: int = 100, sent: int = 10) -> HourBytes:
    return HourBytes(when, when.date().isoformat(), when.replace(day=1).date().isoformat(), received, sent)


def test_rows_add_up(db: Database) -> None:
    with db.transaction():
        db.history.add([hour(START), hour(START), hour(START + timedelta(hours=1), 1, 2)])
    assert [h["received_bytes"] for h in db.history.hours()] == [200, 1]
    assert db.history.days() == [{"day": "2026-01-01", "received_bytes": 201, "sent_bytes": 22}]


def test_three_years_of_hours_stay_bounded(db: Database) -> None:
    hours = 3 * 365 * 24
    with db.transaction():
        for day in range(0, hours, 24):
            db.history.add(hour(START + timedelta(hours=day + n)) for n in range(24))
    assert len(db.history.hours()) == 45 * 24 + 1
    assert 13 * 30 <= len(db.history.days()) <= 13 * 31 + 1
    assert len(db.history.months()) == 36
    assert sum(m["received_bytes"] for m in db.history.months()) == hours * 100
    db.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert db.path.stat().st_size < 150_000


def test_the_mean_of_the_last_whole_days(db: Database) -> None:
    today = date(2026, 1, 10)
    assert db.history.recent_bytes_day(today) is None
    with db.transaction():
        db.history.add(hour(START + timedelta(days=n), 700 if n == 5 else 0, 0) for n in range(10))
    assert db.history.recent_bytes_day(today) == 100
