from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from agent.errors import StoreError, StoreTooNew, StoreUnsure
from agent.plan import Ledger, Plan, committed
from agent.plan.ledger import HourBytes
from agent.store import Database, generation
from agent.store.outbox import Mark
from agent.store.schema import MIGRATIONS
from tests.manual_clock import ManualClock

HOUR = datetime(2026, 11, 10, 11, tzinfo=timezone.utc)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "agent.db"


def ledger(**changes: object) -> Ledger:
    return replace(Ledger.new(Plan(), ManualClock().now()), **changes)  # type: ignore[arg-type]


def test_a_new_database_is_empty_and_of_this_schema(path: Path) -> None:
    with Database.open(path) as db:
        assert db.load_ledger() is None
        assert db.connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert db.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert not path.with_name("agent.db-shm").exists(), "the WAL's index must not be a memory map"


def test_an_old_wal_is_not_memory_mapped_either(path: Path) -> None:
    """jffs2 has no shared mapping: a database with a WAL from before a power cut must open all the same."""
    with Database.open(path) as db:
        db.keep(ledger())
        shutil.copytree(path.parent, path.parent.with_name("cut"))
    with Database.open(path.parent.with_name("cut") / path.name) as db:
        assert db.load_ledger() == ledger()
        assert not (path.parent.with_name("cut") / "agent.db-shm").exists()


def test_the_ledger_comes_back_as_it_was(path: Path) -> None:
    kept = ledger(received_bytes=39_985_000_000, fresh=False)
    with Database.open(path) as db:
        db.keep(kept)
    with Database.open(path) as db:
        assert db.load_ledger() == kept


def hours(*received: int) -> tuple[HourBytes, ...]:
    return tuple(
        HourBytes(HOUR + timedelta(hours=n), "2026-11-10", "2026-11-01", amount, 1) for n, amount in enumerate(received)
    )


def test_closed_hours_move_into_the_history_together_and_open_ones_show_there_too(path: Path) -> None:
    with Database.open(path) as db:
        few = ledger(hours=hours(100, 7))
        db.keep(few)
        assert committed(few, few) == few, "two hours are not worth three tables"
        assert db.history.days() == [{"day": "2026-11-10", "received_bytes": 107, "sent_bytes": 2}]
        many = ledger(hours=hours(*range(1, 14)))
        db.keep(many)
        rest = committed(many, many)
        assert [h.received_bytes for h in rest.hours] == [13]
        assert db.load_ledger() == rest
        assert db.history.days() == [{"day": "2026-11-10", "received_bytes": 91, "sent_bytes": 13}]
        assert db.history.months() == [{"period": "2026-11-01", "received_bytes": 91, "sent_bytes": 13}]
        assert [h["received_bytes"] for h in db.history.hours()] == list(range(1, 14))
        assert db.history.hours(1) == [{"hour": "2026-11-10T23:00Z", "received_bytes": 13, "sent_bytes": 1}]


def test_a_transaction_is_all_or_nothing_and_nests(path: Path) -> None:
    def failing(db: Database) -> None:
        with db.transaction():
            db.meta.set("a", "1")
            with db.transaction():
                db.meta.set("b", "2")
            raise ValueError("on purpose")

    with Database.open(path) as db:
        with pytest.raises(ValueError, match="on purpose"):
            failing(db)
        assert (db.meta.get("a"), db.meta.get("b", "none")) == (None, "none")
        with db.transaction():
            db.meta.set("a", "1")
        assert db.meta.get("a") == "1"


class Refusing(sqlite3.Connection):
    problem = ""

    def execute(self, sql: str, /, *_: Any) -> sqlite3.Cursor:
        if sql == "COMMIT":
            raise sqlite3.OperationalError(self.problem)
        return super().execute(sql)


@pytest.mark.parametrize(("problem", "unsure"), [("database or disk is full", False), ("disk I/O error", True)])
def test_whether_a_failed_commit_may_be_on_the_disk(problem: str, unsure: bool, path: Path) -> None:
    with contextlib.closing(Refusing(":memory:", isolation_level=None)) as connection:
        connection.problem = problem
        with pytest.raises(StoreError) as caught, Database(connection, path).transaction():
            pass
        assert (isinstance(caught.value, StoreUnsure), connection.in_transaction) == (unsure, False)


def test_a_database_of_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    Database.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    before = path.read_bytes()
    for opening in (Database.open, Database.open_readonly):
        with pytest.raises(StoreTooNew) as caught:
            opening(path)
        assert "\n" not in str(caught.value)
        assert "999" in str(caught.value)
    assert path.read_bytes() == before


