from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from agent.errors import PlanError, StoreError
from agent.store import Database, Store


def test_functions_run_in_order_on_one_thread_off_the_loop(tmp_path: Path) -> None:
    store = Store(tmp_path / "agent.db")

    def append(text: str) -> int:
        def change(db: Database) -> int:
            db.meta.set("text", (db.meta.get("text") or "") + text)
            return threading.get_ident()

        return asyncio.run(run(change))

    async def run(change: object) -> int:
        return await store.run(change)  # type: ignore[arg-type]

    async def many() -> list[int]:
        def change(db: Database) -> int:
            db.meta.set("n", str(int(db.meta.get("n") or "0") + 1))
            return int(db.meta.get("n") or "0")

        return list(await asyncio.gather(*(store.run(change) for _ in range(20))))

    assert append("a") == append("b") != threading.get_ident()
    assert asyncio.run(many()) == list(range(1, 21))
    store.close()
    with Database.open(tmp_path / "agent.db") as db:
        assert db.meta.get("text") == "ab"


def test_what_the_function_raises_undoes_the_transaction(tmp_path: Path) -> None:
    store = Store(tmp_path / "agent.db")

    def change(db: Database) -> None:
        db.meta.set("a", "1")
        raise PlanError("no")

    with pytest.raises(PlanError, match="no"):
        asyncio.run(store.run(change))
    assert asyncio.run(store.run(lambda db: db.meta.get("a"))) is None
    assert store.state == "ok"
    store.close()


def test_a_full_disk_is_told_and_is_over_when_there_is_room_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "agent.db")

    def limit(pages: int) -> None:
        asyncio.run(store.run(lambda db: db.connection.execute(f"PRAGMA max_page_count = {pages}").fetchall()))

    limit(20)
    with pytest.raises(StoreError, match="full"):
        asyncio.run(store.run(lambda db: db.meta.set("big", "x" * 100_000)))
    assert store.state == "full"
    limit(10_000)
    asyncio.run(store.run(lambda db: db.meta.set("big", "x" * 100_000)))
    assert store.state == "ok"
    store.close()


def test_where_no_database_can_be_it_works_in_memory_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "agent.db")
    assert asyncio.run(store.run(lambda db: db.load_ledger())) is None
    assert "file" in (store.problem or "")
    assert store.state != "ok"
    store.close()


def test_a_database_that_another_process_holds_is_left_to_it(tmp_path: Path) -> None:
    first = Store(tmp_path / "agent.db")
    asyncio.run(first.run(lambda db: db.meta.set("a", "1")))
    with pytest.raises(StoreError, match="locked"):
        Store(tmp_path / "agent.db")
    first.close()
