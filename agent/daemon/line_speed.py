"""Whether the line is faster than `plan.max_bps` says, which paces the readings: in the log, the faults, and an alarm.

Fed by the accounting with every reading; app.py makes an alarm of what it emits.
"""

from __future__ import annotations

import logging
from collections import Counter

from agent.events import Emit, SpeedJudged, unheard
from agent.plan import Delta, Plan, Sample
from agent.plan.counters import BELIEVABLE_FACTOR

log = logging.getLogger(__name__)

ALARM = "line-speed"
REASON = "the line carries more than plan.max_bps allows"
WINDOW_S = 5.0  # a rate is measured over so long at the least
QUIET_S = 3600.0  # so long after the last such rate the alarm is over


class LineSpeed:
    """The rate at which bytes are counted, and what of them was refused since the start."""

    def __init__(self, plan: Plan, faults: Counter[str], emit: Emit = unheard) -> None:
        self._limit_bps, self._faults, self._emit = BELIEVABLE_FACTOR * plan.max_bps, faults, emit
        self._window: tuple[int, float] | None = None  # total and boot time at its beginning
        self._last_s: float | None = None  # of the alarm that is raised

    def note(self, sample: Sample, delta: Delta) -> None:
        """What was made of one reading."""
        ifname, refused = sample.epoch.ifname, delta.refused_bytes
        if refused:
            self._faults["counter.refused_bytes"] += refused
        if refused > 0:
            self._faults["counter.refused"] += 1
            log.error("%s: jump of %d bytes refused: no line as plan.max_bps says carries that", ifname, refused)
        elif refused < 0:
            log.warning("%s: %d bytes of the jump are counted: it was no glitch", ifname, -refused)

    def measure(self, total_bytes: int, boot_s: float) -> None:
        """All that was counted so far; what was there at the first call is of another time."""
        if self._window is None:
            self._window = total_bytes, boot_s
        begun_bytes, begun_s = self._window
        if boot_s - begun_s < WINDOW_S:
            return
        self._window = total_bytes, boot_s
        bps = int((total_bytes - begun_bytes) * 8 / (boot_s - begun_s))
        if bps > self._limit_bps:
            raised, self._last_s = self._last_s is not None, boot_s
            if not raised:
                log.warning("%s: %d bit/s", REASON, bps)
                refused_bytes = self._faults["counter.refused_bytes"]
                self._emit(SpeedJudged({"reason": REASON, "bps": bps, "refused_bytes": refused_bytes}))
        elif self._last_s is not None and boot_s - self._last_s > QUIET_S:
            self._last_s = None
            self._emit(SpeedJudged(None))
