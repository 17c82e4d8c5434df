"""A household at 10 November 2026, noon UTC, 1000 s after boot, on a trusted clock."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from agent.clock import ManualClock
from agent.plan import Delta, Epoch, Ledger, Plan, Sample, observe

NOON = datetime(2026, 11, 10, 12, tzinfo=timezone.utc)


class Household:
    """A ledger with a clock and one interface whose counters the test turns."""

    def __init__(self, plan: Plan | None = None, clock: ManualClock | None = None) -> None:
        self.plan = plan or Plan()
        self.clock = clock or ManualClock(NOON, boot_s=1000.0)
        self.ledger = Ledger.new(self.plan, self.clock.now())
        self.ifindex, self.ifname = 3, "wwan0"
        self.received = self.sent = 0
        self.deltas: list[Delta] = []

    def sample(self, **changes: object) -> Sample:
        now = self.clock.now()
        values: dict[str, object] = {"received_bytes": self.received, "sent_bytes": self.sent, **changes}
        epoch = Epoch(now.boot_id, self.ifindex, self.ifname)
        return Sample(epoch, now.boot_s, **values)  # type: ignore[arg-type]

    def look(self, **changes: object) -> Delta:
        self.ledger, delta = observe(self.ledger, self.sample(**changes), self.clock.now(), self.plan)
        self.deltas.append(delta)
        return delta

    def use(self, received: int, sent: int = 0, seconds: float = 30.0) -> Delta:
        """Bytes pass over some seconds, then the interface is read."""
        self.clock.advance(seconds)
        self.received += received
        self.sent += sent
        return self.look()

    def recreate(self) -> None:
        self.ifindex += 1
        self.received = self.sent = 0

    def reboot(self, boot_id: str, off_s: float = 0.0, **how: object) -> None:
        self.clock.reboot(boot_id, wall=self.clock.wall + timedelta(seconds=off_s), **how)  # type: ignore[arg-type]
        self.ifindex, self.received, self.sent = 3, 0, 0


@pytest.fixture
def home() -> Household:
    household = Household()
    household.look()
    return household
