"""Times stand in the household's zone, whatever the router's own clock runs in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent.cli.times import ZONE, local, seconds_between


@pytest.fixture(autouse=True)
def own_zone() -> Iterator[None]:
    yield
    ZONE.reckon_by(lambda: "")


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("Europe/Brussels", "1 Dec 2026 00:00"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "1 Dec 2026 00:00"),
        ("UTC", "30 Nov 2026 23:00"),
        ("Atlantic/Azores", "30 Nov 2026 22:00"),
    ],
)
def test_the_end_of_a_period_reads_as_midnight(zone: str, shown: str) -> None:
    ZONE.reckon_by(lambda: zone)
    assert local("2026-11-30T23:00:00Z") == shown


def test_a_zone_that_means_nothing_is_the_devices_own() -> None:
    ZONE.reckon_by(lambda: "Nowhere/Land")
    assert local("2026-11-30T23:00:00Z") is not None
    assert local(None) is None


def test_seconds_between() -> None:
    assert seconds_between("2026-11-30T23:00:00Z", "2026-12-01T00:00:30+00:00") == 3630
    assert seconds_between(None, "2026-12-01T00:00:30Z") is None
