"""How long to wait before something that failed is tried again: pauses that double. Pure, and the only one of its kind.

Where chance has a part (a broker that twelve thousand devices come back to), it is added by who calls.
"""

from __future__ import annotations

from math import inf

DOUBLINGS = 30  # beyond any limit in use: the power stays a number that is quickly made


def doubled_s(first_s: float, longest_s: float, times: int) -> float:
    """The pause after so many failures beyond the first."""
    return min(first_s * 2.0 ** min(times, DOUBLINGS), longest_s)


class Backoff:
    """Pauses that double from `first_s` to `longest_s`; `reset` once things go well again."""

    def __init__(self, first_s: float, longest_s: float = inf) -> None:
        self._first_s, self._longest_s = first_s, longest_s
        self.attempts = 0  # failures since all was well

    @property
    def pause_s(self) -> float:
        """The next pause."""
        return doubled_s(self._first_s, self._longest_s, self.attempts)

    def next_s(self) -> float:
        """The next pause, which is taken."""
        pause_s = self.pause_s
        self.attempts += 1
        return pause_s

    def reset(self) -> None:
        self.attempts = 0
