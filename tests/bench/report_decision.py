"""The first part of the report, for whoever decides: verdict, risks, cost, what was not measured, fleet, promises.

Called by tests/bench/report.py. Every figure is read from the rows that the benches left; where a bench was not run,
the page says so. The words are for a reader who is no engineer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from agent import SUPPORTED_UNTIL
from tests.bench import report_svg as svg
from tests.bench.table import SUBJECTS, Rows

HOMES = 12_000
PILOT = 100
# The most that one operator of the EU may ask another for a gigabyte in 2026: the cap for wholesale data roaming,
# Regulation (EU) 2022/612, art. 11 (1). A contract at home costs less.
EURO_A_GB = 1.10
RINGS = (("first ring, 1 %", 0.01), ("second ring, 10 %", 0.10), ("everybody", 1.0))
SECURITY = Path(__file__).parents[2] / "firmware-config" / "SECURITY.md"


def measured(rows: Rows, bench: str, begins: str, pattern: str) -> list[str]:
    """What the pattern's group finds in "what: measured" of each row of that bench."""
    texts = (f"{row['what']}: {row['measured']}" for row in rows if row["bench"] == bench and row["date"])
    return [hit[1] for text in texts if text.startswith(begins) and (hit := re.search(pattern, text))]


def number(rows: Rows, bench: str, begins: str, pattern: str) -> float | None:
    found = measured(rows, bench, begins, pattern)
    return float(found[0]) if found else None


# -- the verdict ---------------------------------------------------------------------------------------------------


def wrong(rows: Rows) -> Rows:
    """Rows that are the same on any machine, and were missed: a byte, a message or a command was wrong."""
    return [row for row in rows if row["kept"] is False and row["exact"]]


def verdict(rows: Rows) -> str:
    judged = [row for row in rows if row["kept"] is not None]
    if not judged:
        return "Not known: nothing was measured. <code>make bench</code>"
    if wrong(rows):
        return "No. Something was counted, sent or done wrongly; it is named below."
    if any(number(rows, risk.bench, risk.begins, risk.trials) is None for risk in RISKS if risk.bench):
        return "Not yet. Not all that decides was measured; what is missing is named below."
    return f"Not yet into all {HOMES:,} homes at once. Yes into a pilot of {PILOT}, and into the rest if that holds."


def reasons(rows: Rows) -> list[str]:
    judged = [row for row in rows if row["kept"] is not None]
    missed = [row for row in judged if not row["kept"]]
    counts = {
        name: sum(SUBJECTS.get(row["issue"]) == name for row in missed) for name in dict.fromkeys(SUBJECTS.values())
    }
    where = ", ".join(f"{count} under “{name}”" for name, count in counts.items() if count)
    parts = [
        f"<b>For it:</b> {len(judged) - len(missed)} of {len(judged)} targets were met. In everything that was tried,"
        " no"
        " byte was charged that nobody used, no order was carried out twice, and no report was lost without saying so."
        if not wrong(rows)
        else f"<b>Against it:</b> {len(wrong(rows))} results were wrong that may never be wrong.",
        "<b>For it:</b> when it fails, the household keeps a connection that works. Nothing is ever cut off or billed.",
        "<b>Against it:</b> none of this was measured in a home. Modem and mobile network were simulated; computers,"
        " data and"
        f" servers were real. That is why a pilot of {PILOT} homes comes first.",
    ]
    if missed:
        parts.append(
            f"<b>Against it:</b> {len(missed)} targets were missed ({where}). None of them cuts a connection or"
            " charges anybody."
        )
    return parts


def decision(rows: Rows) -> str:
    items = "".join(f"<li>{reason}</li>" for reason in reasons(rows))
    return f'<div class="verdict"><p><b>{verdict(rows)}</b></p><ul>{items}</ul></div>'


# -- the risks -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Risk:
    """`trials`: where "what: measured" says how often it was tried."""

    what: str
    cover: str
    bench: str = ""
    begins: str = ""
    trials: str = ""
    tried: str = ""


