"""`make report`: report/index.html, one page for whoever decides about 12 000 modems.

    python -m tests.bench.report [--demo FOLDER]

Made of what was measured: the newest whole run of each bench, of this folder (report/bench, report/campaign.json,
out/demo) or of tests/bench/results.json. It loads nothing and runs no script. What was never measured says which
command measures it.
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime, timezone
from html import escape
from pathlib import Path

from tests.bench import report_decision as decide
from tests.bench import results
from tests.bench.all import scripts
from tests.bench.report_plots import SECTIONS, Source
from tests.bench.rows import REPORT, machine
from tests.bench.table import HEAD, Rows, by_subject, cells, days, rows_of, verdict

TITLE = f"Can modem-agent go into {decide.HOMES:,} homes?"
STYLE = (Path(__file__).parent / "report.css").read_text()
ABOUT = (
    "A small program on a home's 4G modem. It counts the 40 GB a month that the home has, then slows the connection"
    " down instead"
    " of cutting it or billing for it, gives full speed back on the new month, and lets support help from afar."
)


def page(source: Source) -> str:
    """The whole page: the decision first, then the plots, then every number."""
    rows = source.rows
    date = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    body = [
        f"<h1>{TITLE}</h1>",
        decide.decision(rows),
        f"<p>{ABOUT}</p>",
        f'<p class="quiet">Measured {days(rows) or "never"}. Drawn {date} on {escape(machine())}.</p>',
        "<h2>The risks</h2>",
        decide.risks(rows),
        "<h2>What it costs</h2>",
        decide.cost(rows),
        "<h2>What was not measured</h2>",
        decide.not_measured(rows),
        "<h2>The fleet</h2>",
        decide.fleet(rows),
        "<h2>Updates and support</h2>",
        decide.promises(),
        missed(rows),
    ]
    for title, words, draw in SECTIONS:
        body += [f"<h2>{title}</h2>", f"<p>{words}</p>", draw(source)]
    body += ["<h2>Every number</h2>", tables(rows)]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    return (
        f'<!doctype html><html lang="en"><head>{head}<title>{TITLE}</title><style>{STYLE}</style></head>'
        f"<body><main>{''.join(body)}</main></body></html>\n"
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


def tables(rows: Rows) -> str:
    """Every number, a table a subject."""
    parts = []
    for subject, part in by_subject(rows).items():
        lines = [[*map(escape, cells(row)[:-1]), _verdict(verdict(row))] for row in part]
        parts.append(f'<h3>{escape(subject)} <span class="quiet">{days(part)}</span></h3>{decide.grid(HEAD, lines)}')
    return "".join(parts)


def _verdict(word: str) -> str:
    word = word.replace("*", "")
    kind = {"kept": "kept", "missed": "missed"}.get(word.partition(",")[0], "open")
    return f'<span class="{kind}">{word}</span>' if word else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--demo", type=Path, default=results.DEMO, help="what make demo left")
    options = parser.parse_args()
    benches = results.documents(options.demo)
    source = Source(benches, rows_of(scripts(), benches, {}), results.campaign())
    out = REPORT.parent / "index.html"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page(source))
    print(out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
