"""A damaged database takes back no number that was used, and lets no captured command run again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.config import Config
from agent.store import Database
from agent.store.journal import SPAN
from agent.store.outbox import Mark
from tests.commands.standin import BOOT, StandIn
from tests.commands.test_authority import ask, keys
from tests.commands.test_runner import Channel


def damage(path: Path) -> None:
    path.write_bytes(b"\xa5" * 12_288)
    Path(f"{path}-wal").unlink(missing_ok=True)


@pytest.mark.parametrize("times", [1, 3])
def test_numbers_go_on_beyond_all_that_were_used(tmp_path: Path, times: int) -> None:
    path = tmp_path / "agent.db"
    seen: list[tuple[str, int, int]] = []
    for _ in range(times + 1):
        with Database.open(path) as database, database.transaction():
            mark = database.outbox.begin(database.boot_name(BOOT)[:8])
            database.outbox.set_mark(Mark(mark.boot, 59, 59, mark.session + 5))
            database.audit.add({"what": "damaged"})
            database.audit.add({"what": "more"})
            assert database.audit.broken() is None
            seen.append((mark.boot, mark.session, database.audit.entries()[-1]["n"]))
        damage(path)
    assert len({boot for boot, _, _ in seen}) == times + 1
    assert [session // SPAN for _, session, _ in seen] == list(range(times + 1))
    assert [n for _, _, n in seen] == [number * SPAN + 2 for number in range(times + 1)]


def test_a_sound_database_goes_on_as_it_was(tmp_path: Path) -> None:
    for session in (0, 5):
        with Database.open(tmp_path / "agent.db") as database, database.transaction():
            mark = database.outbox.begin(database.boot_name(BOOT)[:8])
            assert (mark.boot, mark.session) == (BOOT[:8], session)
            database.outbox.set_mark(Mark(mark.boot, 0, 0, 5))


def test_a_captured_command_does_not_run_again(tmp_path: Path) -> None:
    async def life(last: str) -> None:
        with StandIn(tmp_path, Config(), authority=keys()) as agent:
            await agent.outbox.open()
            channel = Channel(agent)
            await ask(channel, "alice", "throttle.auto", "captured", 7)
            await channel.settle()
            answer = (await channel.answers("captured"))[-1]
            assert (answer["state"], answer["code"]) == (last, 0 if last == "succeeded" else 7804)

    asyncio.run(life("succeeded"))
    damage(tmp_path / "agent.db")
    asyncio.run(life("rejected"))