def test_looking_works_beside_the_writer_and_changes_nothing(path: Path) -> None:
    with Database.open(path) as writer:
        writer.keep(ledger(received_bytes=5))
        with Database.open_readonly(path) as looker:
            found = looker.load_ledger()
            assert found is not None
            assert found.received_bytes == 5
            looker.meta.set("only", "in the copy")
        assert writer.meta.get("only") is None


def test_looking_for_a_database_that_is_not_there(path: Path) -> None:
    with pytest.raises(StoreError, match="no such database"):
        Database.open_readonly(path)


def test_a_second_daemon_is_kept_out(path: Path) -> None:
    with Database.open(path) as first:
        first.keep(ledger())
        with pytest.raises(StoreError, match="locked"):
            Database.open(path)


def damage(path: Path, offset: int) -> bytes:
    damaged = bytearray(path.read_bytes())
    damaged[offset : offset + 3000] = b"\xa5" * 3000
    path.write_bytes(damaged)
    return bytes(damaged)


@pytest.mark.parametrize("offset", [0, 100, 1024, 5000])
def test_a_damaged_database_is_set_aside_and_the_last_good_generation_used(path: Path, offset: int) -> None:
    with Database.open(path) as db:
        kept = ledger(received_bytes=39 * 10**9)
        db.keep(kept)
        for number in range(300):
            db.events.add("boot", {"n": number}, ManualClock().now())
    left = damage(path, offset)
    with Database.open(path) as db:
        assert db.set_aside is not None
        assert db.set_aside.read_bytes() == left
        assert db.restored
        assert db.load_ledger() == kept
        assert db.events.recent() == []
        db.keep(kept)


def test_with_a_damaged_generation_too_it_begins_anew(path: Path) -> None:
    with Database.open(path) as db:
        db.keep(ledger(received_bytes=39 * 10**9))
        db.keep(ledger(latest=HOUR))
    damage(path, 0)
    for place in generation.places(path):
        damage(place, 0)
    with Database.open(path) as db:
        assert not db.restored
        assert db.load_ledger() is None


def test_a_database_that_is_gone_comes_back_from_its_generation(path: Path) -> None:
    with Database.open(path) as db:
        db.keep(ledger(received_bytes=5))
    path.unlink()
    with Database.open(path) as db:
        assert db.restored
        assert db.load_ledger() == ledger(received_bytes=5)


def test_a_ledger_that_makes_no_sense_is_damage(path: Path) -> None:
    with Database.open(path) as db:
        db.keep(ledger(received_bytes=5))
        db.ledger.save({"period": "never"})
    with Database.open(path) as db:
        assert db.set_aside is not None
        assert db.load_ledger() == ledger(received_bytes=5)


def test_a_generation_is_written_once_a_day_and_with_each_period(path: Path) -> None:
    noon = datetime(2026, 11, 10, 12, tzinfo=timezone.utc)
    with Database.open(path) as db:
        db.keep(ledger(latest=noon))
        kept = [place.read_bytes() for place in generation.places(path) if place.exists()]
        assert len(kept) == 1
        db.keep(ledger(latest=noon + timedelta(hours=11), received_bytes=7))
        assert [place.read_bytes() for place in generation.places(path) if place.exists()] == kept
        db.keep(ledger(latest=noon + timedelta(hours=12)))
        assert all(place.exists() for place in generation.places(path))


@pytest.mark.parametrize("days", [3, 4])
def test_of_two_generations_the_newer_sound_one_is_used(path: Path, days: int) -> None:
    with Database.open(path) as db:
        for day in range(days):
            db.keep(ledger(latest=HOUR + timedelta(days=day), received_bytes=day))
            inodes = [place.stat().st_ino for place in generation.places(path) if place.exists()]
    assert inodes == [place.stat().st_ino for place in generation.places(path)], "written in place"
    path.unlink()
    with Database.open(path) as db:
        assert db.load_ledger() == ledger(latest=HOUR + timedelta(days=days - 1), received_bytes=days - 1)
        newest = generation.places(path)[days % 2]
    path.unlink()
    newest.write_bytes(newest.read_bytes()[:7000])  # power went while it was written
    with Database.open(path) as db:
        assert db.load_ledger() == ledger(latest=HOUR + timedelta(days=days - 2), received_bytes=days - 2)
        db.keep(ledger(latest=HOUR + timedelta(days=days), received_bytes=days))
    path.unlink()
    with Database.open(path) as db:
        assert db.load_ledger() == ledger(latest=HOUR + timedelta(days=days), received_bytes=days)


