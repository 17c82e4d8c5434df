"""A household at 10 November 2026, noon UTC, 1000 s after boot, on a trusted clock."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from agent.plan import Delta, Epoch, Ledger, Notice, Plan, Sample, Survey, decide, notices, observe, survey, usage
from tests.manual_clock import ManualClock

NOON = datetime(2026, 11, 10, 12, tzinfo=timezone.utc)


class Household:
    """A ledger with a clock and one interface whose counters the test turns."""

    def __init__(self, plan: Plan | None = None, clock: ManualClock | None = None) -> None:
        self.plan = plan or Plan()
        self.clock = clock or ManualClock(NOON, boot_s=1000.0)
        self.ledger = Ledger.new(self.plan, self.clock.now())
        self.ifindex, self.ifname = 3, "wwan0"
        self.received = self.sent = 0  # as the link counts, with a header a packet
        self.packets_received = self.packets_sent = self.header_bytes = 0
        self.deltas: list[Delta] = []

    def sample(self, **changes: object) -> Sample:
        now = self.clock.now()
        values: dict[str, object] = {
            "received_bytes": self.received,
            "sent_bytes": self.sent,
            "received_packets": self.packets_received,
            "sent_packets": self.packets_sent,
            "header_bytes": self.header_bytes,
            **changes,
        }
        epoch = Epoch(now.boot_id, self.ifindex, self.ifname)
        return Sample(epoch, now.boot_s, **values)  # type: ignore[arg-type]

    def look(self, **changes: object) -> Delta:
        """The beat of the daemon."""
        now, sample = self.clock.now(), self.sample(**changes)
        found = Survey(now.boot_id, now.boot_s, self.ifindex, (sample,))
        self.ledger, ((_, delta),) = survey(self.ledger, found, now, self.plan)
        self.deltas.append(delta)
        return delta

    def tell(self, **changes: object) -> None:
        """The kernel tells of the link."""
        self.ledger, _ = observe(self.ledger, self.sample(**changes), self.clock.now(), self.plan)

    def look_without(self) -> None:
        """The beat of a daemon that counts other links."""
        now = self.clock.now()
        self.ledger, _ = survey(self.ledger, Survey(now.boot_id, now.boot_s, self.ifindex, ()), now, self.plan)

    def notices(self) -> tuple[Notice, ...]:
        """What the household is told now."""
        now = self.clock.now()
        used = usage(self.ledger, self.plan)
        self.ledger, told = notices(self.ledger, decide(self.ledger, self.plan, now, used), used, self.plan, now)
        return told

    def use(self, received: int, sent: int = 0, seconds: float = 30.0) -> Delta:
        """Bytes pass over some seconds, then the interface is read."""
        self.clock.advance(seconds)
        self.received += received
        self.sent += sent
        return self.look()

    def carry(self, received_packets: int, sent_packets: int, ip_bytes: int) -> tuple[int, int]:
        """Whole packets pass; the IP bytes of them."""
        self.packets_received += received_packets
        self.packets_sent += sent_packets
        self.received += received_packets * (ip_bytes + self.header_bytes)
        self.sent += sent_packets * (ip_bytes + self.header_bytes)
        return received_packets * ip_bytes, sent_packets * ip_bytes

    def recreate(self) -> None:
        self.ifindex += 1
        self._zero()

    def _zero(self) -> None:
        self.received = self.sent = self.packets_received = self.packets_sent = 0

    def reboot(self, boot_id: str, off_s: float = 0.0, **how: object) -> None:
        self.clock.reboot(boot_id, wall=self.clock.wall + timedelta(seconds=off_s), **how)  # type: ignore[arg-type]
        self.ifindex = 3
        self._zero()


@pytest.fixture
def home() -> Household:
    household = Household()
    household.look()
    return household
