"""Network time: +CCLK (27.007 clause 8.15), Quectel's +QLTS, Huawei's ^NWTIME and ^TIME, +CTZV and +CTZE (clause 8.41).

The zone counts quarters of an hour. A clock that was never set says 1980 or 1970; an impossible date is no time at all.
A time without zone is given as if it were UTC, with `utc_offset_minutes` null to say so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from agent.at.engine.grammar import Reading, at, number, payload, split, unquote
from agent.at.engine.row import EXECUTE, READ, SET, Command, Row

FIRST_YEAR = 2010  # no LTE module was made before; 2000 and 2004 are counters that start at power-up
_STAMP = re.compile(
    r"(?P<year>[0-9]{2}|[0-9]{4})/(?P<month>[0-9]{1,2})/(?P<day>[0-9]{1,2})[, ]"
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})(?:\.[0-9]+)?"
    r"\s*(?P<zone>[+-][0-9]{1,3})?(?:\s*,\s*(?P<dst>[0-9]{1,2}))?",
    re.ASCII,
)


def stamp(raw: str, *, is_utc: bool = False) -> Reading | None:
    """One time stamp; `is_utc`: the clock shows UTC and the zone only tells the local offset."""
    match = _STAMP.fullmatch(raw.strip())
    if match is None:
        return None
    year = int(match["year"])
    year += (2000 if year < 70 else 1900) if len(match["year"]) == 2 else 0
    offset = int(match["zone"]) * 15 if match["zone"] else None
    if year < FIRST_YEAR or (offset is not None and abs(offset) > 15 * 60):
        return None
    try:
        zone = timezone(timedelta(minutes=0 if is_utc else offset or 0))
        hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"])
        when = datetime(year, int(match["month"]), int(match["day"]), hour, minute, min(second, 59), tzinfo=zone)
    except ValueError:
        return None
    dst = int(match["dst"]) * 60 if match["dst"] else None
    return {"time": when.isoformat(), "utc_offset_minutes": offset, "dst_minutes": dst}


_UNSET: Reading = {"time": None, "utc_offset_minutes": None}


def read_clock(lines: Sequence[str], command: Command) -> Reading | None:
    """+CCLK: "yy/MM/dd,hh:mm:ss±zz": local time and zone."""
    if not lines:
        return None
    body = ",".join(unquote(part) for part in split(payload(lines[-1])))
    reading = stamp(body)
    return reading or (dict(_UNSET) if _STAMP.fullmatch(body) else None)


def read_qlts(lines: Sequence[str], command: Command) -> Reading | None:
    """=1 and the plain form give UTC, =2 local time; an empty string: never synchronised."""
    if not lines:
        return None
    fields = split(payload(lines[-1]))
    body = unquote(at(fields, 0) or "")
    if not body:
        return dict(_UNSET)
    reading = stamp(body, is_utc=not command.arguments.strip().startswith("2"))
    dst = number(at(fields, 1), 0, 2)
    if reading is not None and dst is not None and reading["dst_minutes"] is None:
        reading["dst_minutes"] = dst * 60
    return reading


def read_huawei_time(lines: Sequence[str], command: Command) -> Reading | None:
    """^NWTIME: local time with zone and DST hours; ^TIME: the module's own clock, without zone."""
    return stamp(unquote(payload(lines[-1]))) if lines else None


def read_zone(lines: Sequence[str], command: Command) -> Reading | None:
    """+CTZE: <zone>,<dst>[,<time>], +CTZEU likewise in UTC; +CTZV: <zone>[,<time>]: a zone alone is news too. Old Telit
    and Sierra write the time first: +CTZV: 26/11/22,07:00:00,+4.

    The time of +CTZE is local by 27.007 8.41, and UTC on Quectel EG25-G: it is left out, the zone is sure."""
    fields = [unquote(f) for f in split(payload(lines[-1]))] if lines else []
    pairs = ",".join(fields)
    found = _STAMP.search(pairs)
    rest = split(pairs[: found.start()] + pairs[found.end() :]) if found else fields
    quarters = next((value for f in rest if (value := number(f, -60, 60)) is not None), None)
    if found and found["zone"]:
        quarters = int(found["zone"])
    if quarters is None:
        return None
    utc = lines[-1].upper().startswith("+CTZEU")
    moment = pairs[found.start("year") : found.end("second")] if found else ""
    local_or_utc = lines[-1].upper().startswith("+CTZE:")
    reading = None if local_or_utc else stamp(f"{moment}{quarters:+03}", is_utc=utc)
    return {"time": reading["time"] if reading else None, "utc_offset_minutes": quarters * 15}


def read_network_clock(lines: Sequence[str], command: Command) -> Reading | None:
    """SIMCom *PSUTTZ: <year>,<month>,<day>,<hour>,<minute>,<second>,"<zone>",<dst>: UTC, with the zone beside it."""
    f = [unquote(part) for part in split(payload(lines[-1]))] if lines else []
    if len(f) < 7:
        return None
    body = "{}/{}/{},{}:{}:{}{:+03}".format(*(part.zfill(2) for part in f[:6]), number(f[6], -60, 60) or 0)
    return stamp(body, is_utc=True)


ROWS = (
    Row("+CCLK", (READ,), read_clock, "27.007 8.15", "time utc_offset_minutes dst_minutes", empty_ok=False),
    Row("+QLTS", (EXECUTE, SET, READ), read_qlts, "Quectel", "time utc_offset_minutes dst_minutes", empty_ok=False),
    Row("#CCLK", (READ,), read_clock, "Telit", "time utc_offset_minutes dst_minutes"),
    Row("^NWTIME", (READ, EXECUTE), read_huawei_time, "Huawei", "time utc_offset_minutes dst_minutes"),
    Row("^TIME", (READ, EXECUTE), read_huawei_time, "Huawei", "time"),
    Row("+CTZE", (READ,), read_zone, "27.007 8.41", "time utc_offset_minutes"),
    Row("+CTZEU", (READ,), read_zone, "27.007 8.41", "time utc_offset_minutes"),
    Row("+CTZV", (READ,), read_zone, "27.007 8.41", "time utc_offset_minutes"),
)
