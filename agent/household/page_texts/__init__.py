"""What the household's page says, a file a language: fields that a language leaves out are found by mypy.

Short sentences with one idea each, figures as figures, the same word for the same thing, no percent signs and no words
of the trade (Information for all, Inclusion Europe 2009). Read by page.py and sheet.py, which escape all of it. A name
in braces is filled in: amounts are GB with one decimal at most, {day} is a day with its month.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache

LANGUAGES = ("fr", "nl", "de", "en", "ar")


@dataclass(frozen=True, slots=True, repr=False, eq=False)  # memory: what nobody compares or prints needs no code
class PageTexts:
    """All of one language."""

    name: str  # of the language, in the language
    direction: str  # ltr or rtl
    decimal: str  # the sign between whole GB and tenths
    months: tuple[str, ...]
    day: str  # {number} and {month}
    first: str  # the number of the first day
    title: str
    languages: str  # what the links to the others are
    # -- first screen
    left: str  # {left}
    little_left: str  # {left}
    nothing_left: str
    used: str  # {used} {limit}
    new: str  # {day} {allowance}
    date_unknown: str
    fast: str
    slow: str
    broken: str
    why_used: str  # {limit}
    why_much: str  # {used} {limit}
    why_operator: str
    fast_again: str  # {day}
    broken_wait: str
    free: str
    call: str  # {phone}
    call_nobody: str
    # -- below it
    each_day: str  # the heading
    per_day: str  # {amount} {day}
    per_day_little: str  # {amount} {day}
    now_slow: str  # the heading
    works: tuple[str, str, str]  # messages, forms, calls
    works_not: str
    help: str  # the heading
    use: str  # the heading
    this_device: str  # {amount}
    others: str  # {amount}
    unknown: str  # {amount}
    one_device: str  # {device} {amount}
    # -- age
    age: str  # {minutes}
    old: str  # {minutes}
    # -- the sheet for the kitchen
    sheet: str
    sheet_scan: str
    sheet_type: str


@cache
def texts(language: str) -> PageTexts:
    """The texts of one of LANGUAGES."""
    if language not in LANGUAGES:
        raise KeyError(language)
    found: PageTexts = importlib.import_module(f"{__name__}.{language}").TEXTS
    return found
