"""A damaged database takes back no number that was used, and lets no captured command run again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.config import Config
from agent.store import Database, numbers
from agent.store.journal import SPAN
from agent.store.outbox import Mark
from tests.commands.standin import BOOT, StandIn
from tests.commands.test_authority import ask, keys
from tests.commands.test_runner import Channel

SMS = {"number": "+32470000001", "text": "hello"}


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
            answers = await channel.answers("captured")
            assert (answers[-1]["state"], answers[-1]["code"]) == (last, 0 if last == "succeeded" else 7022)
            assert last == "succeeded" or (len(answers) == 1 and answers[0]["n"] > 100)
            await ask(channel, "alice", "throttle.auto", f"another{last}", 7)
            assert (await channel.answers("another" + last))[-1]["code"] == 7804

    asyncio.run(life("succeeded"))
    damage(tmp_path / "agent.db")
    asyncio.run(life("failed"))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("beside", [(), (0,), (1,)])
def test_what_acts_is_not_done_twice_after_damage(tmp_path: Path, signed: bool, beside: tuple[int, ...]) -> None:
    """Whether it was signed or not; with one of the two files of numbers damaged as well."""
    path = tmp_path / "agent.db"

    async def life(commands: int) -> list[str]:
        with StandIn(tmp_path, Config(), authority=keys() if signed else None) as agent:
            await agent.outbox.open()
            channel = Channel(agent)
            for number in range(commands):
                if signed:
                    await ask(channel, "alice", "sms.send", f"c{number}", number, SMS)
                else:
                    await channel.send("sms.send", f"c{number}", SMS)
                await channel.settle()
            return [word for word in agent.asked if word.startswith("sms")]

    assert len(asyncio.run(life(5))) == 5
    damage(path)
    for number in beside:
        numbers.places(path)[number].write_bytes(b"\xa5" * 300)
    assert asyncio.run(life(5)) == []


def test_without_any_file_that_can_be_read_the_clock_gives_numbers_that_were_never_used(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    numbers.save(path, numbers.Numbers(epoch=7))
    assert numbers.next_epoch(path, 0) == 8
    for place in numbers.places(path):
        place.write_bytes(b"\xa5" * 300)
    by_clock = numbers.next_epoch(path, 0)
    assert by_clock > 1_000
    assert by_clock * SPAN < 2**53
    assert numbers.next_epoch(path, 9, now_s=lambda: 0.0) == 10  # a clock at 1970 still leaves what the database knew
