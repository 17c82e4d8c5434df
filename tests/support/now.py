"""The time at which the tests of this folder look at a fleet."""

from datetime import datetime, timezone

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=timezone.utc)
