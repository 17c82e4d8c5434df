"""Which counters of one issuer were used: the highest ones by themselves, all below them by a floor. Pure.

Two desks that share a key do not agree about the time to the millisecond, so a counter need not be above the last one:
it must not have been used, and be above the floor. RFC 4303, 3.4.3, does the same with a window of 32 or 64 packets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SIZE = 64


@dataclass(frozen=True, slots=True)
class CounterWindow:
    floor: int = -1  # this and all below it count as used
    used: tuple[int, ...] = ()  # above the floor, rising, at most SIZE

    def fresh(self, counter: int) -> bool:
        """Whether this counter was never used, as far as can be known."""
        return counter > self.floor and counter not in self.used

    def with_used(self, *counters: int) -> CounterWindow:
        """The window once these are used too."""
        used = sorted({*self.used, *(counter for counter in counters if counter > self.floor)})
        gone, kept = used[:-SIZE], used[-SIZE:]
        return CounterWindow(gone[-1] if gone else self.floor, tuple(kept))

    def joined(self, other: CounterWindow) -> CounterWindow:
        """What either of the two has used counts as used."""
        higher, lower = (self, other) if self.floor >= other.floor else (other, self)
        return higher.with_used(*lower.used)

    def to_list(self) -> list[int]:
        return [self.floor, *self.used]

    @classmethod
    def from_list(cls, numbers: Sequence[int]) -> CounterWindow:
        """What `to_list` made. Raises ValueError."""
        floor, *used = (int(number) for number in numbers)
        return cls(floor).with_used(*used)
