"""The household's page: its words, its truth beside the ledger, and that what others wrote is never markup."""

from __future__ import annotations

import random
import re
from dataclasses import fields, replace
from datetime import date, datetime, timedelta, timezone
from html.parser import HTMLParser

import pytest

from agent.household.page import OWN_LINE, finished, page
from agent.household.page_texts import LANGUAGES, PageTexts, texts
from agent.household.page_view import View, view
from agent.household.picture import COLOURS, battery
from agent.plan import Ledger, Moment, Plan, Trust, decide, settle, usage

ZONE = "Europe/Brussels"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=timezone.utc)
NORMAL = View(
    used_tenths=152, left_tenths=248, limit_tenths=400, allowance_tenths=400, left_share=0.62,
    new_day=date(2026, 12, 1), a_day_tenths=22, phone="+32 2 123 45 67", help_text="EPN, rue de l'École 1\n02 123",
)  # fmt: skip
STATES = {
    "normal": NORMAL,
    "warned": replace(NORMAL, warned=True, used_tenths=345, left_tenths=55, left_share=0.13, a_day_tenths=5),
    "slow": replace(
        NORMAL, speed="slow", why="used", used_tenths=401, left_tenths=0, left_share=0.0, a_day_tenths=None
    ),
    "broken": replace(NORMAL, speed="broken"),
}
MORE = {
    "much": replace(NORMAL, speed="slow", why="much"),
    "operator": replace(NORMAL, speed="slow", why="operator"),
    "no date": replace(NORMAL, new_day=None, a_day_tenths=None, phone="", help_text=""),
    "last drop": replace(NORMAL, left_tenths=1, a_day_tenths=0),
}
ALL = {**STATES, **MORE}
HOSTILE = "<script>alert(1)</script><img src=x onerror=y>&\"'\u202e\x07"
SENTENCES = [f.name for f in fields(PageTexts) if f.name not in ("direction", "decimal", "months", "day", "first")]
# Words of the trade, which the page has no use for.
TRADE = re.compile(
    r"\b(mbit|kbit|bit/s|byte|octet|data|traffic|bandwi|throttl|lte|4g|router|modem|volume)", re.IGNORECASE
)


class Outline(HTMLParser):
    """Tags and text of a document; complains about what is not closed in order."""

    VOID = frozenset({"meta", "br", "rect", "path", "circle"})

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(document)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += data


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_of_a_language_are_complete_short_and_plain(language: str) -> None:
    words, english = texts(language), texts("en")
    assert len(set(words.months)) == 12
    for name in SENTENCES:
        written, model = getattr(words, name), getattr(english, name)
        whole = " ".join(written) if isinstance(written, tuple) else written
        assert whole.strip(), name
        assert "%" not in whole, name
        assert not TRADE.search(whole), whole
        pattern = r"\{\w+\}"
        same = sorted(re.findall(pattern, whole)) == sorted(
            re.findall(pattern, " ".join(model) if isinstance(model, tuple) else model)
        )
        assert same or name in ("why_used", "why_much"), name
        for sentence in re.split(r"[.?!؟]\s", whole):
            assert len(sentence.split()) <= 14, sentence


