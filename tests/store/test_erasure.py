"""At the end of a contract nothing of the household is left in any file of the agent's; numbers never go back."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.store import Database, erasure
from tests.store.used_device import SECRETS, ask, use


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """Folders of a device that was used: the database, its copies, a damaged one, what it keeps in memory."""
    state, run = tmp_path / "state", tmp_path / "run"
    run.mkdir()
    state.mkdir()
    use(state, run)
    assert set(SECRETS) <= found(tmp_path)
    return tmp_path


def found(folder: Path) -> set[bytes]:
    raw = [file.read_bytes() for file in folder.rglob("*") if file.is_file()]
    return {secret for secret in SECRETS if any(secret in bytes_ for bytes_ in raw)}


def finish(device: Path) -> bool:
    return erasure.finish(device / "state" / "agent.db", device / "run")


def test_nothing_of_the_household_is_left(device: Path) -> None:
    ask(device / "state")
    assert finish(device)
    assert found(device) == set()
    with Database.open(device / "state" / "agent.db") as database:
        assert database.load_ledger() is None
        assert not database.restored
        assert not database.lost
        assert (database.history.days(), database.history.hours(), database.events.recent()) == ([], [], [])
    assert (device / "state" / "capabilities.json").exists()
    assert not finish(device), "it is done once"


def test_the_command_is_answered_and_no_number_comes_again(device: Path) -> None:
    ask(device / "state")
    finish(device)
    with Database.open(device / "state" / "agent.db") as database:
        (open_,) = database.journal.unfinished()
        assert (open_.id, open_.state, open_.correlation) == ("erase", "running", b"\x01")
        assert not database.journal.counters()["support"].fresh(41)
        mark = database.outbox.mark()
        assert mark is not None
        assert mark.session > 0
        assert database.boot_name("b") != "b"


def test_a_contract_that_runs_keeps_its_count(device: Path) -> None:
    ask(device / "state", contract_runs=True)
    assert finish(device)
    assert found(device) == set()
    with Database.open(device / "state" / "agent.db") as database:
        kept = database.load_ledger()
        assert kept is not None
        assert (kept.received_bytes, kept.topups[0].amount_bytes) == (7_000_000, 10**9)
        assert (kept.hours, kept.sim, kept.previous) == ((), "", None)


@pytest.mark.parametrize("after", range(0, 9, 2))
def test_a_power_cut_in_between_is_made_up_for(after: int, device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(device / "state")
    done, wipe = [0], erasure._wipe

    def cut(file: Path) -> None:
        if done[0] == after:
            raise OSError("the power is off")
        done[0] += 1
        wipe(file)

    monkeypatch.setattr(erasure, "_wipe", cut)
    finish(device)
    monkeypatch.setattr(erasure, "_wipe", wipe)
    finish(device)
    assert found(device) == set()
    with Database.open(device / "state" / "agent.db") as database:
        assert [open_.id for open_ in database.journal.unfinished()] == ["erase"]


def test_a_file_that_nobody_can_read_keeps_no_line_from_starting(device: Path) -> None:
    (device / "state" / erasure.ASKED).write_text("{")
    assert not finish(device)
    with Database.open(device / "state" / "agent.db") as database:
        assert database.load_ledger() is not None


def test_where_nothing_was_asked_nothing_is_done(device: Path) -> None:
    assert not finish(device)
    assert set(SECRETS) <= found(device)


@pytest.mark.parametrize(("free_bytes", "filled"), [(1 << 20, True), (1 << 40, False)])
def test_free_space_is_written_over_where_it_can_be_whole(
    free_bytes: int, filled: bool, device: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []

    def full_after(count: int) -> bytes:
        if len(written) == 3:
            raise OSError("no space left on device")
        written.append(b"x" * count)
        return written[-1]

    monkeypatch.setattr(erasure, "_free_bytes", lambda folder: free_bytes)
    monkeypatch.setattr("agent.store.erasure.urandom", full_after)
    ask(device / "state")
    assert erasure.finish(device / "state" / "agent.db", device / "run")
    assert (len(written) == 3) is filled
    assert not (device / "state" / erasure.FILLER).exists()


def test_a_filler_that_a_power_cut_left_keeps_no_disk_full(device: Path) -> None:
    (device / "state" / erasure.FILLER).write_bytes(b"x")
    assert not finish(device)
    assert not (device / "state" / erasure.FILLER).exists()
