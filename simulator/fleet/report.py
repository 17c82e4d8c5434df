"""What a fleet's run came to, as numbers and as a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


def percentile(values: list[float], share: float) -> float:
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass
class Report:
    devices: int = 0
    processes: int = 1
    connected: int = 0
    connect_s: float = 0.0  # from the first start until all were connected
    messages: int = 0
    missing_reports: int = 0  # of those that the broker acknowledged, that the back office did not hear
    broker_dropped: int | None = None  # what the broker says it threw away; None: it does not say
    repeated_reports: int = 0
    puback_ms: dict[str, float] = field(default_factory=dict)
    storm_s: dict[str, float] = field(default_factory=dict)  # share of devices -> seconds until so many were back
    storm_peak_per_s: int = 0
    tasks_ended: int = 0  # sessions and reporters that ended by an exception: a bug each
    first_end: str = ""
    gap_devices: int = 0
    commands: int = 0
    commands_doubled: int = 0  # how many of them were sent twice
    commands_answered: int = 0
    done_twice: int = 0
    birth_bytes: float = 0.0  # on the wire, a device: connect, presence, twins, first measurements
    beat_bytes: float = 0.0  # on the wire, a device and beat; the agent's own rhythm has 96 beats a day
    broker_cpu_s: float = 0.0
    fleet_cpu_s: float = 0.0  # all processes of the devices
    desk_cpu_s: float = 0.0
    memory_mb: float = 0.0

    @property
    def lost_reports(self) -> int:
        """Missing ones that the broker does not account for."""
        return max(0, self.missing_reports - (self.broker_dropped or 0))

    @property
    def good(self) -> bool:
        """Whether the devices did all that they should. What the broker threw away is not theirs."""
        return self.connected == self.devices and not (self.lost_reports or self.done_twice or self.tasks_ended)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "lost_reports": self.lost_reports}

    def lines(self) -> list[str]:
        latency = ", ".join(f"{name} {value:.1f} ms" for name, value in self.puback_ms.items())
        storm = ", ".join(f"{share} back after {seconds:.1f} s" for share, seconds in self.storm_s.items())
        return [
            f"connections   {self.connected} of {self.devices}, all within {self.connect_s:.1f} s",
            f"messages      {self.messages}; {self.missing_reports} missing, {self.repeated_reports} repeated",
            *self._loss(),
            f"PUBACK        {latency}",
            f"gaps          {self.gap_devices} devices cut off and back",
            *([f"ENDED         {self.tasks_ended} tasks, the first by {self.first_end}"] if self.tasks_ended else []),
            f"storm         {storm}; at most {self.storm_peak_per_s} reconnects in a second",
            f"commands      {self.commands_answered} of {self.commands} answered, {self.commands_doubled} sent twice, "
            f"{self.done_twice} done twice",
            f"bytes         a device: {self.birth_bytes:.0f} to be born, {self.beat_bytes:.0f} a beat, "
            f"so {(self.birth_bytes + 96 * self.beat_bytes) / 1000:.0f} kB a day of 96 beats",
            f"processor     broker {self.broker_cpu_s:.1f} s, back office {self.desk_cpu_s:.1f} s, "
            f"devices {self.fleet_cpu_s:.1f} s in {self.processes} processes",
            f"memory        {self.memory_mb:.0f} MB, {self.memory_mb * 1000 / max(1, self.devices):.0f} kB a device",
        ]

    def _loss(self) -> list[str]:
        """Whose loss the missing reports are."""
        if not self.missing_reports:
            return []
        if self.broker_dropped is None:
            return ["              whose loss that is is not known: the broker has no $SYS counters"]
        return [
            f"BROKER        dropped {self.broker_dropped} for the slow back office (its $SYS counter), so "
            f"{self.missing_reports - self.lost_reports} of the missing are its loss and {self.lost_reports} not; "
            "set max_queued_messages 0 and max_inflight_messages 1000"
        ]