RISKS = (
    Risk("A home is charged for data that it did not use, or its connection ends up dead",
         "An impossible count is refused; a doubtful one is decided for the household; what stalls is restarted",
         "campaign", "", r"^(\d+) faults", "faults of every kind, overlapping"),
    Risk("A power cut ruins the count",
         "The count is written so that a cut leaves the old or the new one; a second good copy is kept",
         "ledger_cuts", "power cuts", r": (\d+) sound", "power cuts in the middle of writing"),
    Risk("A power cut costs the operator more than 40 MB of uncounted data",
         "The more data flows, the more often the count is written", "simulator_power", "", r"^(\d+) of \d+ power cuts",
         "power cuts under full traffic"),
    Risk("An order from support is lost or carried out twice",
         "Each order has a number and is written down before it is confirmed",
         "operator_commands", "", r"^(\d+) signed commands", "orders, with repeats, forgeries and crashes"),
    Risk("The operator misses a report and does not know it",
         "Reports are numbered; what had to be given up is named", "operator_cuts", "", r"^(\d+) real cuts",
         "crashes and lost connections"),
    Risk("A hung modem stays dead until somebody comes",
         "It is reset in steps, from the gentlest to its power; the household reads whom to call",
         "at_storm", "longest wait", r"(\d+) failed openings", "failures, each over within two minutes"),
    Risk("An update leaves a dead router",
         "The old version comes back by itself unless the new one proves itself within 10 minutes",
         "update_judge", "", r"^(\d+) updates with 1 or 2", "updates with the power cut in the middle"),
    Risk("The technician is shown a wrong signal or state",
         "What cannot be read for certain is shown as unknown", "at_fuzz", "", r"^(\d+) damaged",
         "damaged answers of a modem"),
    Risk("A real modem or network does what no simulation knew",
         f"A pilot of {PILOT} homes; updates in rings; an unknown modem is read by the standard's commands alone"),
)  # fmt: skip


def likelihood(risk: Risk, rows: Rows) -> str:
    """After n trials without a failure the rate is below 3/n, with 95 % confidence.

    The "rule of three": Hanley and Lippman-Hand, JAMA 249 (1983), 1743.
    """
    if not risk.bench:
        return "<b>Not known.</b> Expect some among the first homes"
    if any(row["bench"] == risk.bench for row in wrong(rows)):
        return "<b>It happened.</b> See what was missed"
    trials = sum(map(int, measured(rows, risk.bench, risk.begins, risk.trials)))
    if trials < 4:
        return f"<b>Not known.</b> {trials or 'Nothing'} tried"
    return f"<b>Below 1 in {trials // 3:,}.</b> It did not happen in {trials:,} {escape(risk.tried)}"


def risks(rows: Rows) -> str:
    head = ("what can go wrong", "how likely, each time", "what covers it")
    return grid(head, [(escape(risk.what), likelihood(risk, rows), escape(risk.cover)) for risk in RISKS])


