"""Times as a technician reads them: local, with the day, and how long until then. Used by the verbs that show any."""

from __future__ import annotations

from datetime import datetime

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")  # no locale decides


def parsed(text: str | None) -> datetime | None:
    """An RFC 3339 time of the status schema."""
    return None if text is None else datetime.fromisoformat(text.replace("Z", "+00:00"))


def local(text: str | None) -> str | None:
    """22 Nov 2026 08:15, in the device's own zone."""
    when = parsed(text)
    if when is None:
        return None
    here = when.astimezone()
    return f"{here.day} {MONTHS[here.month - 1]} {here.year} {here:%H:%M}"


def seconds_between(start: str | None, end: str | None) -> float | None:
    first, last = parsed(start), parsed(end)
    return None if first is None or last is None else (last - first).total_seconds()
