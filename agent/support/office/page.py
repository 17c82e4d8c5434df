"""One static page for whoever runs the fleet: how many homes, in which state, since when. No home is named on it.

Groups are the operator's labels. A group of a few homes would tell about each of them, so those are shown together.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.support.office.database import Office, Row


SMALLEST_GROUP = 5  # homes
_TOGETHER = f"Groups of fewer than {SMALLEST_GROUP} homes"
_UNLABELLED = "No label"

_OUT_FOR = """
select name, (select count(*) from home where known and not online and now() - presence_since between a and b)
from (values ('under an hour', interval '0', interval '1 hour'), ('under a day', '1 hour', '1 day'),
    ('under a week', '1 day', '7 days'), ('a week or longer', '7 days', '1000 years')) as span(name, a, b)
"""
QUERIES = {
    "groups": "select * from summary",
    "out_for": _OUT_FOR,
    "alarms": "select name, count(*), min(since) from alarms group by name order by 2 desc, 1 limit 50",
    "versions": "select version, homes from versions order by 2 desc, 1 limit 50",
    "cost": "select day, homes, bytes, bytes_a_home, most from reporting_cost order by day desc limit 7",
    "gaps": "select count(distinct device) from gaps where not isempty(open)",
    "refused": "select count(*) from refused where received > now() - interval '1 day'",
}


@dataclass(frozen=True, slots=True)
class Group:
    """Homes under one label."""

    label: str
    homes: int
    online: int
    out: int
    out_since: datetime | None
    slow: int
    slow_since: datetime | None
    warned: int
    never: int
    bytes_a_home: int | None


def write(office: Office, folder: Path, now: datetime) -> Path:
    """The page into `folder`/index.html, whole or not at all. Raises OperatorError, OSError."""
    answers = {name: office.rows(query) for name, query in QUERIES.items()}
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "index.html"
    part = folder / f".index.{os.getpid()}"
    part.write_text(page(answers, now), encoding="utf-8")
    part.replace(target)
    return target


def groups_of(rows: Iterable[Row]) -> list[Group]:
    """By name; small ones together, and what has no label at the end."""
    large: list[Group] = []
    small: list[Group] = []
    for row in rows:
        group = Group(str(row[0]) or _UNLABELLED, *row[1:])
        (small if group.homes < SMALLEST_GROUP else large).append(group)
    large.sort(key=lambda group: (group.label == _UNLABELLED, group.label.casefold()))
    return large + ([total(small, _TOGETHER)] if small else [])


def total(groups: Sequence[Group], label: str) -> Group:
    """All of them as one."""
    heard = [(group.bytes_a_home, group.homes) for group in groups if group.bytes_a_home is not None]
    homes = sum(count for _, count in heard)
    cost = round(sum(int(average) * count for average, count in heard) / homes) if homes else None

    def summed(name: str) -> int:
        return sum(getattr(group, name) for group in groups)

    def first(name: str) -> datetime | None:
        return min((since for group in groups if (since := getattr(group, name)) is not None), default=None)

    return Group(
        label, summed("homes"), summed("online"), summed("out"), first("out_since"), summed("slow"),
        first("slow_since"), summed("warned"), summed("never"), cost,
    )  # fmt: skip


def page(answers: Mapping[str, Sequence[Row]], now: datetime) -> str:
    """The whole page. Every text from outside is escaped; it loads nothing and runs no script."""
    groups = groups_of(answers["groups"])
    whole = total(groups, "All homes")
    alarms = [(name, homes, since(oldest, now)) for name, homes, oldest in answers["alarms"]]
    versions = [(version or "unknown", homes) for version, homes in answers["versions"]]
    stamp = now.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    sections = [
        _tiles(whole),
        _section("By group", _GROUPS, [_group_row(group, now) for group in (*groups, whole)]),
        _section("Out of reach", ("For", "Homes"), answers["out_for"]),
        _section("Alarms", ("Alarm", "Homes", "Oldest since"), alarms),
        _section("Versions", ("Version", "Homes"), versions),
        _section("What reporting cost", ("Day (UTC)", "Homes", "In all", "A home", "Most"),
                 [(day, homes, size(b), size(a), size(m)) for day, homes, b, a, m in answers["cost"]]),
        _notes(answers),
    ]  # fmt: skip
    return _PAGE.format(stamp=escape(stamp), style=_STYLE, body="\n".join(sections))


_GROUPS = (
    "Group",
    "Homes",
    "Online",
    "Out",
    "Out since",
    "Slow",
    "Slow since",
    "Warned",
    "Never heard",
    "Reporting cost",
)


def _group_row(group: Group, now: datetime) -> Row:
    return (
        group.label, group.homes, group.online, group.out, since(group.out_since, now), group.slow,
        since(group.slow_since, now), group.warned, group.never, size(group.bytes_a_home),
    )  # fmt: skip


def _tiles(whole: Group) -> str:
    shown = (
        ("online", whole.online, "good"), ("out", whole.out, "bad"), ("slow", whole.slow, "warn"),
        ("warned", whole.warned, "warn"), ("never heard", whole.never, ""),
    )  # fmt: skip
    tiles = "".join(f'<li class="{kind}"><b>{count(number)}</b> {name}</li>' for name, number, kind in shown)
    return f'<p class="all"><b>{count(whole.homes)}</b> homes</p>\n<ul class="tiles">{tiles}</ul>'


def _section(title: str, head: Sequence[str], rows: Sequence[Row]) -> str:
    if not rows:
        return f"<h2>{escape(title)}</h2>\n<p>None.</p>"
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "\n".join(_row(head, row) for row in rows)
    many = ' class="many"' if len(head) > 2 else ""  # two columns stand beside each other on any screen
    return f"<h2>{escape(title)}</h2>\n<table{many}><thead><tr>{top}</tr></thead>\n<tbody>{body}</tbody></table>"


def _row(head: Sequence[str], row: Row) -> str:
    first, *others = row
    cells = [f'<th scope="row">{escape(str(first))}</th>']
    for name, value in zip(head[1:], others, strict=True):
        shown = count(value) if isinstance(value, int) else str(value)
        cells.append(f'<td data-name="{escape(name)}">{escape(shown)}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def _notes(answers: Mapping[str, Sequence[Row]]) -> str:
    ((gaps,),), ((refused,),) = answers["gaps"], answers["refused"]
    return (
        f"<p>Homes with reports that are missing and were not given up by the device: <b>{count(gaps)}</b>. "
        f"Messages refused in the last day: <b>{count(refused)}</b>.</p>"
    )


def count(number: int) -> str:
    return f"{number:,}".replace(",", "\N{NO-BREAK SPACE}")


def size(number: float | None) -> str:
    """Bytes for eyes, in powers of a thousand."""
    if number is None:
        return "-"
    value, units = float(number), iter(("B", "kB", "MB", "GB"))
    unit = next(units)
    while value >= 1000 and unit != "GB":
        value, unit = value / 1000, next(units)
    return f"{value:.0f}\N{NO-BREAK SPACE}{unit}" if unit == "B" else f"{value:.1f}\N{NO-BREAK SPACE}{unit}"


def since(moment: datetime | None, now: datetime) -> str:
    """The day and time, and how long ago that is."""
    if moment is None:
        return "-"
    seconds = max(0.0, (now - moment).total_seconds())
    steps: tuple[tuple[float, float, str], ...] = ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h"))
    amount, unit = next(
        ((seconds / by, name) for below, by, name in steps if seconds < below), (seconds / 86_400, "days")
    )
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M} ({amount:.0f}\N{NO-BREAK SPACE}{unit})"


_STYLE = """
:root { color-scheme: light dark; --line: #8886; --good: #16733a; --bad: #b3261e; --warn: #8a5a00 }
@media (prefers-color-scheme: dark) { :root { --good: #6fd08c; --bad: #ff8a80; --warn: #f0b94d } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 70rem }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem }
.all { font-size: 1.25rem; margin: 1rem 0 .5rem }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: .75rem; padding: 0; margin: 0 }
.tiles { list-style: none }
.tiles li { border: 1px solid var(--line); border-radius: .5rem; padding: .75rem }
.tiles b { display: block; font-size: 1.75rem; line-height: 1.2; font-variant-numeric: tabular-nums }
.good b { color: var(--good) } .bad b { color: var(--bad) } .warn b { color: var(--warn) }
table { border-collapse: collapse; width: 100% }
th, td { text-align: right; padding: .3rem .5rem; border-bottom: 1px solid var(--line) }
td { font-variant-numeric: tabular-nums }
th:first-child { text-align: left; overflow-wrap: anywhere } tbody th { font-weight: 500 }
@media (max-width: 45rem) {
  .many thead { display: none } .many tr { display: block; padding: .5rem 0; border-bottom: 1px solid var(--line) }
  .many tbody th, .many td { display: flex; justify-content: space-between; gap: 1rem; border: 0; padding: .1rem 0 }
  .many td::before { content: attr(data-name); flex: none } .many tbody th { font-weight: 700 }
}
"""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta http-equiv="refresh" content="300">
<title>The fleet</title><style>{style}</style></head>
<body><main><h1>The fleet</h1>
<p>As of {stamp}.</p>
{body}
</main></body></html>
"""
