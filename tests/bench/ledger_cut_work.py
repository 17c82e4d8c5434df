"""What the cut benches have the store do until the power goes, and how what came back is judged. Runs in the guest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from agent.errors import StoreError
from agent.plan import Epoch, Ledger, Plan, Sample, committed, observe
from agent.store import Database
from tests.manual_clock import ManualClock

BYTES_A_COMMIT = 1_000  # so that the ledger's total tells which commit it is of
STEP_S = 1_300  # a day, and with it a new generation, every 66 commits


def work(path: Path, more: Callable[[int], bool], acknowledged: Callable[[int], None]) -> None:
    """Commits as a busy month makes them: the ledger each time, hours and days now and then, an event beside."""
    clock, plan, number = ManualClock(), Plan(), 0
    ledger = replace(Ledger.new(plan, clock.now()), fresh=False)
    with Database.open(path) as database:
        while more(number):
            number += 1
            clock.advance(STEP_S)
            sample = Sample(Epoch("b" * 36, 3, "wwan0"), clock.boot_s, number * BYTES_A_COMMIT, 0)
            ledger, _ = observe(ledger, sample, clock.now(), plan)
            with database.transaction():
                database.keep(ledger)
                if number % 5 == 0:
                    database.events.add("throttle", {"number": number, "text": "x" * 200}, clock.now())
            ledger = committed(ledger, ledger)
            acknowledged(number)


def verdict(path: Path, acknowledged: int) -> str:
    """What power coming back finds: "sound", or what is wrong."""
    try:
        database = Database.open(path)
    except StoreError as error:
        return f"not opened ({str(error)[-60:]})"
    with database:
        ledger = database.load_ledger()
        if database.set_aside is not None and acknowledged:
            return "database damaged"  # before the first commit a cut leaves a file of no bytes, and nothing to lose
        commits = 0 if ledger is None else ledger.total_received_bytes // BYTES_A_COMMIT
        if commits < acknowledged:
            return "acknowledged commit lost"
        if commits > acknowledged + 1:
            return "more than was written"
        months = sum(row["received_bytes"] for row in database.history.months())
        if months != commits * BYTES_A_COMMIT:
            return "history and ledger differ"
        if ledger is not None:
            database.keep(ledger)  # and it goes on taking data
    return "sound"
