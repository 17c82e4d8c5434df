"""A household in a scenario: what it asks of the line, what goes through, and what the agent's real plan makes of it.

The link appears and goes with the module, with a new interface index each time, as in the kernel.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime, timedelta, timezone
from typing import Any

from agent.household.metered import dhcp_options, element
from agent.modem import Reading
from agent.plan import (
    Decision,
    Epoch,
    Ledger,
    Moment,
    Plan,
    Sample,
    TopUp,
    Trust,
    decide,
    observe,
    settle,
    top_up,
    usage,
)
from simulator.errors import SimulatorError
from simulator.modem import SimModem
from simulator.scenarios.devices import Announcement, Updates

_BOOT_ID = "5a1f0b52-0000-4000-8000-000000000001"
_RADIO_BPS = 60_000_000.0


def plan_of(table: dict[str, Any]) -> Plan:
    known = {f.name for f in fields(Plan)}
    for name in table:
        if name not in known:
            raise SimulatorError(f"plan: no key {name!r}; there are: {', '.join(sorted(known))}")
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in table.items()}
    return Plan(**values)


class Household:
    """Traffic, the device's clock and the ledger of one device."""

    def __init__(self, modem: SimModem, plan: Plan, device_clock: datetime, metered: str = "auto") -> None:
        self.modem, self.plan, self.metered = modem, plan, metered
        self.updates = Updates()
        self.down_bps = self.up_bps = 0.0
        self.carried_bytes = 0  # the truth, to hold the ledger against
        self.slow_s = 0.0
        self._device_at = (modem.now, device_clock)
        self._network_at: tuple[float, datetime] | None = None
        self._ifindex = 3
        self._link = [0.0, 0.0]
        self._sampled_s = modem.now
        self._present = modem.state.power.state != "gone"
        self.ledger = Ledger.new(plan, self.moment())
        self.decision: Decision = decide(self.ledger, plan, self.moment())
        modem.on_presence.append(self._presence)
        self._observe(final=False)

    # -- time ------------------------------------------------------------------------------------------------------

    def moment(self) -> Moment:
        """What the agent believes the time is: the network's as soon as it was told, else the device's clock."""
        now = self.modem.now
        at, wall = self._network_at or self._device_at
        trust = Trust.NITZ if self._network_at else Trust.UNSYNC
        return Moment(wall + timedelta(seconds=now - at), now, _BOOT_ID, trust)

    def set_device_clock(self, wall: datetime) -> None:
        self._device_at = (self.modem.now, wall)

    def learn_time(self, reading: Reading | None) -> None:
        if reading is not None and reading.network_time is not None and reading.network_time_boot_s is not None:
            self._network_at = (reading.network_time_boot_s, reading.network_time.astimezone(timezone.utc))

    # -- traffic ---------------------------------------------------------------------------------------------------

    def pass_time(self) -> None:
        """Carry what was asked for since the last call, and count it."""
        now = self.modem.now
        elapsed, self._sampled_s = now - self._sampled_s, now
        self.slow_s += elapsed if self.decision.state == "throttled" else 0.0
        if self.modem.data_flows and self._present:
            limits = self.decision.rates
            received = self._received(elapsed, self._carried(_RADIO_BPS, limits.down_bps) * elapsed / 8)
            sent = self._carried(self.up_bps, limits.up_bps) * elapsed / 8
            self._link[0] += received
            self._link[1] += sent
            self.carried_bytes += int(received) + int(sent)
            self.modem.carry(int(received), int(sent))
        if self._present:
            self._observe(final=False)
        else:
            self.ledger = settle(self.ledger, self.moment(), self.plan)
        self.decision = decide(self.ledger, self.plan, self.moment())

    def announcement(self) -> Announcement:
        """What the agent has the router say to the devices: `household.metered`, the state of the plan."""
        dhcp = {option.number: option.value.encode() for option in dhcp_options(self.metered, "")}
        return Announcement(dhcp, element(self.decision.state) if self.metered != "off" else b"")

    def _received(self, elapsed_s: float, most: float) -> float:
        """Bytes that came in this time: people and updates get of the line in proportion to what they ask."""
        updates = self.updates.wanted(self.announcement(), elapsed_s)
        wanted = self.down_bps * elapsed_s / 8 + sum(updates.values())
        through = min(1.0, most / wanted) if wanted else 0.0
        for kind, amount in updates.items():
            self.updates.arrived(kind, amount * through)
        return wanted * through

    def _carried(self, wanted_bps: float, shaped_bps: int | None) -> float:
        operator_bps = self.modem.state.network.data_bps or _RADIO_BPS
        return min(wanted_bps, shaped_bps or _RADIO_BPS, operator_bps)

    @property
    def choked(self) -> bool:
        """More is asked for than a slowed line lets through: even a ping waits for seconds."""
        limit = self.decision.rates.down_bps or self.modem.state.network.data_bps
        return bool(limit) and self.down_bps > limit

    def _observe(self, *, final: bool) -> None:
        received, sent = int(self._link[0]), int(self._link[1])
        sample = Sample(
            epoch=Epoch(_BOOT_ID, self._ifindex, "wwan0"),
            boot_s=self.modem.now,
            received_bytes=received,
            sent_bytes=sent,
            received_packets=received // 1_400,
            sent_packets=sent // 1_400,
            final=final,
        )
        self.ledger, _ = observe(self.ledger, sample, self.moment(), self.plan)

    def _presence(self, present: bool) -> None:
        """The link goes with the module; the kernel's last word about it carries its final counters."""
        if self._present and not present:
            self._observe(final=True)
        elif present and not self._present:
            self._ifindex += 1
            self._link = [0.0, 0.0]
        self._present = present

    # -- the plan ----------------------------------------------------------------------------------------------------

    def top_up(self, gigabytes: float) -> None:
        moment = self.moment()
        name = f"scenario-{len(self.ledger.topup_ids)}"
        granted = TopUp(name, int(gigabytes * 1e9), expires=None, by="scenario", granted=moment.wall)
        self.ledger = top_up(self.ledger, granted, self.plan)
        self.decision = decide(self.ledger, self.plan, moment)

    def facts(self) -> dict[str, Any]:
        """What `expect` may ask of the plan."""
        used, moment = usage(self.ledger, self.plan), self.moment()
        return {
            "state": self.decision.state,
            "down_bps": self.decision.rates.down_bps,
            "used_gb": used.charged_bytes / 1e9,
            "remaining_gb": used.remaining_bytes / 1e9,
            "percent": used.percent,
            "period": self.ledger.period.label,
            "clock": moment.wall.isoformat(timespec="seconds"),
            "trust": moment.trust.value,
            "slow_hours": self.slow_s / 3600,
            "updates_gb": self.updates.fetched_bytes / 1e9,
            "updates_waiting_gb": self.updates.waiting_bytes / 1e9,
            "miscounted_bytes": abs(self.ledger.total_received_bytes + self.ledger.total_sent_bytes + self._pending())
            - self.carried_bytes,
        }

    def _pending(self) -> int:
        return sum(span.received_bytes + span.sent_bytes for span in self.ledger.pending)
