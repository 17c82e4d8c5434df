"""How many commands a minute somebody may send, each sender by itself. Pure."""

from __future__ import annotations


class Rate:
    """So many commands a minute, a bucket that refills."""

    def __init__(self, per_minute: int) -> None:
        self._size, self._left, self._at_s = float(per_minute), float(per_minute), 0.0

    def take(self, now_s: float) -> float:
        """Tokens left after this command; below 0 it is one too many, below -size not even an answer is due."""
        self._left = min(self._size, self._left + max(0.0, now_s - self._at_s) * self._size / 60)
        self._at_s = now_s
        self._left = max(self._left - 1, -2 * self._size)
        return self._left

    @property
    def silent(self) -> bool:
        """Whether the last command was so many too many that no answer is due."""
        return self._left < -self._size


class Rates:
    """One for each issuer with a key, and for what comes without. `per_minute` counts at the first command."""

    def __init__(self) -> None:
        self._by_sender: dict[str, Rate] = {}

    def takes(self, sender: str, per_minute: int, now_s: float) -> bool:
        """Whether one more command of this sender may be done."""
        return self._by_sender.setdefault(sender, Rate(per_minute)).take(now_s) >= 0

    def silent(self, sender: str) -> bool:
        """Whether there were far too many: not even a refusal is due."""
        return self._by_sender[sender].silent
