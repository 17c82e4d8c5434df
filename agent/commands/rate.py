"""How many commands a minute somebody may send. Pure."""

from __future__ import annotations


class Rate:
    """So many commands a minute, a bucket that refills."""

    def __init__(self, per_minute: int) -> None:
        self._size, self.left, self._at_s = float(per_minute), float(per_minute), 0.0

    def take(self, now_s: float) -> float:
        """Tokens left after this command; below 0 it is one too many, below -size not even an answer is due."""
        self.left = min(self._size, self.left + max(0.0, now_s - self._at_s) * self._size / 60)
        self._at_s = now_s
        self.left = max(self.left - 1, -2 * self._size)
        return self.left

    @property
    def silent_below(self) -> float:
        return -self._size
