"""The household's sign: what the LED shows, what the SMS say, and that nothing is said twice in a period."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any, cast

import pytest

from agent.config import Household as Settings
from agent.daemon.live_agent import LiveAgent
from agent.daemon.tasks.recovery import Recovering
from agent.errors import PortAbsent, StoreError
from agent.events import LineJudged, Occurrence
from agent.household.notifier import Household, Led, message_of
from agent.household.texts import KINDS, TEXTS, text_of
from agent.plan import Notice, Plan, Rates
from agent.store import Database

# 3GPP TS 23.038, section 6.2.1: the GSM 7-bit default alphabet, without its escape
GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
WALL = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)


def notice(kind: str = "throttled", percent: int = 100, period: str = "2026-11-01", wall: datetime = WALL) -> Notice:
    rates = Rates(512_000, 512_000) if kind == "throttled" else Rates()
    return Notice(kind, percent, 40_000_000_123, 40_000_000_000, period, rates, "", wall)


class Telephone:
    """Takes SMS, or refuses as often as it is told to."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals, self.sent = refusals, []  # type: ignore[var-annotated]

    async def send(self, number: str, text: str) -> dict[str, Any]:
        if self.refusals:
            self.refusals -= 1
            raise PortAbsent("no modem")
        self.sent.append((number, text))
        return {}


