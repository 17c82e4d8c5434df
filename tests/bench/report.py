"""`make report`: report/index.html, one page for whoever decides about 12 000 modems.

    python -m tests.bench.report [--demo FOLDER]

Made of what was measured: out/demo (rate over time, the demo's promises), report/bench/*.json, report/campaign.json.
It loads nothing and runs no script. A plot whose numbers were not measured says which command measures them.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from html import escape
from pathlib import Path
from typing import Any

from tests.bench import report_svg as svg
from tests.bench.all import scripts
from tests.bench.rows import REPORT, machine
from tests.bench.table import by_subject, cells, collect, days, verdict, write

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; color: #1c2430; background: #f6f7f9; margin: 0; }
main { max-width: 1000px; margin: 0 auto; padding: 24px 20px 60px; }
h1 { font-size: 28px; margin: 0 0 6px; } h2 { font-size: 20px; margin: 36px 0 4px; }
h3 { font-size: 16px; margin: 22px 0 0; }
p { margin: 6px 0 12px; max-width: 74ch; } .quiet { color: #5b6675; font-size: 14px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 18px 0; }
.tile { background: #fff; border: 1px solid #dde2e8; border-radius: 8px; padding: 12px 14px; }
.tile b { display: block; font-size: 24px; } .tile span { font-size: 13px; color: #5b6675; }
figure { margin: 8px 0 0; background: #fff; border: 1px solid #dde2e8; border-radius: 8px; padding: 12px; }
figcaption { font-size: 13.5px; color: #5b6675; margin-top: 6px; }
.absent { background: #fff8e5; border: 1px dashed #c9a227; border-radius: 8px; padding: 12px 14px; }
svg.plot { width: 100%; height: auto; display: block; }
svg text { font-family: inherit; fill: #1c2430; } svg .small { font-size: 12px; } svg .label { font-size: 12.5px; }
svg .grid { stroke: #e6eaef; } svg .mark { stroke: #9aa5b1; stroke-dasharray: 2 3; }
svg .level { stroke: #b3261e; stroke-dasharray: 6 4; }
svg .bar { fill: #1f6fb4; } svg .bar.peer { fill: #b9c2cc; } svg .bar.bad { fill: #b3261e; }
.scroll { overflow-x: auto; background: #fff; border: 1px solid #dde2e8; border-radius: 8px; margin-top: 8px; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th, td { text-align: left; vertical-align: top; padding: 6px 9px; border-bottom: 1px solid #eceff3; }
th { background: #f0f3f6; }
.missed-list { font-size: 14px; padding-left: 20px; } .missed-list b { color: #b3261e; font-weight: 600; }
details { margin-top: 6px; } summary { cursor: pointer; }
.kept { color: #1d7a3a; } .missed { color: #b3261e; font-weight: 700; } .open { color: #7a6a1f; }
"""
PING = re.compile(r"ping [\d.]+/([\d.]+)/[\d.]+ ms")
Rows = list[dict[str, Any]]


def page(rows: Rows, demo: Path, campaign: dict[str, Any] | None) -> str:
    """The whole page."""
    date = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    body = [
        "<h1>modem-agent: what it does, measured</h1>",
        "<p>An agent on a 4G modem that counts a household's data, slows the line to 512 kbit/s past 40 GB instead of"
        " cutting it, gives full speed back on the new month, and lets support help from afar. Everything on this page"
        " was measured by running it; what was not measured says so, and what was missed stands as missed.</p>",
        f'<p class="quiet">Drawn {date} on {escape(machine())}.</p>',
        tiles(rows, demo, campaign),
        missed(rows),
    ]
    for title, words, draw in SECTIONS:
        body += [f"<h2>{title}</h2>", f"<p>{words}</p>", draw(rows, demo, campaign)]
    body += [demo_table(demo), "<h2>Every number</h2>", tables(rows)]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    title = "<title>modem-agent: what it does, measured</title>"
    return f'<!doctype html><html lang="en"><head>{head}{title}<style>{STYLE}</style></head><body><main>{"".join(body)}</main></body></html>\n'  # noqa: E501


def tiles(rows: Rows, demo: Path, campaign: dict[str, Any] | None) -> str:
    judged = [row for row in rows if row["kept"] is not None]
    kept = sum(row["kept"] for row in judged)
    absent = len([row for row in rows if not row["date"]])
    facts = [
        (f"{kept} of {len(judged)}", "numbers with a target that were kept in the newest run"),
        (str(len(judged) - kept), "numbers missed; each is named below"),
        (str(absent), "benches that were not run this time"),
    ]
    promises = demo_rows(demo)
    if promises:
        done = sum("missed" not in row[3] for row in promises)
        facts.append((f"{done} of {len(promises)}", "promises kept in the demo on real traffic"))
    if campaign:
        facts.append((f"{sum(campaign['faults'].values()):,}", "faults injected at random in the campaign"))
        facts.append((str(len(campaign["violations"])), "times the agent was then wrong"))
    return (
        '<div class="tiles">'
        + "".join(f'<div class="tile"><b>{escape(b)}</b><span>{escape(s)}</span></div>' for b, s in facts)
        + "</div>"
    )