def test_no_language_is_another_under_its_name() -> None:
    for name in ("left", "slow", "free", "call", "old", "help"):
        assert len({getattr(texts(language), name) for language in LANGUAGES}) == len(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("state", ALL)
def test_each_document_is_whole_small_and_fetches_nothing(language: str, state: str) -> None:
    document = page(ALL[state], language, [("192.168.8.23", 15)], count=True)
    outline = Outline(document)
    assert len(document.encode()) <= 30_000
    assert outline.tags[0] == ("html", {"lang": language, "dir": texts(language).direction})
    assert not {tag for tag, _ in outline.tags} & {"script", "img", "link", "iframe", "object", "base", "form"}
    for _, attributes in outline.tags:
        assert not any(name.startswith("on") or name in ("src", "action") for name in attributes)
        assert re.fullmatch(r"\?lang=(fr|nl|de|en|ar)|tel:\+?[0-9]+", attributes.get("href") or "?lang=fr")
    assert "%" not in outline.text
    assert "{" not in outline.text
    assert [tag for tag, _ in outline.tags].count("h1") == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_each_state_says(language: str) -> None:
    words = texts(language)
    said = {name: Outline(finished(page(shown, language), 0, old=False)).text for name, shown in ALL.items()}
    for name, text in said.items():
        assert words.free in text, name
        assert (words.fast in text) == (name in ("normal", "warned", "no date", "last drop")), name
        assert (words.slow in text) == (name in ("slow", "much", "operator")), name
        assert (words.broken in text) == (name == "broken"), name
        assert (words.works[0] in text) == (name in ("slow", "much", "operator")), name
    left = f"24{words.decimal}8"
    assert left in said["normal"]
    assert words.nothing_left in said["slow"]
    assert words.date_unknown in said["no date"]
    assert words.call_nobody in said["no date"]
    assert "+32 2 123 45 67" in said["normal"]
    assert "EPN" in said["normal"]
    assert f"0{words.decimal}1" in said["last drop"]  # less than that a day


def test_an_old_page_says_so_and_a_fresh_one_how_fresh() -> None:
    document = page(NORMAL, "en")
    old, fresh = finished(document, 7, old=True), finished(document, 0, old=False)
    assert "not up to date" in old
    assert "7" in Outline(old).text
    assert "not up to date" not in fresh
    assert "These numbers are 0\xa0min old." in Outline(fresh).text
    assert "@" not in Outline(old).text


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_others_wrote_is_never_markup(language: str) -> None:
    shown = replace(NORMAL, help_text=HOSTILE, phone=HOSTILE)
    outline = Outline(page(shown, language, [(HOSTILE, 3)], count=True))
    plain = {tag for tag, _ in Outline(page(NORMAL, language, [("x", 3)], count=True)).tags}
    assert {tag for tag, _ in outline.tags} == plain - {"br"}
    assert outline.text.count("<script>alert(1)</script>") == 3
    assert "\x07" not in page(shown, language)


def test_use_by_device_is_there_only_where_it_is_counted() -> None:
    assert OWN_LINE not in page(NORMAL, "fr")
    counted = page(NORMAL, "fr", count=True)
    assert sum(line.startswith(OWN_LINE) for line in counted.splitlines()) == 2
    assert "192.168" not in counted
    assert "192.168.8.23" in page(NORMAL, "fr", [("192.168.8.23", 15)], count=True)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("name", COLOURS)
def test_every_colour_is_read_on_white(name: str) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1."""
    assert 1.05 / (_luminance(COLOURS[name]) + 0.05) >= 4.5


def test_the_picture_never_shows_more_than_is_left() -> None:
    def width(share: float) -> float:
        return sum(float(w) for w in re.findall(r'width="([\d.]+)" height="56" fill="#', battery(share, "good")))

    assert width(0.0) == 0
    assert width(1.0) == 260
    assert width(0.62) == pytest.approx(0.62 * 260, abs=0.1)


def _spent(ledger: Ledger, used: int) -> Ledger:
    return replace(ledger, received_bytes=used * 3 // 4, sent_bytes=used - used * 3 // 4)


def test_a_thousand_moments_of_a_month_beside_the_ledger() -> None:
    """Within 0.1 GB, never less used nor more left than the ledger has, top-ups or not."""
    chance = random.Random(20261130)
    start = datetime(2026, 10, 31, 23, 0, tzinfo=timezone.utc)  # midnight in Brussels
    for _ in range(1_000):
        plan = Plan(allowance_bytes=chance.choice((40_000_000_000, 10_000_000_000, 2_550_000_000, 40_012_345_678)))
        wall = start + timedelta(seconds=chance.random() * 30 * 86_400)
        moment = Moment(wall, 1_000.0, "boot", Trust.SYNC)
        ledger = settle(Ledger.new(plan, moment), moment, plan)
        used_bytes = int(chance.random() * 1.3 * plan.allowance_bytes)
        ledger = _spent(ledger, used_bytes)
        truth, decision = usage(ledger, plan), decide(ledger, plan, moment)
        shown = view(truth, ledger.period, decision.state, online=True, now=wall, zone=ZONE)
        tenth = 100_000_000
        assert 0 <= shown.used_tenths * tenth - truth.charged_bytes < tenth
        assert 0 <= truth.remaining_bytes - shown.left_tenths * tenth < tenth
        assert shown.left_share * truth.limit_bytes <= truth.remaining_bytes
        assert shown.new_day == date(2026, 12, 1)
        assert (shown.speed == "slow") == (truth.remaining_bytes == 0)
        if shown.a_day_tenths:  # until the new day, today too
            days = (date(2026, 12, 1) - (wall + timedelta(hours=1)).date()).days
            assert shown.a_day_tenths * days * tenth <= truth.remaining_bytes
        document = Outline(page(shown, "en")).text
        assert f"You used {shown.used_tenths / 10:g}\xa0GB" in document


@pytest.mark.parametrize(
    ("state", "remaining", "speed", "why"),
    [
        ("normal", 1, "fast", ""), ("warned", 1, "fast", ""), ("lifted", 0, "fast", ""), ("suspended", 0, "fast", ""),
        ("expired", 1, "fast", ""), ("throttled", 0, "slow", "used"), ("throttled", 1, "slow", "much"),
        ("forced", 1, "slow", "operator"),
    ],
)  # fmt: skip
def test_why_the_line_is_as_it_is(state: str, remaining: int, speed: str, why: str) -> None:
    plan = Plan()
    moment = Moment(NOW, 1.0, "boot", Trust.SYNC)
    ledger = _spent(Ledger.new(plan, moment), plan.allowance_bytes - remaining)
    shown = view(usage(ledger, plan), ledger.period, state, online=True, now=NOW, zone=ZONE)
    assert (shown.speed, shown.why) == (speed, why)
    assert view(usage(ledger, plan), ledger.period, state, online=False, now=None, zone=ZONE).speed == "broken"


def test_on_a_clock_that_nobody_believes_no_date_is_shown() -> None:
    plan, moment = Plan(), Moment(NOW, 1.0, "boot", Trust.UNSYNC)
    ledger = Ledger.new(plan, moment)
    shown = view(usage(ledger, plan), ledger.period, "normal", online=True, now=None, zone=ZONE)
    assert (shown.new_day, shown.a_day_tenths) == (None, None)
