"""The vocabulary of the data plan: what the core is told, as frozen values.

Units stand in the names. 40 GB is 40 000 000 000 bytes, 512 kbit/s is 512 000 bit/s (both decimal).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum


class Trust(str, Enum):
    """How far the wall clock can be believed; the value is what reports call `clk`."""

    SYNC = "sync"  # disciplined by NTP (adjtimex without STA_UNSYNC)
    NITZ = "nitz"  # told by the cellular network
    STORED = "stored"  # not before the newest time ever stored, no more
    UNSYNC = "unsync"  # nothing known


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant as the agent sees it: wall clock for billing, boot time for intervals, never mixed."""

    wall: datetime  # aware, UTC: the best estimate there is
    boot_s: float  # CLOCK_BOOTTIME, seconds
    boot_id: str  # /proc/sys/kernel/random/boot_id
    trust: Trust

    @property
    def trusted(self) -> bool:
        """Whether a billing period may roll at this moment."""
        return self.trust in (Trust.SYNC, Trust.NITZ)


@dataclass(frozen=True, slots=True)
class Rates:
    """Wanted link rates in bit/s; None leaves the direction unshaped."""

    down_bps: int | None = None
    up_bps: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """From this share of the allowance on, the line runs at these rates."""

    at_percent: int = 100  # share of the allowance from which on these rates hold
    down_bps: int = 512_000  # what is received, bit/s
    up_bps: int = 512_000  # what is sent, bit/s

    @property
    def rates(self) -> Rates:
        return Rates(self.down_bps, self.up_bps)


# A card: a whole ICCID or IMSI (ITU-T E.118, TS 23.003 2.2), the beginning of one and a star, or a range.
SIM_RULE = r"[0-9]{5,20}\*|[0-9]{14,20}|[0-9]{14,20}-[0-9]{14,20}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What the household was promised. Section [plan] of the configuration."""

    allowance_bytes: int = 40_000_000_000  # what a period holds at full speed
    billing_day: int = 1  # 29 to 31 clamp to the last day of a shorter month
    timezone: str = "Europe/Brussels"  # IANA name or POSIX TZ string
    contract_start: date | None = None  # first day of the contract
    contract_end: date | None = None  # its last day; the plan goes on after it, and says so
    warn_percent: tuple[int, ...] = (80, 95)  # shares of the allowance at which a warning is given
    steps: tuple[Step, ...] = field(default_factory=lambda: (Step(),))
    full_down_bps: int | None = None  # the plan's full speed; None: not shaped
    full_up_bps: int | None = None  # the same for what is sent
    count: str = "ip"  # ip: link bytes less the link header; link: as the kernel counts
    charge: str = "sum"  # sum, received or sent: which direction uses up the allowance
    charge_management: bool = False  # whether the agent's own traffic is charged to the household
    sim: tuple[str, ...] = ()  # the contract's cards: ICCID or IMSI, 893201*, or LOW-HIGH; empty: whichever is there
    max_bps: int = 150_000_000  # what the radio can do at best: bounds a believable jump, paces the sampling
    local_topup: bool = False  # whether a technician may top up on the device

    @property
    def full(self) -> Rates:
        return Rates(self.full_down_bps, self.full_up_bps)
