"""The folders of a device that a household used for some days: what device.erase has to take off it.

Also run in a guest, on a file system of its own: `python -m tests.store.used_device use STATE RUN`, then `erase`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from agent.commands.pushed_config import GOOD
from agent.plan import HourBytes, Ledger, Plan, TopUp
from agent.store import Database, erasure, files
from agent.store.journal import Entry
from agent.store.outbox import Row
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


def use(state: Path, run: Path) -> None:
    """Database, its copies, damaged ones, logs and copies that are gone again, and what is kept in memory."""
    path = state / "agent.db"
    for _ in range(2):  # a start takes up the ledger of the one before; its log goes when the database is closed
        _use(path)
        with Database.open(path) as database:
            database.copy_to(state / "copy")
        (state / "copy").unlink()
        files.set_aside(path)
    _use(path)
    (state / "config.good.toml").write_bytes(b"sms_to = " + SECRETS[1])
    (state / "capabilities.json").write_text("{}")
    for name in ("readings.jsonl", "readings.1.jsonl", "status.json"):
        (run / name).write_bytes(SECRETS[4])


def _use(path: Path) -> None:
    moment = ManualClock(NOON).now()
    with Database.open(path) as database:
        for day in range(2):
            database.keep(replace(ledger(), latest=NOON + timedelta(days=day)))
        with database.transaction():
            database.meta.set(GOOD, json.dumps({"household.sms_to": words(1)}))
            for number in range(200):
                database.events.add("sim", {"said": words(number)}, moment)
                database.journal.put(entry(f"c{number}", words(number)))
                database.audit.add({"reason": words(number)})
                database.meta.set(f"household.{number}", words(number))
                database.outbox.insert([Row(0, "b", number, "e/sim", words(number).encode())])
        with database.transaction():
            database.begin_command("c", "plan.topup", "support", 41)


def ask(state: Path, *, contract_runs: bool = False) -> None:
    """What the command device.erase does."""
    own = replace(entry("erase", "", state="running"), type="device.erase", args={})
    erasure.ask(state / "agent.db", own, ledger() if contract_runs else None)


def erase(state: Path, run: Path) -> None:
    ask(state)
    sys.exit(not erasure.finish(state / "agent.db", run))


if __name__ == "__main__":
    what, *folders = sys.argv[1:]
    {"use": use, "erase": erase}[what](*map(Path, folders))
