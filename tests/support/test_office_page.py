"""The page of the office, from what the views answer: no database needed."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from agent.support.office.page import Group, groups_of, page, since, size, total

NOW = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)
MARKUP = "<script>alert(1)</script>\"'&"


def group(label: str, homes: int = 10, **more: Any) -> tuple[Any, ...]:
    base = Group(label, homes, homes - 1, 1, NOW - timedelta(hours=3), 2, NOW - timedelta(days=3), 1, 0, 1000)
    return tuple(more.get(name, getattr(base, name)) for name in Group.__slots__)


def answers(**more: Any) -> dict[str, Any]:
    none: dict[str, Any] = {"alarms": [], "versions": [], "cost": [], "out_for": [], "gaps": [(0,)], "refused": [(0,)]}
    return {**none, "groups": [group("Andenne")], **more}


def test_markup_from_outside_is_text() -> None:
    html = page(answers(groups=[group(MARKUP)], alarms=[(MARKUP, 1, None)], versions=[(MARKUP, 1)]), NOW)
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 3


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    html = page(answers(), NOW)
    assert "default-src 'none'" in html
    assert not re.search(r"https?:|src=|href=|<script|url\(", html)


def test_a_group_of_a_few_homes_is_not_shown_alone() -> None:
    groups = groups_of([group("Namur", 4), group("Dinant", 3), group("Ath", 5), group("", 6)])
    assert [(one.label, one.homes) for one in groups] == [
        ("Ath", 5), ("No label", 6), ("Groups of fewer than 5 homes", 7),
    ]  # fmt: skip
    html = page(answers(groups=[group("Namur", 4), group("Dinant", 3), group("Ath", 5)]), NOW)
    assert "Namur" not in html
    assert "Dinant" not in html


def test_the_sum_of_groups_and_their_oldest_moment() -> None:
    early = NOW - timedelta(days=40)
    both = total([Group(*group("a", 10)), Group(*group("b", 30, out_since=early, bytes_a_home=5000))], "all")
    assert (both.homes, both.out, both.out_since, both.bytes_a_home) == (40, 2, early, 4000)


def test_each_group_has_what_reporting_cost_a_home_there() -> None:
    html = page(answers(groups=[group("Ath", bytes_a_home=91_000), group("Mons", bytes_a_home=None)]), NOW)
    shown = re.findall(r'<td data-name="Reporting cost">([^<]+)</td>', html)
    assert shown == ["91.0\N{NO-BREAK SPACE}kB", "-", "91.0\N{NO-BREAK SPACE}kB"]  # two groups, and all homes


def test_only_tables_of_many_columns_are_unfolded_on_a_small_screen() -> None:
    html = page(answers(versions=[("1", 1)], alarms=[("shaper", 1, None)]), NOW)
    tables = {title: row for title, row in re.findall(r"<h2>([^<]+)</h2>\n(<table[^>]*>)", html)}
    assert {title for title, row in tables.items() if "many" in row} == {"By group", "Alarms"}
    assert tables["Versions"] == "<table>"


def test_a_fleet_of_nobody_has_a_page() -> None:
    assert "0</b> homes" in page(answers(groups=[]), NOW)


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(seconds=-9), "0 s"),
        (timedelta(minutes=90), "90 min"),
        (timedelta(hours=30), "30 h"),
        (timedelta(days=9), "9 days"),
    ],
)
def test_how_long_ago(ago: timedelta, words: str) -> None:
    assert since(NOW - ago, NOW).replace("\N{NO-BREAK SPACE}", " ").endswith(f"({words})")


def test_sizes() -> None:
    shown = [size(number).replace("\N{NO-BREAK SPACE}", " ") for number in (None, 0, 999, 15_000, 2 * 10**12)]
    assert shown == ["-", "0 B", "999 B", "15.0 kB", "2000.0 GB"]
