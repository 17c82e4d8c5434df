"""Times as a technician reads them: in the household's zone, with the day, and how long until then.

Used by the verbs that show any. The zone is the plan's, not the device's: a billing period that ends at midnight must
read so on a router whose own clock runs in UTC.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone

import click

from agent.cli.language import N_, _

LENGTHS_S = {"m": 60, "h": 3_600, "d": 86_400}
LONGEST_S = 40 * 86_400
# No locale decides, but the chosen language.
_MONTHS = (
    N_("Jan"), N_("Feb"), N_("Mar"), N_("Apr"), N_("May"), N_("Jun"),
    N_("Jul"), N_("Aug"), N_("Sep"), N_("Oct"), N_("Nov"), N_("Dec"),
)  # fmt: skip


class _Zone:
    """The zone to show times in, found at the first time that is shown."""

    def __init__(self) -> None:
        self.name: Callable[[], str] | None = None
        self._shift: Callable[[datetime], datetime] | None = None

    def reckon_by(self, name: Callable[[], str]) -> None:
        self.name, self._shift = name, None

    def shift(self, when: datetime) -> datetime:
        if self._shift is None:
            self._shift = _shift_of(self.name() if self.name is not None else "")
        return self._shift(when)


ZONE = _Zone()


def _shift_of(name: str) -> Callable[[datetime], datetime]:
    """How an instant becomes wall time there; the device's own zone where the name means nothing on this system."""
    if not name:
        return lambda when: when.astimezone()
    if os.path.isfile(f"/usr/share/zoneinfo/{name}"):
        return lambda when: _by_libc(when, name)
    return _by_rule(name)


def _by_libc(when: datetime, name: str) -> datetime:
    """The system's own zone data; the zoneinfo module would cost a tool that starts for one screen 10 ms more."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        return when.astimezone()
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


def _by_rule(name: str) -> Callable[[datetime], datetime]:
    """A POSIX rule, or a zone that the plan knows by rule on a system without zone data (OpenWrt)."""
    from agent.errors import PlanError
    from agent.plan.zone import zone_offset

    try:
        offset = zone_offset(name)
    except PlanError:
        return lambda when: when.astimezone()

    def shift(when: datetime) -> datetime:
        found: timedelta = offset(when)
        return when + found

    return shift


def parsed(text: str | None) -> datetime | None:
    """An RFC 3339 time of the status schema."""
    return None if text is None else datetime.fromisoformat(text.replace("Z", "+00:00"))


def local(text: str | None) -> str | None:
    """22 Nov 2026 08:15, where the household lives."""
    when = parsed(text)
    if when is None:
        return None
    here = ZONE.shift(when)
    return f"{day(here)} {here:%H:%M}"


def day(when: date) -> str:
    """22 Nov 2026"""
    return _("{day} {month} {year}", day=when.day, month=_(_MONTHS[when.month - 1]), year=when.year)


def day_of_year(when: date) -> str:
    """22 Nov"""
    return _("{day} {month}", day=when.day, month=_(_MONTHS[when.month - 1]))


def local_span(start: str, end: str) -> str:
    """29 Nov 2026 19:02-19:09, or both days where they differ."""
    first, last = local(start) or "", local(end) or ""
    if first == last:
        return first
    same = first[: -len("19:02")]
    return f"{first}-{last[len(same) :]}" if last.startswith(same) else f"{first} - {last}"


def seconds_between(start: str | None, end: str | None) -> float | None:
    first, last = parsed(start), parsed(end)
    return None if first is None or last is None else (last - first).total_seconds()


def from_now(text: str, *, option: str = "--for") -> str:
    """90m, 24h, 3d as the RFC 3339 time that far from now. Raises UsageError."""
    number, unit = text[:-1], text[-1:]
    if unit not in LENGTHS_S or not number.isdecimal() or not 0 < int(number) * LENGTHS_S[unit] <= LONGEST_S:
        words = _("{length} is no length of time; allowed: 90m, 24h, 3d (at most 40d)", length=f"{option} {text!r}")
        raise click.UsageError(words)
    until = datetime.now(timezone.utc) + timedelta(seconds=int(number) * LENGTHS_S[unit])
    return until.strftime("%Y-%m-%dT%H:%M:%SZ")
