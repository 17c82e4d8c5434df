"""Wall clock, boot time, boot id, and how far the wall clock can be trusted.

Called by the daemon. These boards have no battery: after boot the system's clock is the time of the last write to
flash, until NTP or the cellular network tells better. Trust, once won, is carried forward by CLOCK_BOOTTIME: a clock
that is set wrong later on the same boot is not followed.
"""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Protocol

from agent.config import ClockSettings
from agent.plan.model import Moment, Trust

# Nothing before the first release or long after a modem's life is a time (1970, 1980, 2004: modules without network;
# 2080 and 2106: two-digit years and 32-bit clocks).
EARLIEST = datetime(2026, 1, 1, tzinfo=timezone.utc)
LATEST = EARLIEST + timedelta(days=15 * 365)
AGREEMENT_S = 120.0
STA_UNSYNC = 0x0040
TIME_ERROR = 5


class ClockLike(Protocol):
    def now(self) -> Moment: ...


class _Timex(ctypes.Structure):
    """The head of struct timex (adjtimex(2)), the same on every libc; the rest is room for the kernel."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


@cache
def _libc() -> ctypes.CDLL:
    """Opened once: each opening makes a class of its functions, a tenth of what an idle agent costs."""
    return ctypes.CDLL(None, use_errno=True)


def disciplined() -> bool:
    """Whether the kernel says that its clock is held by NTP (reads only, needs no privilege)."""
    timex = _Timex()
    try:
        result = _libc().adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):  # a libc without it
        return False
    return result not in (-1, TIME_ERROR) and not timex.status & STA_UNSYNC


def boot_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def believable(wall: datetime) -> bool:
    return EARLIEST <= wall <= LATEST


@dataclass(frozen=True, slots=True)
class _Known:
    """A time that was believed, and the boot time it belongs to."""

    wall: datetime
    boot_s: float
    trust: Trust

    def at(self, now_s: float) -> datetime:
        return self.wall + timedelta(seconds=now_s - self.boot_s)


class System:
    """The real system's clocks. A stand-in with the same four methods serves tests and simulated boots."""

    def wall(self) -> datetime:
        return datetime.now(timezone.utc)

    def boot_s(self) -> float:
        return boot_s()

    def boot_id(self) -> str:
        return boot_id()

    def disciplined(self) -> bool:
        return disciplined()


class Clock:
    """Gives the Moment; settings say which source may be believed, `floor` is the newest time ever stored."""

    def __init__(self, settings: ClockSettings, *, floor: datetime | None, system: System | None = None) -> None:
        self._source = settings.source
        self._floor = floor
        self._system = system or System()
        self._boot_id = self._system.boot_id()
        self._known: _Known | None = None
        self.why_untrusted = "no source of time yet"

    def now(self) -> Moment:
        wall, now_s = self._system.wall(), self._system.boot_s()
        if self._believes_system() and believable(wall):
            self._known = _Known(wall, now_s, Trust.SYNC)
        known = self._known
        if known is None:
            return self._untrusted(wall, now_s)
        carried = known.at(now_s)
        best = wall if abs((wall - carried).total_seconds()) <= AGREEMENT_S else carried
        return self._moment(best, now_s, known.trust)

    def offer_network_time(self, wall: datetime, boot_s: float) -> bool:
        """The cellular network's time, as read at `boot_s`. False: not believed, or not wanted."""
        if self._source not in ("auto", "modem"):
            return False
        if not believable(wall):
            self.why_untrusted = f"the network says {wall:%Y-%m-%d}"
            return False
        disciplined_once = self._known is not None and self._known.trust is Trust.SYNC
        if disciplined_once and self._source == "auto":
            return False  # NTP within this boot, carried on by boot time, is better than whole seconds from the network
        self._known = _Known(wall, boot_s, Trust.NITZ)
        return True

    def _believes_system(self) -> bool:
        if self._source == "system":
            return True
        return self._source in ("auto", "ntp") and self._system.disciplined()

    def _untrusted(self, wall: datetime, now_s: float) -> Moment:
        if self._floor is None:
            return self._moment(wall, now_s, Trust.UNSYNC)
        return self._moment(max(wall, self._floor) if believable(wall) else self._floor, now_s, Trust.STORED)

    def _moment(self, wall: datetime, now_s: float, trust: Trust) -> Moment:
        return Moment(wall, now_s, self._boot_id, trust)
