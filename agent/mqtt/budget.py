"""What reporting may cost a day, enforced by stretching the beat. Pure.

Events and answers to commands are never held back; the beat of measurements is what gives way. A beat is never
stretched beyond LONGEST_S, so that a device that has spent its budget is still seen four times a day.
"""

from __future__ import annotations

DAY_S = 86_400.0
LONGEST_S = 21_600.0
DEAREST_BEAT_BYTES = 1_500
UNASKED, SPARE = 0.2, 0.05


class Budget:
    """Counts bytes on the wire over days of boot time and says how long the beat must be to stay within the limit."""

    def __init__(self, limit_bytes: int, beat_s: float) -> None:
        self.limit_bytes, self.wanted_s = limit_bytes, beat_s
        self.today_bytes = 0
        self._day_began_s: float | None = None
        self._beat_bytes = (
            700.0  # what one beat costs: first a guess (facts of a 445-byte state over TLS), then measured
        )
        self._mark_bytes = 0

    def add(self, wire_bytes: int, boot_s: float) -> None:
        """Bytes that went over the wire since the last call."""
        self._roll(boot_s)
        self.today_bytes += wire_bytes

    def beat_done(self) -> None:
        """A measurement was reported: learn what a beat costs, with the pings between two beats."""
        cost = self.today_bytes - self._mark_bytes
        self._mark_bytes = self.today_bytes
        if cost > 0:  # a handshake or a long answer in between is no part of what the next beats will cost
            self._beat_bytes += (min(cost, DEAREST_BEAT_BYTES) - self._beat_bytes) / 8

    def beat_s(self, boot_s: float) -> float:
        """The beat that the rest of the day can afford, at least the one that is configured."""
        self._roll(boot_s)
        assert self._day_began_s is not None
        left_s = self._day_began_s + DAY_S - boot_s
        # Part of what is left is kept for what comes unasked: commands, events, a handshake after a cut.
        left_bytes = self.limit_bytes * (1 - SPARE - UNASKED * left_s / DAY_S) - self.today_bytes
        affordable = left_s * self._beat_bytes / left_bytes if left_bytes > 0 else LONGEST_S
        return max(self.wanted_s, min(affordable, LONGEST_S))

    def _roll(self, boot_s: float) -> None:
        if self._day_began_s is None:
            self._day_began_s = boot_s
        if boot_s - self._day_began_s >= DAY_S:
            self._day_began_s += (boot_s - self._day_began_s) // DAY_S * DAY_S
            self.today_bytes = self._mark_bytes = 0