def missed(rows: Rows) -> str:
    """What a reader must not have to look for."""
    found = [row for row in rows if row["kept"] is False]
    if not found:
        return ""
    lines = "".join(
        f"<li>{escape(row['what'])}: <b>{escape(row['measured'])}</b> ({escape(row['target'])} was asked)</li>"
        for row in found
    )
    return f'<h2>What was missed</h2><ul class="missed-list">{lines}</ul>'


def figure(plot: str, caption: str, more: tuple[str, str] | None = None) -> str:
    """`more`: a title and a text that are shown when asked for."""
    folded = f"<details><summary>{escape(more[0])}</summary>{escape(more[1])}</details>" if more else ""
    return f"<figure>{plot}<figcaption>{escape(caption)}{folded}</figcaption></figure>"


def absent(what: str, command: str) -> str:
    return f'<div class="absent">{escape(what)} was not measured yet: <code>{escape(command)}</code></div>'


# -- the plots -----------------------------------------------------------------------------------------------------


def rate(rows: Rows, demo: Path, campaign: dict[str, Any] | None) -> str:
    file = demo / "rate.json"
    if not file.exists():
        return absent("The rate", "make demo")
    data = json.loads(file.read_text())
    series = {
        way: [(mark["s"], mark[f"{key}_bps"] / 1000) for mark in data["rate"]]
        for way, key in (("download, kbit/s", "down"), ("upload, kbit/s", "up"))
    }
    marks = [(at, words) for at, words in data["events"]]
    plot = svg.lines(
        series, x_title="seconds", y_title="kbit/s on the link", name="rate", marks=marks, level=(512, "512 kbit/s")
    )
    return figure(plot, "From the demo: real TCP from the household, the kernel's own counters ten times a second.")


def ping(rows: Rows, demo: Path, campaign: dict[str, Any] | None) -> str:
    found = []
    for row in rows:
        hit = PING.search(row["measured"])
        if row["bench"].startswith("shaping") and hit:
            kind = "" if "agent" in row["what"] else "peer"
            found.append((row["what"].partition(": ")[2] or row["what"], float(hit[1]), kind))
    if not found:
        return absent("Ping under load", "make bench-shaping")
    found = sorted(found, key=lambda one: (one[2], one[1]))[:24]
    plot = svg.bars(found, name="ping", unit="ms", level=(75, "75 ms"), log_floor=5.0)
    caption = (
        "95 of 100 pings were faster than this while four TCP flows each way filled the line."
        " Grey: the same line with tc or with sqm-scripts' settings, same run. Logarithmic."
    )
    return figure(plot, caption)


def usage(rows: Rows, demo: Path, campaign: dict[str, Any] | None) -> str:
    if not campaign or len(campaign.get("usage", [])) < 2:
        return absent("Usage against the truth", "make campaign")
    truth = [(day, real / 1e9) for day, real, _ in campaign["usage"]]
    ledger = [(day, counted / 1e9) for day, _, counted in campaign["usage"]]
    plot = svg.lines(
        {"the ledger, GB": ledger, "what really passed, GB": truth},
        x_title="simulated days",
        y_title="GB",
        name="usage",
    )
    _, passed, counted = campaign["usage"][-1]
    lost, phantom = passed - counted, campaign["phantom_bytes"]
    caption = (
        "No household lives like this: a fault every minute or so, cuts of power, kills and links torn out among them."
        " Where the two lines part, a cut took what was not yet on the disk (at most 40 MB each time), or a link went"
        f" without telling its last counters: {lost / 1e6:.0f} MB of {passed / 1e9:.1f} GB here, in the household's"
        f" favour each time. The other way, {phantom} bytes were booked that nobody used."
    )
    return figure(plot, caption)


def faults(rows: Rows, demo: Path, campaign: dict[str, Any] | None) -> str:
    if not campaign:
        return absent("The fault campaign", "make campaign")
    plot = svg.bars([(kind, float(count), "") for kind, count in campaign["kinds"].items()], name="faults", unit="")
    every = ", ".join(f"{name} {count}" for name, count in campaign["faults"].items())
    caption = (
        f"{sum(campaign['faults'].values()):,} faults of {len(campaign['faults'])} sorts in"
        f" {campaign['simulated_days']:.0f} simulated days (seed {campaign['seed']}):"
        f" {len(campaign['violations'])} times something that the agent promises did not hold."
    )
    return figure(plot, caption, more=("Each sort", every))


