from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import PlanError
from agent.plan.zone import KNOWN_RULES, parse_posix, zone_offset

INSTANTS = st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1), timezones=st.just(timezone.utc))  # noqa: DTZ001  hypothesis wants naive bounds


@pytest.mark.parametrize(
    ("text", "when", "hours"),
    [
        ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29T00:59:59+00:00", 1),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29T01:00:00+00:00", 2),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25T00:59:59+00:00", 2),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25T01:00:00+00:00", 1),
        ("DEMO-9:35:20", "2026-11-22T00:00:00+00:00", 9 + 35 / 60 + 20 / 3600),
        ("<+0330>-3:30", "2026-06-01T00:00:00+00:00", 3.5),
        ("AEST-10AEDT,M10.1.0,M4.1.0/3", "2026-01-01T00:00:00+00:00", 11),  # summer spans the new year
        ("AEST-10AEDT,M10.1.0,M4.1.0/3", "2026-07-01T00:00:00+00:00", 10),
        ("EST5EDT", "2026-07-01T00:00:00+00:00", -4),  # no rule: that of the United States
        ("XXX0YYY,J60,J300", "2028-03-01T02:00:00+00:00", 1),  # J60 is 1 March in a leap year too
        ("XXX0YYY,J60,J300", "2028-02-29T12:00:00+00:00", 0),
        ("XXX0YYY,59,300", "2028-02-29T02:00:00+00:00", 1),  # day 59 counted from 0: 29 February
    ],
)
def test_posix_offsets(text: str, when: str, hours: float) -> None:
    assert parse_posix(text)(datetime.fromisoformat(when)) == timedelta(seconds=round(hours * 3600))


@pytest.mark.parametrize("name", sorted(set(KNOWN_RULES) - {"UTC"}))
@given(when=INSTANTS)
def test_kept_rules_agree_with_the_zone_files(name: str, when: datetime) -> None:
    assert parse_posix(KNOWN_RULES[name])(when) == when.astimezone(ZoneInfo(name)).utcoffset()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Europe/Atlantis",
        "../../etc/passwd",
        "/etc/localtime",
        "Europe",
        "CET-25",
        "CET-1CEST,M13.1.0,M1.1.0",
        "A" * 200,
        "CET-1CEST,J0,J1",
    ],
)
def test_nonsense_is_refused(name: str) -> None:
    with pytest.raises(PlanError):
        zone_offset(name)
