"""Offsets of a time zone from UTC: an installed IANA zone, a POSIX TZ string, or one of the rules kept below.

Called by `period` alone. A router seldom has zone files, so a name that is not installed falls back on the rule the
agent knows for it; anything else must be written as a POSIX TZ string. The system's own TZ is never consulted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache

from agent.errors import PlanError

Offset = Callable[[datetime], timedelta]  # aware instant -> local time minus UTC

_CENTRAL = "CET-1CEST,M3.5.0,M10.5.0/3"

# The Union's rule of 1996 (directive 2000/84/EC), good for every instant a modem will live to see.
KNOWN_RULES = {
    "Europe/Brussels": _CENTRAL,
    "Europe/Amsterdam": _CENTRAL,
    "Europe/Berlin": _CENTRAL,
    "Europe/Luxembourg": _CENTRAL,
    "Europe/Paris": _CENTRAL,
    "Europe/London": "GMT0BST,M3.5.0/1,M10.5.0",
    "Europe/Lisbon": "WET0WEST,M3.5.0/1,M10.5.0",
    "Europe/Helsinki": "EET-2EEST,M3.5.0/3,M10.5.0/4",
    "UTC": "UTC0",
}

_NAME = r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)"
_CLOCK = r"[+-]?\d{1,3}(?::[0-5]\d(?::[0-5]\d)?)?"
_DAY = r"(?:M\d{1,2}\.\d\.\d|J\d{1,3}|\d{1,3})"
# A text, made into a pattern when it is needed: an installed zone, the usual case, needs none.
_POSIX = (
    rf"{_NAME}(?P<std>{_CLOCK})"
    rf"(?:(?P<dst>{_NAME})(?P<dst_clock>{_CLOCK})?"
    rf"(?:,(?P<start>{_DAY})(?:/(?P<start_clock>{_CLOCK}))?,(?P<end>{_DAY})(?:/(?P<end_clock>{_CLOCK}))?)?)?"
)


@dataclass(frozen=True, slots=True)
class _Change:
    """When in a year summer time starts or ends: a day rule and a local time of that day."""

    day: str
    clock: timedelta

    def local(self, year: int) -> datetime:
        return datetime.combine(_day_of_year(self.day, year), datetime.min.time()) + self.clock


@dataclass(frozen=True, slots=True)
class PosixZone:
    """A zone given by a POSIX TZ string (IEEE 1003.1 section 8.3, with the wider hours of RFC 8536)."""

    std: timedelta
    dst: timedelta | None = None
    start: _Change | None = None
    end: _Change | None = None

    def __call__(self, when: datetime) -> timedelta:
        if self.dst is None or self.start is None or self.end is None:
            return self.std
        utc = when.astimezone(timezone.utc).replace(tzinfo=None)
        year = (utc + self.std).year
        start = self.start.local(year) - self.std
        end = self.end.local(year) - self.dst
        # South of the equator summer spans the new year and `start` comes after `end`.
        summer = start <= utc < end if start < end else not end <= utc < start
        return self.dst if summer else self.std


def _day_of_year(rule: str, year: int) -> date:
    if rule[0] == "M":
        month, week, weekday = (int(n) for n in rule[1:].split("."))
        first = date(year, month, 1)
        day = first + timedelta(days=(weekday - first.isoweekday()) % 7 + 7 * (week - 1))
        return day if day.month == month else day - timedelta(days=7)  # week 5: the last there is
    if rule[0] == "J":  # 1 to 365, 29 February is never counted
        number = int(rule[1:])
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        return date(year, 1, 1) + timedelta(days=number - 1 + (leap and number > 59))
    return date(year, 1, 1) + timedelta(days=int(rule))


def _clock(text: str) -> timedelta:
    sign = -1 if text[0] == "-" else 1
    parts = [int(p) for p in text.lstrip("+-").split(":")] + [0, 0]
    return sign * timedelta(hours=parts[0], minutes=parts[1], seconds=parts[2])


def _day_problem(rule: str) -> str | None:
    if rule[0] == "M":
        month, week, weekday = (int(n) for n in rule[1:].split("."))
        return None if 1 <= month <= 12 and 1 <= week <= 5 and weekday <= 6 else f"no such day {rule}"
    low, high = (1, 365) if rule[0] == "J" else (0, 365)
    return None if low <= int(rule.lstrip("J")) <= high else f"no such day {rule}"


def parse_posix(text: str) -> PosixZone:
    """Read a POSIX TZ string. Raises PlanError that says what is wrong with it."""
    match = re.fullmatch(_POSIX, text)
    if match is None:
        raise PlanError(f"{text!r} is neither an installed zone nor a POSIX TZ string")
    std = -_clock(match["std"])  # POSIX counts westward, everybody else eastward
    if abs(std) > timedelta(hours=24):
        raise PlanError(f"{text!r}: offset beyond 24 hours")
    if match["dst"] is None:
        return PosixZone(std)
    dst = -_clock(match["dst_clock"]) if match["dst_clock"] else std + timedelta(hours=1)
    changes = []
    for name, default in (("start", "M3.2.0"), ("end", "M11.1.0")):
        day, clock = match[name] or default, _clock(match[f"{name}_clock"] or "2")
        problem = _day_problem(day) or ("time beyond 167 hours" if abs(clock) > timedelta(hours=167) else None)
        if problem:
            raise PlanError(f"{text!r}: {problem}")
        changes.append(_Change(day, clock))
    if abs(dst) > timedelta(hours=25):
        raise PlanError(f"{text!r}: offset beyond 24 hours")
    return PosixZone(std, dst, changes[0], changes[1])


def _installed(name: str) -> Offset | None:
    try:
        from zoneinfo import ZoneInfo

        zone = ZoneInfo(name)
    except (ImportError, OSError, ValueError, KeyError):  # KeyError: ZoneInfoNotFoundError; OSError: a directory
        return None

    def offset(when: datetime) -> timedelta:
        return when.astimezone(zone).utcoffset() or timedelta(0)

    return offset


@lru_cache(maxsize=16)
def zone_offset(name: str) -> Offset:
    """The offset rule of a zone. Raises PlanError for a name that means nothing here."""
    if not name or len(name) > 100:
        raise PlanError("a time zone needs a name")
    return _installed(name) or parse_posix(KNOWN_RULES.get(name, name))