def memory(rows: Rows, demo: Path, campaign: dict[str, Any] | None) -> str:
    parts = []
    if found := curves("footprint"):
        plot = svg.lines(
            found, x_title="seconds, with a poll, a report and a status in each: a day's work in a minute and a half",
            y_title="MB", name="memory", level=(30, "30 MB"),
        )  # fmt: skip
        parts.append(figure(plot, "The real daemon, in proportional set size: what the kernel would get back from it."))
    if found := curves("at_storm"):
        plot = svg.lines(found, x_title="simulated hours", y_title="MB", name="memory-storm")
        caption = (
            "A day of storms: news by the hundred, hangs, the module gone and back under another name."
            " Agent's part and simulated module share one process here, so the level is not the agent's; its slope is."
        )
        parts.append(figure(plot, caption))
    return "".join(parts) or absent("Memory", "make bench-footprint, make bench")


def wire(rows: Rows, demo: Path, campaign: dict[str, Any] | None) -> str:
    found = curves("operator_day")
    if not found:
        return absent("Bytes to the operator", "make bench")
    plot = svg.lines(
        found, x_title="hour of the day", y_title="kB", name="wire", level=(100, "at most 100 kB a day"),
    )  # fmt: skip
    (points,) = found.values()
    month = points[-1][1] * 30 / 1000
    caption = (
        "Every byte of the connection, TLS and three reconnections included, through a typical household's day:"
        f" {month:.1f} MB in a month, {month / 400:.4f} % of 40 GB."
    )
    return figure(plot, caption)


def curves(bench: str) -> dict[str, list[svg.Point]]:
    """What a script left of lines to draw."""
    file = REPORT / f"{bench}.json"
    found = json.loads(file.read_text()).get("curves", {}) if file.exists() else {}
    return {name: [(x, y) for x, y in points] for name, points in found.items() if len(points) > 1}


Draw = Callable[[Rows, Path, "dict[str, Any] | None"], str]
SECTIONS: tuple[tuple[str, str, Draw], ...] = (
    ("The line through 40 GB", "The household downloads, crosses its 40 GB, is slowed, gets 20 MB from support, loses"
     " its modem and its agent, and begins a new month.", rate),
    ("A slow line that still works", "How long a ping takes while downloads fill the 512 kbit/s.", ping),
    ("Counting", "Days of household life with power cuts, unplugged modems and wrong clocks.", usage),
    ("Faults", "What was done to it, drawn at random and overlapping.", faults),
    ("Memory", "What it takes of a small router.", memory),
    ("Bytes to the operator", "What the reports themselves cost.", wire),
)  # fmt: skip


# -- the tables ----------------------------------------------------------------------------------------------------


def demo_rows(demo: Path) -> list[list[str]]:
    file = demo / "promises.md"
    if not file.exists():
        return []
    lines = [line for line in file.read_text().splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def demo_table(demo: Path) -> str:
    found = demo_rows(demo)
    head = "<h2>The demo's promises</h2>"
    if not found:
        return head + absent("The demo", "make demo")
    cells = "".join(
        f"<tr><td>{escape(row[0])}</td><td>{escape(row[1])}</td><td>{escape(row[2])}</td>{_verdict(row[3])}</tr>"
        for row in found
    )
    return f'{head}<div class="scroll"><table><tr><th>what</th><th>promised</th><th>measured</th><th></th></tr>{cells}</table></div>'  # noqa: E501


def tables(rows: Rows) -> str:
    """Every number, a table a subject."""
    head = "".join(f"<th>{name}</th>" for name in ("what", "target", "measured", "peer, same run", ""))
    parts = []
    for subject, part in by_subject(rows).items():
        lines = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells(row)[:-1]) + _verdict(verdict(row)) + "</tr>"
            for row in part
        )
        parts.append(
            f'<h3>{escape(subject)} <span class="quiet">{days(part)}</span></h3>'
            f'<div class="scroll"><table><tr>{head}</tr>{lines}</table></div>'
        )
    return "".join(parts)


def _verdict(word: str) -> str:
    word = word.replace("*", "")
    kind = {"kept": "kept", "missed": "missed"}.get(word.partition(",")[0], "open")
    return f'<td class="{kind}">{word}</td>'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--demo", type=Path, default=Path("out/demo"), help="what make demo left")
    options = parser.parse_args()
    campaign_file = REPORT.parent / "campaign.json"
    campaign = json.loads(campaign_file.read_text()) if campaign_file.exists() else None
    rows = collect(scripts(), {})
    write(rows)
    out = REPORT.parent / "index.html"
    out.write_text(page(rows, options.demo, campaign))
    print(out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