def test_only_the_last_damaged_databases_are_kept(path: Path) -> None:
    for _ in range(4):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"this is no database, whatever its name says" * 100)
        Database.open(path).close()
    assert sorted(p.name for p in path.parent.glob("*.damaged-?")) == ["agent.db.damaged-3", "agent.db.damaged-4"]


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        Database.open(tmp_path / "file" / "agent.db")


def test_events_are_bounded_and_newest_last(path: Path) -> None:
    with Database.open(path) as db, db.transaction():
        for number in range(520):
            db.events.add("throttle", {"n": number}, ManualClock().now())
        assert [e["data"]["n"] for e in db.events.recent(2)] == [518, 519]
        assert len(db.events.recent(1000)) == 500


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def without_ledger(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DELETE FROM ledger")


def without_table(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DROP TABLE ledger")


def without_outbox(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DROP TABLE outbox_mark")


def without_version(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 0")


def without_tables(path: Path) -> None:
    """As SQLite makes a file in which no table was ever kept."""
    path.unlink()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 1")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def wal_alone(path: Path) -> None:
    shutil.copyfile(path, f"{path}-wal")
    path.unlink()


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:3000])


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


HARM = (
    emptied, without_ledger, without_table, without_outbox, without_version, without_tables, folder, wal_alone,
    cut_short, zeros, Path.unlink,
)  # fmt: skip


@pytest.mark.parametrize("harm", HARM)
def test_whatever_became_of_the_database_the_last_good_generation_is_used(
    path: Path, harm: Callable[[Path], object]
) -> None:
    kept = ledger(received_bytes=39 * 10**9, latest=HOUR)
    with Database.open(path) as db:
        db.keep(ledger(received_bytes=38 * 10**9))
        db.keep(kept)
    harm(path)
    with Database.open(path) as db:
        assert db.restored
        assert db.load_ledger() == kept
        db.keep(replace(kept, received_bytes=40 * 10**9))
    with Database.open(path) as db:
        assert (db.set_aside, db.restored, db.lost) == (None, False, False), "damage is found once"
        assert db.load_ledger() == replace(kept, received_bytes=40 * 10**9)


@pytest.mark.parametrize("harm", [emptied, without_ledger, folder])
def test_a_generation_that_is_no_use_is_passed_over(path: Path, harm: Callable[[Path], object]) -> None:
    with Database.open(path) as db:
        for day in range(2):
            db.keep(ledger(latest=HOUR + timedelta(days=day), received_bytes=day + 1))
    emptied(path)
    newest = generation.places(path)[0]
    harm(newest)
    with Database.open(path) as db:
        assert db.restored
        assert db.load_ledger() == ledger(latest=HOUR, received_bytes=1)


def test_without_a_sound_generation_it_begins_anew_and_says_so_once(path: Path) -> None:
    with Database.open(path) as db:
        for day in range(2):
            db.keep(ledger(latest=HOUR + timedelta(days=day)))
    without_ledger(path)
    for place in generation.places(path):
        emptied(place)
    with Database.open(path) as db:
        assert (db.restored, db.lost, db.load_ledger()) == (False, True, None)
        db.keep(ledger())
    with Database.open(path) as db:
        assert not db.lost


def test_a_first_start_is_no_damage(path: Path) -> None:
    with Database.open(path) as db:
        assert (db.set_aside, db.restored, db.lost) == (None, False, False)


def test_what_a_database_without_its_ledger_still_has_does_not_go_back(path: Path) -> None:
    """Numbers that were used must not be used again; the history is that of the generation, or hours counted anew
    would stand in it twice."""
    with Database.open(path) as db:
        db.keep(ledger(latest=HOUR))
        db.outbox.set_mark(Mark("boot", 7, 20, 5))
        db.meta.set("device", "later")
        db.history.add(hours(100))
    without_ledger(path)
    with Database.open(path) as db:
        assert db.restored
        assert db.outbox.mark() == Mark("boot", 7, 20, 5)
        assert db.meta.get("device") == "later"
        assert (db.history.days(), db.history.hours()) == ([], [])


def test_looking_at_an_emptied_database_shows_the_last_good_generation(path: Path) -> None:
    with Database.open(path) as db:
        db.keep(ledger(received_bytes=5))
    emptied(path)
    with Database.open_readonly(path) as looker:
        assert looker.load_ledger() == ledger(received_bytes=5)
    assert path.stat().st_size == 0


def test_a_disk_that_cannot_be_read_leaves_the_last_good_generation(path: Path) -> None:
    with Database.open(path) as db:
        db.keep(ledger(received_bytes=5))
    emptied(path)
    with Database.open_in_memory(path) as db:
        assert db.load_ledger() == ledger(received_bytes=5)
