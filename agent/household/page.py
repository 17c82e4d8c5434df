"""The household's page in one language: a whole document without script, image files or anything fetched. Pure.

Written into memory by publication.py, shown by `modem-agent page`. What only the request knows (which device is the
reader's own, how old the document is) stands in it as marks, each on a line of its own that the web server's script
fills in or drops (firmware-config/openwrt/modem-agent/files/modem-agent.page). Everything that others wrote is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from agent.household.markup import escaped, filled, printable
from agent.household.page_texts import LANGUAGES, PageTexts, texts
from agent.household.page_view import BROKEN, FAST, SLOW, View, amount
from agent.household.picture import COLOURS, battery, icon

# Marks that the web server's script fills in: minutes, and amounts of GB.
AGE, OWN, OTHERS, UNKNOWN = "@AGE@", "@OWN@", "@OTHERS@", "@UNKNOWN@"
# Lines that begin so are dropped where they do not hold.
OLD_LINE, OWN_HEAD, OWN_LINE, UNKNOWN_LINE = '<p class="old', '<h2 class="own', '<p class="own', '<p class="unknown'

STYLE = (
    f""":root{{{"".join(f"--{name}:{value};" for name, value in COLOURS.items())}}}"""
    + """
*{box-sizing:border-box}
body{margin:0 auto;max-width:36rem;padding:0 1rem 2rem;font:1.125rem/1.5 system-ui,sans-serif}
body{color:var(--ink);background:#fff}
h1{font-size:1.6rem;line-height:1.25;margin:.6rem 0}h2{font-size:1.25rem;margin:1.8rem 0 .4rem}p{margin:.4rem 0}
.row{display:flex;gap:.8rem;align-items:center}.row>*{min-width:0;overflow-wrap:anywhere}
.icon{flex:none;width:2.6rem;height:2.6rem}.battery{display:block;width:100%;height:auto;margin:.8rem 0}
[dir=rtl] .battery,[dir=rtl] .speed .icon{transform:scaleX(-1)}
.good{color:var(--good)}.little{color:var(--little)}.none{color:var(--none)}
.speed{font-size:1.3rem;font-weight:700}.old{border:3px solid var(--none);padding:.6rem;font-weight:700}
.age{color:var(--line)}nav{display:flex;flex-wrap:wrap;gap:.2rem .9rem;margin-top:.5rem}
a{color:#0b4f9e;display:inline-block;min-height:1.7rem;padding:.1rem 0}
bdi{white-space:nowrap}
"""
)


def page(shown: View, language: str, devices: Sequence[tuple[str, int]] | None = None, *, count: bool = False) -> str:
    """The document. With `count` it has the marks of use by device; `devices` are those of the list, with their tenths
    of a GB, where the household wants a list."""
    words = texts(language)
    lines = [
        "<!DOCTYPE html>",
        f'<html lang="{language}" dir="{words.direction}"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{escaped(words.title)}</title><style>{STYLE}</style></head><body>",
        _languages(language, words),
        "<main>",
        f'{OLD_LINE}">{filled(words.old, minutes=AGE)}</p>',
        *_first_screen(shown, words),
        *_each_day(shown, words),
        *_when_slow(shown, words),
        *_use(words, devices, count=count),
        *_help(shown, words),
        f'<p class="age">{filled(words.age, minutes=AGE)}</p>',
        "</main></body></html>",
    ]
    return "\n".join(lines) + "\n"


def finished(document: str, minutes: int, *, old: bool) -> str:
    """The document with its marks filled in by ourselves, for the CLI: nobody's device is reading."""
    dropped = (OWN_HEAD, OWN_LINE, UNKNOWN_LINE, *(() if old else (OLD_LINE,)))
    kept = [line for line in document.splitlines() if not line.startswith(dropped)]
    return "\n".join(kept).replace(AGE, str(minutes)) + "\n"


def _first_screen(shown: View, words: PageTexts) -> list[str]:
    level = "none" if not shown.left_tenths else "little" if shown.warned or shown.why == "much" else "good"
    out = [f'<h1 class="{level}">{_left(shown, words)}</h1>', battery(shown.left_share, level)]
    out += [f'<div class="speed">{_row(shown.speed, _speed(shown, words), _SPEED_LEVEL[shown.speed])}</div>']
    out += [f"<p>{sentence}</p>" for sentence in _why(shown, words)]
    out += [
        _row("calendar", _new(shown, words)),
        _row("free", escaped(words.free), "good"),
        _row("phone", _call(shown, words)),
    ]
    out += [f"<p>{filled(words.used, used=_gb(shown.used_tenths, words), limit=_gb(shown.limit_tenths, words))}</p>"]
    return out


_SPEED_LEVEL = {FAST: "good", SLOW: "little", BROKEN: "none"}


def _left(shown: View, words: PageTexts) -> str:
    if not shown.left_tenths:
        return escaped(words.nothing_left)
    return filled(words.little_left if shown.warned else words.left, left=_gb(shown.left_tenths, words))


def _speed(shown: View, words: PageTexts) -> str:
    return escaped({FAST: words.fast, SLOW: words.slow, BROKEN: words.broken}[shown.speed])


def _why(shown: View, words: PageTexts) -> list[str]:
    if shown.speed == BROKEN:
        return [escaped(words.broken_wait)]
    if shown.speed != SLOW:
        return []
    limit, used = _gb(shown.limit_tenths, words), _gb(shown.used_tenths, words)
    reasons = {"used": words.why_used, "much": words.why_much, "operator": words.why_operator}
    out = [filled(reasons[shown.why], limit=limit, used=used)]
    if shown.why != "operator" and shown.new_day:
        out.append(filled(words.fast_again, day=_day(shown.new_day, words)))
    return out


def _new(shown: View, words: PageTexts) -> str:
    if shown.new_day is None:
        return escaped(words.date_unknown)
    return filled(words.new, day=_day(shown.new_day, words), allowance=_gb(shown.allowance_tenths, words))


def _call(shown: View, words: PageTexts) -> str:
    if not shown.phone:
        return escaped(words.call_nobody)
    number = "".join(sign for sign in shown.phone if sign in "+0123456789")
    link = f'<a href="tel:{number}"><bdi dir="ltr">{escaped(printable(shown.phone))}</bdi></a>'
    return escaped(words.call).replace("{phone}", link)


def _each_day(shown: View, words: PageTexts) -> list[str]:
    if shown.a_day_tenths is None or shown.new_day is None or shown.speed == SLOW:
        return []
    wording = words.per_day if shown.a_day_tenths else words.per_day_little
    sentence = filled(wording, amount=_gb(shown.a_day_tenths or 1, words), day=_day(shown.new_day, words))
    return [f"<h2>{escaped(words.each_day)}</h2>", _row("day", sentence)]


def _when_slow(shown: View, words: PageTexts) -> list[str]:
    if shown.speed != SLOW:
        return []
    rows = [
        _row(name, escaped(text), "good") for name, text in zip(("message", "form", "call"), words.works, strict=True)
    ]
    return [f"<h2>{escaped(words.now_slow)}</h2>", *rows, _row("film", escaped(words.works_not), "none")]


def _use(words: PageTexts, devices: Sequence[tuple[str, int]] | None, *, count: bool) -> list[str]:
    if not count:
        return []
    out = [f'{OWN_HEAD}">{escaped(words.use)}</h2>']
    out += [f'{OWN_LINE} row">{icon("device")}<span>{filled(words.this_device, amount=OWN)}</span></p>']
    out += [f'{OWN_LINE}">{filled(words.others, amount=OTHERS)}</p>']
    out += [f'{UNKNOWN_LINE}">{filled(words.unknown, amount=UNKNOWN)}</p>']
    for device, tenths in devices or ():
        out.append(f"<p>{filled(words.one_device, device=device, amount=_gb(tenths, words))}</p>")
    return out


def _help(shown: View, words: PageTexts) -> list[str]:
    text = printable(shown.help_text)
    if not text:
        return []
    lines = "<br>".join(escaped(line) for line in text.splitlines())
    return [f"<h2>{escaped(words.help)}</h2>", f'<div class="row">{icon("place")}<p dir="auto">{lines}</p></div>']


def _languages(chosen: str, words: PageTexts) -> str:
    links = [
        f'<a href="?lang={name}" lang="{name}" hreflang="{name}">{escaped(texts(name).name)}</a>'
        for name in LANGUAGES
        if name != chosen
    ]
    return f'<nav aria-label="{escaped(words.languages)}">{"".join(links)}</nav>'


def _row(name: str, sentence: str, level: str = "") -> str:
    picture = icon(name).replace('class="icon"', f'class="icon {level}"') if level else icon(name)
    return f'<div class="row">{picture}<p>{sentence}</p></div>'


def _gb(tenths: int, words: PageTexts) -> str:
    return amount(tenths, words.decimal)


def _day(day: date, words: PageTexts) -> str:
    return words.day.format(number=words.first if day.day == 1 else day.day, month=words.months[day.month - 1])
