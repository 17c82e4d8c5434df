"""At the end of a contract nothing of the household is left in any file of the agent's; numbers never go back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from agent.plan import HourBytes, Ledger, Plan, TopUp
from agent.store import Database, erasure
from agent.store.journal import Entry
from tests.manual_clock import ManualClock

NOON = datetime(2026, 11, 10, 12, tzinfo=timezone.utc)
SECRETS = (b"206201234567890", b"0470123456", b"8932042000000000001", b"aa:bb:cc:dd:ee:ff", b"laptop-of-marie")


def words(number: int) -> str:
    return SECRETS[number % len(SECRETS)].decode()


def entry(id: str, text: str, *, state: str = "succeeded") -> Entry:
    return Entry(
        id=id, type="sms.send", args={"text": text}, issuer="support", role="act", state=state, n=2, boot="b",
        received_s=1.0, ttl_s=None, received=0, instance="1", topic="t", correlation=b"\x01", answer={"reason": text},
        finished=state == "succeeded",
    )  # fmt: skip


def ledger() -> Ledger:
    clock = ManualClock(NOON)
    hours = tuple(HourBytes(NOON - timedelta(hours=n), "2026-11-10", "2026-11-01", 5, 5) for n in range(3))
    topup = TopUp("t", 10**9, None, "support", NOON)
    known = Ledger.new(Plan(), clock.now())
    return replace(
        known, received_bytes=7_000_000, hours=hours, topups=(topup,), sim="893204*****01 12", latest=NOON,
        provisional=False,
    )  # fmt: skip


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """Folders of a device that was used: the database, its copies, a damaged one, what it keeps in memory."""
    state, run = tmp_path / "state", tmp_path / "run"
    run.mkdir()
    state.mkdir()
    path = state / "agent.db"
    moment = ManualClock(NOON).now()
    with Database.open(path) as database:
        for day in range(2):
            database.keep(replace(ledger(), latest=NOON + timedelta(days=day)))
        with database.transaction():
            for number in range(200):
                database.events.add("sim", {"said": words(number)}, moment)
                database.journal.put(entry(f"c{number}", words(number)))
                database.audit.add({"reason": words(number)})
                database.meta.set(f"household.{number}", words(number))
        with database.transaction():
            database.begin_command("c", "plan.topup", "support", 41)
    (state / "agent.db.damaged-1").write_bytes(b"x".join(SECRETS) * 10_000)
    (state / "config.good.toml").write_bytes(b"sms_to = " + SECRETS[1])
    (state / "capabilities.json").write_text("{}")
    for name in ("readings.jsonl", "readings.1.jsonl", "status.json"):
        (run / name).write_bytes(SECRETS[4])
    assert set(SECRETS) <= found(tmp_path)
    return tmp_path


def found(folder: Path) -> set[bytes]:
    raw = [file.read_bytes() for file in folder.rglob("*") if file.is_file()]
    return {secret for secret in SECRETS if any(secret in bytes_ for bytes_ in raw)}


def finish(device: Path) -> bool:
    return erasure.finish(device / "state" / "agent.db", device / "run")


def asked(device: Path, *, contract_runs: bool = False) -> None:
    own = replace(entry("erase", "", state="running"), type="device.erase", args={})
    erasure.ask(device / "state" / "agent.db", own, ledger() if contract_runs else None)


def test_nothing_of_the_household_is_left(device: Path) -> None:
    asked(device)
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
    asked(device)
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
    asked(device, contract_runs=True)
    assert finish(device)
    assert found(device) == set()
    with Database.open(device / "state" / "agent.db") as database:
        kept = database.load_ledger()
        assert kept is not None
        assert (kept.received_bytes, kept.topups[0].amount_bytes) == (7_000_000, 10**9)
        assert (kept.hours, kept.sim, kept.previous) == ((), "", None)


@pytest.mark.parametrize("after", range(0, 9, 2))
def test_a_power_cut_in_between_is_made_up_for(after: int, device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(device)
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
