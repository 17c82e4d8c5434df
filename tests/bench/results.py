"""The newest whole run, kept in the tree: results.json for `make report`; RESULTS.md and the README's figures to read.

    python -m tests.bench.all --keep

takes over what report/bench, report/campaign.json and out/demo hold. A whole run stands above a short one, and a newer
one above an older one, so nothing is lost by a bench that was not run this time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tests.bench import table
from tests.bench.rows import POINTS, REPORT, machine

HERE = Path(__file__).parent
KEPT = HERE / "results.json"
TABLE = HERE / "RESULTS.md"
README = HERE.parents[1] / "README.md"
DEMO = Path("out/demo")
BEGIN, END = "<!-- bench -->", "<!-- /bench -->"

Document = dict[
    str, Any
]  # what a Bench writes: bench, issue, short, date, machine, rows, curves; the demo's has marks too

# The README's ten figures: the bench, and how the row begins that stands for its subject.
FIGURES = (
    ("demo", "link rate past 40 GB, down"),
    ("ledger_flaps", "phantom bytes"),
    ("shaping_line", "Debian 6.1.0 in QEMU: agent: cake, down, IPv4"),
    ("at_fuzz", ""),
    ("operator_day", "a day of a typical household"),
    ("cli_startup", "`status`"),
    ("footprint", "steady memory (PSS), 64 bit"),
    ("simulator_power", ""),
    ("campaign", ""),
    ("update_judge", ""),
)


def kept() -> dict[str, Any]:
    """`scripts` that there were, `benches` by name, and `campaign`."""
    found: dict[str, Any] = json.loads(KEPT.read_text())
    return found


def newest(documents: Iterable[Document]) -> Document | None:
    """The newest whole run, or else the newest short one."""
    return max(documents, key=lambda one: (not one["short"], one["date"]), default=None)


def documents(demo: Path) -> dict[str, Document]:
    """By its name, for every bench that was ever run: the kept run or the one of this folder."""
    here = [json.loads(file.read_text()) for file in sorted(REPORT.glob("*.json"))]
    here += [demo_document(demo)] if (demo / "promises.md").exists() else []
    found = {name: [document] for name, document in kept()["benches"].items()}
    for document in here:
        found.setdefault(document["bench"], []).append(document)
    return {name: one for name, both in found.items() if (one := newest(both))}


def campaign() -> Document | None:
    """The newer of the kept campaign and the one of this folder."""
    file = REPORT.parent / "campaign.json"
    both = [kept()["campaign"], json.loads(file.read_text()) if file.exists() else None]
    return max((one for one in both if one), key=lambda one: one["date"], default=None)


def demo_document(folder: Path) -> Document:
    """What `make demo` left, in the form of a bench: its promises, and the rate of the line with marks."""
    lines = [line for line in (folder / "promises.md").read_text().splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rows = [
        {"what": what, "target": promised, "measured": measured, "kept": word == "kept", "peer": "", "exact": False}
        for what, promised, measured, word in cells
    ]
    rate = json.loads((folder / "rate.json").read_text())
    thin = [*rate["rate"][:: max(1, len(rate["rate"]) // POINTS)], *rate["rate"][-1:]]
    curves = {
        f"{way}, kbit/s": [[mark["s"], mark[f"{key}_bps"] / 1000] for mark in thin]
        for way, key in (("download", "down"), ("upload", "up"))
    }
    date = datetime.fromtimestamp((folder / "promises.md").stat().st_mtime, timezone.utc)
    return {
        "bench": "demo", "issue": 2, "arguments": [], "short": False, "date": date.isoformat(timespec="seconds"),
        "machine": machine(), "rows": rows, "curves": curves, "marks": rate["events"],
    }  # fmt: skip


def plain(cell: str) -> str:
    """A cell without what stands in brackets, which RESULTS.md has."""
    return re.sub(r" \([^()]*\)", "", cell)


def figures(rows: table.Rows) -> table.Rows:
    """The row that stands for each subject that was measured."""
    found = (
        next((row for row in rows if row["date"] and row["bench"] == bench and row["what"].startswith(begins)), None)
        for bench, begins in FIGURES
    )
    return [row for row in found if row]


def short(rows: table.Rows) -> str:
    """One figure a subject, and everything that was missed."""
    head = ("what", "asked", "measured")
    parts = [table.count(rows) + "\n", table.grid_of(head, map(_shown, figures(rows)))]
    missed = [_shown(row) for row in rows if row["kept"] is False]
    if missed:
        above = ["", *(asked for _, asked, _ in missed)]
        lines = [
            (what, "the same" if asked == before else asked, measured)
            for (what, asked, measured), before in zip(missed, above, strict=False)
        ]
        parts += ["Missed, all of them:\n", table.grid_of(head, lines)]
    return "\n".join(parts)


def _shown(row: dict[str, Any]) -> list[str]:
    return [plain(str(row[key])) for key in ("what", "target", "measured")]


def put_into(readme: Path, rows: table.Rows) -> None:
    """The figures, between the two marks. Raises ValueError without the marks."""
    text = readme.read_text()
    before, begun, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended:
        raise ValueError(f"{readme}: no place between {BEGIN} and {END}")
    readme.write_text(f"{before}{BEGIN}\n{short(rows)}{END}{after}")


ABOVE_ALL = """# Every number

Written by `python -m tests.bench.all --keep` from the newest whole run of each bench; `make bench` measures anew, and
`make report` draws it. Each number stands beside what was asked, and beside what a peer did in the same run: vnStat for
counting, tc's presets and sqm-scripts' settings for shaping, python-gsmmodem-new for AT, a plain paho loop for
delivery, ModemManager for memory. What was missed stands as missed.

"""


def whole(rows: table.Rows) -> str:
    """RESULTS.md."""
    return ABOVE_ALL + table.markdown(rows)


def keep(names: Sequence[str]) -> None:
    """results.json, RESULTS.md and the README's figures."""
    KEPT.write_text(written({"scripts": names, "benches": documents(DEMO), "campaign": campaign()}))
    rows = kept_rows()
    TABLE.write_text(whole(rows))
    put_into(README, rows)


def kept_rows() -> table.Rows:
    """Those of the kept run; a script that was there and had never been run gives one that says so."""
    found = kept()
    return table.rows_of(found["scripts"], found["benches"], {})


def written(results: dict[str, Any]) -> str:
    """JSON with one bench a line, so that a change shows which bench was run."""
    benches = ",\n".join(f" {json.dumps(name)}: {json.dumps(one)}" for name, one in sorted(results["benches"].items()))
    head, tail = json.dumps(results["scripts"]), json.dumps(results["campaign"])
    return f'{{"scripts": {head},\n"benches": {{\n{benches}\n}},\n"campaign": {tail}}}\n'