class Kept:
    """A store on its database, without the thread."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def run(self, fn: Callable[[Database], Any]) -> Any:
        with Database.open(self._path) as database, database.transaction():
            return fn(database)


def tell(telephone: Telephone, store: Kept, *notices: Notice, language: str = "nl", period: str = "2026-11-01") -> None:
    """Hand in notices and let the task run until it waits. `period` is the present one, unless a notice has a later."""
    period = max(period, *(told.period for told in notices), "")

    async def main() -> None:
        settings = Settings(sms_to="+32470000001", sms_language=language)
        household = Household(settings, Plan(), store, telephone.send, lambda: period)
        for told in notices:
            household.notice(told)
        task = asyncio.create_task(household.run())
        for _ in range(50):
            await asyncio.sleep(0)
        task.cancel()

    asyncio.run(main())


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_text_is_one_sms_in_the_gsm_alphabet(language: str, kind: str) -> None:
    text = text_of(
        kind,
        language,
        percent=100,
        used_bytes=139_900_000_000,
        limit_bytes=140_500_000_000,
        rate_bps=512_000,
        until=date(2026, 12, 31),
    )
    assert len(text) <= 160, len(text)
    assert set(text) <= GSM7
    assert "31/12" in text
    assert "{" not in text


def test_the_amounts_are_never_rounded_up() -> None:
    text = text_of(
        "warning", "en", percent=80, used_bytes=39_999_999_999, limit_bytes=40_000_000_000, rate_bps=None,
        until=date(2026, 12, 1),
    )  # fmt: skip
    assert "39.9 of 40 GB" in text


def test_an_sms_is_sent_once_a_kind_and_period(tmp_path: Path) -> None:
    telephone, store = Telephone(), Kept(tmp_path / "agent.db")
    tell(telephone, store, notice("warning", 80), notice("warning", 80), notice("warning", 95), notice(), notice())
    assert [number for number, _ in telephone.sent] == ["+32470000001"] * 3
    tell(telephone, store, notice(), notice("warning", 95))  # after a restart
    assert len(telephone.sent) == 3
    december = datetime(2026, 12, 1, 0, 5, tzinfo=timezone.utc)
    tell(telephone, store, notice("new-period", 0, "2026-12-01", december), notice("restored", 0, "2026-12-01"))
    assert len(telephone.sent) == 4
    assert "nieuwe maand" in telephone.sent[-1][1]
    assert "1/1" in telephone.sent[-1][1]


def test_the_day_is_that_of_the_next_period() -> None:
    assert "1/12" in message_of(notice(), Plan(), "fr").text
    assert "15/12" in message_of(notice(period="2026-11-15"), Plan(billing_day=15), "fr").text
    assert (
        "15/12"
        in message_of(notice(period="2026-11-15", wall=WALL.replace(year=1970)), Plan(billing_day=15), "fr").text
    )


def test_the_day_is_that_on_which_a_period_of_a_changed_billing_day_really_ends() -> None:
    """From day 1 to day 28 on 29 November: the period under way ends on 1 December, not on the 28th."""
    told = replace(notice(period="2026-11-01"), period_end=datetime(2026, 11, 30, 23, tzinfo=timezone.utc))
    assert "1/12" in message_of(told, Plan(billing_day=28), "fr").text


def test_a_refused_sms_is_tried_again_and_then_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.household.notifier.FIRST_RETRY_S", 0.0)
    telephone, store = Telephone(refusals=3), Kept(tmp_path / "agent.db")
    tell(telephone, store, notice())
    assert len(telephone.sent) == 1


def test_what_waits_survives_a_restart_and_is_sent_once(tmp_path: Path) -> None:
    store = Kept(tmp_path / "agent.db")
    tell(Telephone(refusals=9), store, notice("warning", 95), notice())  # no modem; then the power is cut
    telephone = Telephone()
    tell(telephone, store)
    assert [text.split()[1] for _, text in telephone.sent] == ["95", "de"]
    tell(telephone, store, notice())
    assert len(telephone.sent) == 2


def test_a_disk_that_refuses_makes_nothing_be_told_twice(tmp_path: Path) -> None:
    class ReadOnly(Kept):
        writes = 0

        async def run(self, fn: Callable[[Database], Any]) -> Any:
            self.writes += 1
            if self.writes > 1:  # the first only reads
                raise StoreError("disk full")
            return await super().run(fn)

    telephone, store = Telephone(), ReadOnly(tmp_path / "agent.db")
    tell(telephone, store, notice(), notice())
    assert len(telephone.sent) == 1
    assert store.writes > 1


def test_what_waited_too_long_is_dropped_after_a_restart(tmp_path: Path) -> None:
    telephone, store = Telephone(), Kept(tmp_path / "agent.db")
    tell(Telephone(refusals=9), store, notice())
    tell(telephone, store, period="2026-12-01")
    assert telephone.sent == []


def test_an_sms_of_a_period_that_is_over_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.household.notifier.FIRST_RETRY_S", 0.0)
    telephone, store = Telephone(refusals=1), Kept(tmp_path / "agent.db")
    december = datetime(2026, 12, 1, 0, 5, tzinfo=timezone.utc)
    tell(telephone, store, notice(), notice("new-period", 0, "2026-12-01", december))
    assert len(telephone.sent) == 1
    assert "nieuwe maand" in telephone.sent[0][1]


def test_nobody_is_told_without_a_number(tmp_path: Path) -> None:
    async def main() -> None:
        household = Household(Settings(), Plan(), Kept(tmp_path / "agent.db"), Telephone().send, lambda: "")
        household.notice(notice())
        assert not household._news

    asyncio.run(main())


def test_the_sign_follows_the_cause_that_the_ladder_finds() -> None:
    seen = list[Occurrence]()
    recovering = Recovering(cast(LiveAgent, None), seen.append)
    for cause in ("none", "operator-outage", "operator-outage", "none"):
        recovering._note(cause)
    assert seen == [LineJudged("operator-outage"), LineJudged("none")]


@pytest.fixture
def led(tmp_path: Path) -> Path:
    folder = tmp_path / "green"
    folder.mkdir()
    (folder / "trigger").write_text("[none] timer heartbeat")
    (folder / "max_brightness").write_text("7\n")
    return folder


def shown(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir()}


def test_the_led_tells_three_states(led: Path) -> None:
    sign = Led("green", led.parent)
    sign.show("ok")
    assert (shown(led)["trigger"], shown(led)["brightness"]) == ("none", "7")
    (led / "trigger").write_text("[none] timer heartbeat")
    sign.show("slow")
    assert (shown(led)["trigger"], shown(led)["delay_on"], shown(led)["delay_off"]) == ("timer", "1000", "1000")
    (led / "trigger").write_text("none [timer] heartbeat")
    sign.show("no-service")
    assert (shown(led)["delay_on"], shown(led)["delay_off"]) == ("100", "400")


def test_the_led_without_a_timer_and_the_led_that_is_not_there(led: Path, caplog: pytest.LogCaptureFixture) -> None:
    (led / "trigger").write_text("[none] heartbeat")
    sign = Led("green", led.parent)
    sign.show("no-service")
    assert shown(led)["brightness"] == "0"
    absent = Led("red", led.parent)
    absent.show("ok")
    absent.show("slow")
    assert caplog.text.count("LED red") == 1
    Led("", led.parent).show("ok")


def test_the_led_is_written_only_when_it_changes(led: Path) -> None:
    sign = Led("green", led.parent)
    sign.show("ok")
    (led / "brightness").write_text("by hand")
    sign.show("ok")
    assert shown(led)["brightness"] == "by hand"
