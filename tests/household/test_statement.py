"""The statement of a month is the truth to the byte, and nobody can change it afterwards."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from agent.cli.verbs import usage
from agent.household import statement, statement_page
from agent.household.statement_texts import LANGUAGES
from agent.plan import OperatorCount, Plan, TopUp, committed, measured, reconcile, top_up
from agent.plan.period import local_date
from agent.statement_schema import Answer, Statement
from agent.store import Database
from tests.manual_clock import ManualClock
from tests.plan.conftest import Household

ROOT = Path(__file__).parents[2]
CHAIN = ROOT / "firmware-config" / "office" / "statement_chain.py"
ZONE = "Europe/Brussels"
BEGIN = datetime(2026, 10, 31, 23, tzinfo=timezone.utc)  # 1 November in Belgium
WHO = {"device": "imei::990000862471854", "version": "1.0"}


class Month:
    """A household with a database, and an oracle that keeps its own account of what passed."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.home = Household(Plan(), ManualClock(BEGIN, boot_s=1000.0))
        self.home.look()
        self.days: Counter[str] = Counter()
        self.total = 0
        self.events: list[dict[str, Any]] = []

    def pass_hour(self, received: int, sent: int) -> None:
        day = local_date(self.home.clock.wall + timedelta(minutes=30), ZONE).isoformat()
        self.home.use(received, sent, seconds=3600)
        self.days[day] += received + sent
        self.total += received + sent
        self.tick()

    def tick(self) -> None:
        self.home.notices()
        self.database.keep(self.home.ledger)
        self.home.ledger = committed(self.home.ledger, self.home.ledger)

    def reconcile(self, used_bytes: int, as_of: datetime) -> None:
        count = OperatorCount("pcrf", as_of, used_bytes, follow=True, period="2026-11-01")
        hours = (*self.database.history.since(as_of), *self.home.ledger.hours)
        known = measured(self.home.ledger, count, hours, self.home.plan)
        self.home.ledger = reconcile(self.home.ledger, known, self.home.clock.now(), self.home.plan)
        self.tick()

    def seal(self, plan: Plan | None = None) -> bool:
        drafted = statement.draft(self.database, plan or self.home.plan, **WHO)
        if drafted is None:
            return False
        sealed, told = drafted
        self.database.statements.put(sealed)
        self.events.append(told)
        return True

    def answer(self, month: str = "2026-11") -> Answer:
        found = statement.look(self.database, self.home.plan, month, **WHO)
        assert found is not None
        return found


@pytest.fixture
def month(tmp_path: Path) -> Iterator[Month]:
    with Database.open(tmp_path / "agent.db") as database:
        yield Month(database)


def live(month: Month) -> None:
    """A month with all that a statement names, but for its last hour."""
    for hour in range(719):
        month.pass_hour(60_000_000 + hour * 1000, 7_001)
        if hour == 100:
            month.home.reboot("boot-2")
            month.home.clock.set_trust(month.home.clock.trust.SYNC)
            month.home.look()
        if hour == 680:
            now = month.home.clock.now()
            granted = TopUp("t", 5_000_000_000, None, "support", now.wall, now.boot_id, now.boot_s)
            month.home.ledger = top_up(month.home.ledger, granted, month.home.plan)
        if hour == 700:
            month.reconcile(month.total + 1_000_000_000, month.home.clock.wall - timedelta(seconds=10))


def test_a_month_is_the_truth_to_the_byte(month: Month) -> None:
    live(month)
    so_far = month.answer()
    assert (so_far["n"], so_far["statement"]["final"]) == (None, False)
    month.pass_hour(123, 4)
    truth, days = month.total, dict(month.days)
    month.pass_hour(5, 6)  # of December
    assert month.answer()["statement"]["final"], "over, and not yet sealed"
    assert month.seal()
    body = month.answer()["statement"]
    assert body["own_bytes"] == truth
    assert {day["day"]: day["bytes"] for day in body["days"]} == days
    assert sum(day["bytes"] for day in body["days"]) == truth
    assert body["used_bytes"] == truth + body["correction_bytes"] - body["exempt_bytes"]
    assert body["operator"] is not None
    assert body["correction_bytes"] == body["operator"]["difference_bytes"]
    told = ["warning", "warning", "throttled", "restored"]
    assert [m["kind"] for m in body["marks"]] == told
    assert [m["percent"] for m in body["marks"]][:3] == [80, 95, 100]
    assert body["gaps"] == [{"cause": "restart", "number": 1, "at_most_bytes": 40_000_000}]
    assert body["limit_bytes"] == body["allowance_bytes"] + 5_000_000_000 + body["forgiven_bytes"]
    assert body["billed"] == 0


def test_a_month_is_sealed_once_and_again_when_it_is_corrected(month: Month) -> None:
    live(month)
    month.pass_hour(0, 0)
    month.pass_hour(0, 0)
    assert month.seal()
    assert not month.seal()
    assert not month.seal(replace(Plan(), allowance_bytes=1_000_000)), "another plan is no news of that month"
    month.reconcile(month.total, datetime(2026, 11, 30, 22, 59, 59, tzinfo=timezone.utc))
    assert month.seal()
    assert month.answer()["n"] == 2
    assert month.events[1]["before"] == month.events[0]["hash"]


def chain(tmp_path: Path, answers: Sequence[Mapping[str, object]], events: list[dict[str, Any]]) -> tuple[int, str]:
    names = []
    for name, rows in (("statements", answers), ("events", events)):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        names.append(str(tmp_path / name))
    ran = subprocess.run([sys.executable, "-I", str(CHAIN), *names], capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout


def test_the_chain_is_checked_without_the_agents_code(month: Month, tmp_path: Path) -> None:
    assert "agent" not in re.findall(r"^(?:import|from) (\w+)", CHAIN.read_text(encoding="utf-8"), re.MULTILINE)
    for _ in range(24 * 62 + 2):
        month.pass_hour(1000, 1)
        month.seal()
    answers = [month.answer("2026-11"), month.answer("2026-12")]
    assert chain(tmp_path, answers, month.events) == (0, "2 statements are as they were reported\n")
    for change in ({"used_bytes": 1}, {"before": "0" * 64}, {"marks": [{"kind": "warning"}]}):
        forged = {**answers[1], "statement": {**answers[1]["statement"], **change}}
        status, told = chain(tmp_path, [answers[0], forged], month.events)
        assert (status, "2 is not what was reported" in told) == (1, True)
    assert chain(tmp_path, answers, month.events[:1])[0] == 1
    broken = [month.events[0], {**month.events[1], "before": "1" * 64}]
    assert chain(tmp_path, answers[:1], broken)[0] == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_needs_nothing_from_elsewhere(language: str, month: Month) -> None:
    live(month)
    page = statement_page.page(month.answer(), language)
    assert f'lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}"' in page
    assert page.count("<rect") == 30
    assert not any(word in page for word in ("http", "url(", "<script", "<img", "<link"))
    assert str(month.total) in page
    told = "\n".join(statement_page.lines(month.answer(), language))
    assert str(month.total) in told


def test_what_a_device_is_called_cannot_break_the_page(month: Month) -> None:
    month.pass_hour(1, 1)
    body: Statement = {**month.answer()["statement"], "device": "<script>x</script>"}
    assert "<script>" not in statement_page.page({"n": None, "hash": None, "statement": body}, "en")


def test_the_verb_offers_the_languages_there_are() -> None:
    assert usage.LANGUAGES == LANGUAGES


def test_a_month_nobody_knows(month: Month) -> None:
    month.pass_hour(1, 1)
    assert statement.look(month.database, Plan(), "2025-01", **WHO) is None
