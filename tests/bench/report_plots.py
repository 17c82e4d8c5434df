"""The report's plots, each drawn from what one bench left of curves and rows.

Called by tests/bench/report.py. A plot whose numbers were never measured says which command measures them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from tests.bench import report_svg as svg
from tests.bench.table import Rows

PING = re.compile(r"ping [\d.]+/([\d.]+)/[\d.]+ ms")
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Source:
    """What the plots are drawn from: the benches by name, all their rows, the campaign."""

    benches: Mapping[str, Document]
    rows: Rows
    campaign: Document | None

    def curves(self, bench: str) -> dict[str, list[svg.Point]]:
        found = self.benches.get(bench, {}).get("curves", {})
        return {name: [(x, y) for x, y in points] for name, points in found.items() if len(points) > 1}

    def day(self, bench: str) -> str:
        return str(self.benches[bench]["date"])[:10]


def figure(draw: Callable[[bool], str], caption: str, more: tuple[str, str] | None = None) -> str:
    """`more`: a title and a text that are shown when asked for."""
    folded = f"<details><summary>{escape(more[0])}</summary>{escape(more[1])}</details>" if more else ""
    return f"<figure>{svg.both(draw)}<figcaption>{escape(caption)}{folded}</figcaption></figure>"


def absent(what: str, command: str) -> str:
    return f'<div class="absent">{escape(what)} was not measured yet: <code>{escape(command)}</code></div>'


def rate(source: Source) -> str:
    found = source.curves("demo")
    if not found:
        return absent("The rate", "make demo")
    marks = [(at, words) for at, words in source.benches["demo"]["marks"]]

    def draw(narrow: bool) -> str:
        return svg.lines(
            found, x_title="seconds", y_title="kbit/s on the link", name="rate", marks=marks,
            level=(512, "512 kbit/s"), narrow=narrow,
        )  # fmt: skip

    events = "; ".join(f"{number} {words} ({at:.0f} s)" for number, (at, words) in enumerate(marks, start=1))
    caption = (
        f"From the demo of {source.day('demo')}: real TCP from the household, the kernel's own counters ten times a"
        " second."
    )
    return figure(draw, caption, more=("The upright lines", events))


def ping(source: Source) -> str:
    found = []
    for row in source.rows:
        hit = PING.search(row["measured"])
        if row["bench"].startswith("shaping") and hit:
            kind = "" if "agent" in row["what"] else "peer"
            found.append((row["what"].partition(": ")[2] or row["what"], float(hit[1]), kind))
    if not found:
        return absent("Ping under load", "make bench-shaping")
    shown = sorted(found, key=lambda one: (one[2], one[1]))[:24]
    caption = (
        "95 of 100 pings were faster than this while four TCP flows each way filled the line."
        " Grey: the same line with tc or with sqm-scripts' settings, same run. Logarithmic."
    )
    return figure(
        lambda narrow: svg.bars(shown, name="ping", unit="ms", level=(75, "75 ms"), log_floor=5.0, narrow=narrow),
        caption,
    )


def usage(source: Source) -> str:
    campaign = source.campaign
    if not campaign or len(campaign.get("usage", [])) < 2:
        return absent("Usage against the truth", "make campaign")
    series = {
        "the ledger, GB": [(day, counted / 1e9) for day, _, counted in campaign["usage"]],
        "what really passed, GB": [(day, real / 1e9) for day, real, _ in campaign["usage"]],
    }
    _, passed, counted = campaign["usage"][-1]
    caption = (
        "No household lives like this: a fault every minute or so, cuts of power, kills and links torn out among them."
        " Where the two lines part, a cut took what was not yet on the disk (at most 40 MB each time), or a link went"
        f" without telling its last counters: {(passed - counted) / 1e6:.0f} MB of {passed / 1e9:.1f} GB here, in the"
        " household's"
        f" favour each time. The other way, {campaign['phantom_bytes']} bytes were booked that nobody used."
    )
    return figure(
        lambda narrow: svg.lines(series, x_title="simulated days", y_title="GB", name="usage", narrow=narrow), caption
    )


def faults(source: Source) -> str:
    campaign = source.campaign
    if not campaign:
        return absent("The fault campaign", "make campaign")
    kinds = [(kind, float(count), "") for kind, count in campaign["kinds"].items()]
    every = ", ".join(f"{name} {count}" for name, count in campaign["faults"].items())
    caption = (
        f"{sum(campaign['faults'].values()):,} faults of {len(campaign['faults'])} sorts in"
        f" {campaign['simulated_days']:.0f} simulated days (seed {campaign['seed']}, {str(campaign['date'])[:10]}):"
        f" {len(campaign['violations'])} times something that the agent promises did not hold."
    )
    return figure(
        lambda narrow: svg.bars(kinds, name="faults", unit="", narrow=narrow), caption, more=("Each sort", every)
    )


def memory(source: Source) -> str:
    parts = []
    if found := source.curves("footprint"):
        parts.append(figure(
            lambda narrow: svg.lines(
                found, x_title="seconds; a day's work in a minute and a half", y_title="MB", name="memory",
                level=(30, "30 MB"), narrow=narrow,
            ),
            f"The real daemon on {source.day('footprint')}, in proportional set size: what the kernel would get back"
            " from it.",
        ))  # fmt: skip
    if storm := source.curves("at_storm"):
        caption = (
            "A day of storms: news by the hundred, hangs, the module gone and back under another name."
            " Agent's part and simulated module share one process here, so the level is not the agent's; its slope is."
        )
        parts.append(figure(
            lambda narrow: svg.lines(
                storm, x_title="simulated hours", y_title="MB", name="memory-storm", narrow=narrow
            ),
            caption,
        ))  # fmt: skip
    return "".join(parts) or absent("Memory over time", "make bench-footprint, make bench")


def wire(source: Source) -> str:
    found = source.curves("operator_day")
    if not found:
        return absent("Bytes to the operator over a day", "make bench")
    (points,) = found.values()
    month = points[-1][1] * 30 / 1000
    caption = (
        f"Every byte of the connection on {source.day('operator_day')}, TLS and three reconnections included, through"
        " a typical"
        f" household's day: {month:.1f} MB in a month, {month / 400:.4f} % of 40 GB."
    )
    return figure(
        lambda narrow: svg.lines(
            found,
            x_title="hour of the day",
            y_title="kB",
            name="wire",
            level=(100, "at most 100 kB a day"),
            narrow=narrow,
        ),
        caption,
    )


SECTIONS: tuple[tuple[str, str, Callable[[Source], str]], ...] = (
    ("The line through 40 GB", "The household downloads, crosses its 40 GB, is slowed, gets 20 MB from support, loses"
     " its modem and its agent, and begins a new month.", rate),
    ("A slow line that still works", "How long a ping takes while downloads fill the 512 kbit/s.", ping),
    ("Counting", "Days of household life with power cuts, unplugged modems and wrong clocks.", usage),
    ("Faults", "What was done to it, drawn at random and overlapping.", faults),
    ("Memory", "What it takes of a small router.", memory),
    ("Bytes to the operator", "What the reports themselves cost.", wire),
)  # fmt: skip
