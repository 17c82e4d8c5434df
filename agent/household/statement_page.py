"""The statement on one sheet of A5, in black: as HTML for a printer, and as lines for a terminal. Pure.

Called by `modem-agent usage --statement`. No colour, picture, font or script is fetched from anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from html import escape
from typing import TYPE_CHECKING

from agent.household.statement_texts import RIGHT_TO_LEFT, WORDS
from agent.plan.period import local_clock, local_date

if TYPE_CHECKING:
    from agent.statement_schema import Answer, Statement

CSS = """
@page { size: A5 portrait; margin: 9mm }
* { color: #000; background: none }
body { font: 9pt/1.3 sans-serif; margin: 0 auto; max-width: 130mm }
h1 { font-size: 13pt; margin: 0 0 1mm }
h2 { font-size: 9pt; margin: 2.5mm 0 .8mm; border-bottom: .3mm solid }
p { margin: .8mm 0 }
table { border-collapse: collapse; width: 100% }
td { padding: .3mm 0; vertical-align: top }
td + td { text-align: end; white-space: nowrap }
.used { font-size: 13pt; font-weight: bold }
.billed { border: .5mm solid; padding: 1.5mm; font-weight: bold; text-align: center; margin: 3mm 0 }
.small { font-size: 6.5pt; overflow-wrap: anywhere }
svg { width: 100%; height: auto; display: block }
"""
BAR, HIGH, WIDE = 12, 70, 31 * 12  # units of the drawing


def page(answer: Answer, language: str) -> str:
    """`answer` is that of `usage.statement`."""
    words, body = WORDS[language], answer["statement"]
    direction = "rtl" if language in RIGHT_TO_LEFT else "ltr"
    parts = [
        f"<h1>{escape(words['title'])}</h1>",
        f"<p>{escape(_period(body, words))}</p>",
        f"<p class=used>{escape(_used(body, words))}</p>",
        _table(_counts(body, words)),
        f"<h2>{escape(words['days'])}</h2>",
        _bars(body, words),
        f"<h2>{escape(words['told'])}</h2>",
        _table(_marks(body, words)),
        f"<h2>{escape(words['gaps'])}</h2>",
        _table(_gaps(body, words)),
        f"<p class=billed>{escape(words['billed'])}</p>",
        *(f"<p class=small>{escape(line)}</p>" for line in _foot(answer, words)),
    ]
    head = f'<meta charset="utf-8"><title>{escape(words["title"])}</title><style>{CSS}</style>'
    return f'<!doctype html>\n<html lang="{language}" dir="{direction}">\n{head}\n' + "\n".join(parts) + "\n</html>\n"


def lines(answer: Answer, language: str) -> list[str]:
    """The same for a terminal, days as figures."""
    words, body = WORDS[language], answer["statement"]
    days = [(day["day"], _amount(day["bytes"], words)) for day in body["days"] if day["bytes"]]
    sections = [
        ("days", days),
        ("told", list(_marks(body, words))),
        ("gaps", list(_gaps(body, words))),
    ]
    out = [words["title"], _period(body, words), _used(body, words), "", *map(_line, _counts(body, words))]
    for name, rows in sections:
        out += ["", words[name], *("  " + _line(row) for row in rows)]
    return [*out, "", words["billed"], "", *_foot(answer, words)]


def _line(row: tuple[str, str]) -> str:
    return f"{row[0]}: {row[1]}" if row[1] else row[0]


def _amount(count: int, words: Mapping[str, str]) -> str:
    """Gigabytes with three decimals, cut off and never rounded up; a sign stays before it."""
    whole, rest = divmod(abs(count) // 1_000_000, 1000)
    return f"{'-' if count < 0 else ''}{whole}{words['decimal']}{rest:03} {words['gigabytes']}"


def _period(body: Statement, words: Mapping[str, str]) -> str:
    first, zone = date.fromisoformat(body["period"]["label"]), body["period"]["timezone"]
    last = date.fromisoformat(body["days"][-1]["day"]) if body["days"] else first
    so_far = "" if body["final"] else f" ({words['so_far']})"
    return f"{words['period']}: {first:%d/%m/%Y} - {last:%d/%m/%Y}, {zone}{so_far}"


def _used(body: Statement, words: Mapping[str, str]) -> str:
    used, limit = _amount(body["used_bytes"], words), _amount(body["limit_bytes"], words)
    return f"{words['used']}: {used} {words['of']} {limit}"


def _counts(body: Statement, words: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    yield words["allowance"], _amount(body["allowance_bytes"], words)
    for topup in body["topups"]:
        when = _when(topup["granted"], body)
        yield f"{words['topups']}, {when}", _amount(topup["bytes"], words)
    if body["forgiven_bytes"]:
        yield words["forgiven"], _amount(body["forgiven_bytes"], words)
    yield words["own"], f"{_amount(body['own_bytes'], words)} ({body['own_bytes']} B)"
    if body["exempt_bytes"]:
        yield words["exempt"], _amount(body["exempt_bytes"], words)
    count = body["operator"]
    if count is not None:
        yield f"{words['operator']}, {_when(count['as_of'], body)}", _amount(count["used_bytes"], words)
        difference = count["difference_bytes"] or 0
        much = words["more"] if difference >= 0 else words["less"]
        meaning = words["followed"] if count["mode"] == "follow" else words["shown"]
        yield f"{much}; {meaning}", _amount(abs(difference), words)


def _marks(body: Statement, words: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for mark in body["marks"]:
        percent = f" {mark['percent']} %" if mark["kind"] == "warning" else ""
        yield f"{words[mark['kind']]}{percent}", _when(mark["at"], body)
    if not body["marks"]:
        yield words["nothing"], ""


def _gaps(body: Statement, words: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for gap in body["gaps"]:
        yield f"{gap['number']} x {words[gap['cause']]}", f"{words['at_most']} {_amount(gap['at_most_bytes'], words)}"
    if not body["gaps"]:
        yield words["no_gaps"], ""


def _foot(answer: Answer, words: Mapping[str, str]) -> Iterator[str]:
    body = answer["statement"]
    yield f"{words['device']}: {body['device']}. {words['software']}: modem-agent {body['version']}"
    if answer["hash"]:
        yield f"{words['seal']} {answer['n']}: {answer['hash']}"


def _when(text: str | None, body: Statement) -> str:
    """Day and time in the household's zone; "?" while the clock was not known."""
    if text is None:
        return "?"
    when, zone = datetime.fromisoformat(text.replace("Z", "+00:00")), body["period"]["timezone"]
    return f"{local_date(when, zone):%d/%m} {local_clock(when, zone):%H:%M}"


def _table(rows: Iterator[tuple[str, str]]) -> str:
    made = (f"<tr><td>{escape(name)}<td><bdi>{escape(value)}</bdi>" for name, value in rows)
    return "<table>" + "".join(made) + "</table>"


def _bars(body: Statement, words: Mapping[str, str]) -> str:
    """A bar a day, and the highest day's amount beside the scale. Days run in the direction in which the page is read
    by numbers: left to right in every language."""
    days = body["days"]
    most = max((day["bytes"] for day in days), default=0) or 1
    drawn = []
    for number, day in enumerate(days):
        high = day["bytes"] * HIGH / most
        left, label = number * BAR, date.fromisoformat(day["day"]).day
        drawn.append(f'<rect x="{left + 2}" y="{HIGH - high:.2f}" width="{BAR - 4}" height="{high:.2f}"/>')
        if label == 1 or label % 5 == 0:
            drawn.append(f'<text x="{left + BAR / 2:g}" y="{HIGH + 9}" text-anchor="middle">{label}</text>')
    scale = f'<path d="M0 {HIGH}H{WIDE}" stroke="#000"/><text x="0" y="-3">{_amount(most, words)}</text>'
    style = 'direction="ltr" font-size="7" font-family="sans-serif"'
    return f'<svg viewBox="0 -12 {WIDE} {HIGH + 24}" {style}>{"".join(drawn)}{scale}</svg>'