def grid(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML already; on a phone each row becomes a card with the heads as labels."""
    heads = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(
        "<tr>"
        + "".join(f'<td data-label="{escape(name)}">{cell}</td>' for name, cell in zip(head, line, strict=True))
        + "</tr>"
        for line in lines
    )
    return f'<div class="scroll"><table><tr>{heads}</tr>{body}</table></div>'


# -- cost ----------------------------------------------------------------------------------------------------------

NOT_YET = "<b>Not measured.</b> <code>make bench</code>"


def cost(rows: Rows) -> str:
    day_kb = number(rows, "operator_day", "a day of a typical household", r": ([\d.]+) kB")
    memory = [number(rows, "footprint", f"steady memory (PSS), {bits} bit", r": ([\d.]+) MB") for bits in (64, 32)]
    written = number(rows, "ledger_writes", "a household's day", r": ([\d.]+) MB written")
    update = number(rows, "update_fetch", "wire bytes", r"\((\d+) received")
    return grid(("what", "for one home", f"for {HOMES:,} homes"), [
        ("Reports to the operator", *_data(day_kb)),
        ("Memory of the router", " to ".join(f"{mb:.0f} MB" for mb in sorted(filter(None, memory))) or NOT_YET, "-"),
        ("Storage of the router", "about 25 MB with all it needs, reckoned from the packages", "-"),
        ("Wear of the storage",
         f"{written:.1f} MB written a day, {written * 3.65:.0f} GB in ten years" if written else NOT_YET, "-"),
        ("One update",
         f"{update / 1e6:.2f} MB" if update else NOT_YET, f"{update * HOMES / 1e9:.0f} GB" if update else "-"),
    ])  # fmt: skip


def _data(day_kb: float | None) -> tuple[str, str]:
    if day_kb is None:
        return NOT_YET, "-"
    month_gb = day_kb * 30 / 1e6
    euro = month_gb * EURO_A_GB
    return (
        f"{month_gb * 1000:.1f} MB a month, not charged to the household; at most {euro:.3f} euro a month",
        f"{month_gb * HOMES:.0f} GB and at most {euro * HOMES:.0f} euro a month"
        f" ({EURO_A_GB:.2f} euro a GB, the EU's cap for data bought in bulk while roaming)",
    )


# -- what was not measured -----------------------------------------------------------------------------------------

NEVER = (
    "A real modem with a real SIM in a mobile network: every modem here was simulated, after makers' manuals and"
    " public captures.",
    "Router boards: the OpenWrt package was never installed on one, and a Raspberry Pi was only emulated.",
    "A month, let alone a year, of a home's life in real time. Months were simulated.",
    "Whether households understand their page and technicians their tool: nobody was asked.",
)


def not_measured(rows: Rows) -> str:
    devices = number(rows, "simulator_fleet", "virtual devices", r": (\d+) of")
    more = [f"{HOMES:,} homes at once on one server: the largest run had {devices:,.0f}." if devices else
            f"{HOMES:,} homes at once on one server."]  # fmt: skip
    absent = sorted({row["bench"] for row in rows if not row["date"]})
    more += (
        [f"Not run on this tree: {', '.join(absent)} (<code>make bench</code>, <code>make bench-office</code>)."]
        if absent
        else []
    )
    short = sorted({row["bench"] for row in rows if row["short"]})
    more += [f"Run in a short form only, which proves less: {', '.join(short)}."] if short else []
    return "<ul>" + "".join(f"<li>{line}</li>" for line in (*NEVER, *more)) + "</ul>"


# -- the fleet, and the promises -----------------------------------------------------------------------------------


def fleet(rows: Rows) -> str:
    bars = [(name, HOMES * share, "") for name, share in RINGS]
    picture = svg.both(lambda narrow: svg.bars(bars, name="rings", unit="homes", narrow=narrow))
    storm = measured(rows, "simulator_fleet", "storm", r"100 % after ([\d.]+) s")
    devices = measured(rows, "simulator_fleet", "virtual devices", r": (\d+) of")
    back = (
        f" After a failure of the server {devices[0]} simulated devices were back within {float(storm[0]):.0f} seconds."
        if storm and devices
        else ""
    )
    return (
        "<p>Each home reports by itself when something changes, and every quarter to half hour. The operator sees on"
        " one page how"
        " many homes are connected, slowed, silent or in trouble, and which version they run. Homes are not named on"
        " it, and"
        f" groups of fewer than five are shown together.{back}</p><p>A new version goes out in rings, a day apart,"
        " and stops by"
        f" itself when 2 % of those touched fail.</p><figure>{picture}</figure>"
    )


def promises() -> str:
    days = re.findall(r"^\| (.+?) \| (\d+ (?:working )?days) \|$", SECURITY.read_text(), re.MULTILINE)
    lines = "".join(f"<li>{escape(step)}: at most {escape(limit)}</li>" for step, limit in days)
    return (
        f"<p>Security fixes are made until <b>{SUPPORTED_UNTIL}</b>, free, apart from new functions where that can be"
        " done.</p>"
        f"<ul>{lines}</ul><p>An update is signed, is fetched slowly, keeps the count and the speed of the line, and"
        " is put back"
        " within 10 minutes unless it proves itself. Nobody has to be on site.</p>"
    )
