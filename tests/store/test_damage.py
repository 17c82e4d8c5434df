"""A few lives of the bench: whatever is damaged, no number comes twice and no command is done twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.store import Database, numbers
from agent.store.journal import SPAN
from agent.store.outbox import Mark
from tests.bench.operator_damage import damaged


@pytest.mark.parametrize("seed", range(4))
def test_no_number_and_no_command_twice(tmp_path: Path, seed: int) -> None:
    found = damaged(24, 3, seed, tmp_path)
    assert found.problems() == []
    assert found.damages == 8
    assert found.keys
    assert found.ran


def test_a_database_that_lost_its_log_is_known_to_be_older(tmp_path: Path) -> None:
    """SQLite opens it without a word: what was in the log is gone."""
    path = tmp_path / "agent.db"
    for session in (0, 40, 80):
        with Database.open(path) as database, database.transaction():
            assert not database.damaged
            database.outbox.set_mark(Mark("b", 0, 0, session))
            for _ in range(3):
                database.audit.add({"what": "test"})
    older = path.read_bytes()
    with Database.open(path) as database, database.transaction():
        database.outbox.set_mark(Mark("b", 9, 9, 120))
        database.audit.add({"what": "test"})
    path.write_bytes(older)
    with Database.open(path) as database:
        assert database.damaged
        assert database.went_back
        mark = database.outbox.mark()
        assert mark is not None
        assert mark.session == SPAN
        with database.transaction():
            database.audit.add({"what": "damaged"})
        assert database.audit.entries()[-1]["n"] == SPAN + 1
        assert database.audit.broken() is None
    with Database.open(path) as database:
        assert not database.damaged
    assert numbers.load(path).epoch == 1
