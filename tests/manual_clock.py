"""A clock that only moves when told."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from agent.plan.model import Moment, Trust


class ManualClock:
    """agent.clock.ClockLike, for tests and for simulated boots."""

    def __init__(
        self,
        wall: datetime = datetime(2026, 11, 10, 12, tzinfo=timezone.utc),
        *,
        boot_s: float = 100.0,
        boot_id: str = "boot-1",
        trust: Trust = Trust.SYNC,
    ) -> None:
        self.wall, self.boot_s, self.boot_id, self.trust = wall, boot_s, boot_id, trust

    def now(self) -> Moment:
        return Moment(self.wall, self.boot_s, self.boot_id, self.trust)

    def advance(self, seconds: float) -> Moment:
        self.wall += timedelta(seconds=seconds)
        self.boot_s += seconds
        return self.now()

    def set_wall(self, wall: datetime, trust: Trust | None = None) -> Moment:
        """A jump: boot time stays."""
        self.wall = wall
        self.trust = trust or self.trust
        return self.now()

    def set_trust(self, trust: Trust) -> Moment:
        self.trust = trust
        return self.now()

    def reboot(self, boot_id: str, *, wall: datetime | None = None, trust: Trust = Trust.UNSYNC) -> Moment:
        """Another boot: boot time begins again, and the wall clock is what the board believes."""
        self.boot_id, self.boot_s, self.trust = boot_id, 5.0, trust
        self.wall = wall or self.wall
        return self.now()

    def offer_network_time(self, wall: datetime, boot_s: float) -> bool:
        self.wall, self.trust = wall + timedelta(seconds=self.boot_s - boot_s), Trust.NITZ
        return True
