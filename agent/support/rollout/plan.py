"""Who is asked next, and when it stops. Pure: answers and times in, devices to ask out.

Devices come in the order of a hash of device and release: the same at each run, and another for each release, so that
not always the same homes are the first.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

WAITING, ASKED, GOOD, FAILED = "waiting", "asked", "good", "failed"
REFUSED = "refused"  # the device did nothing: its line is slow now, or its disk full. Nothing against the version
AT_ONCE = 0.01  # of a ring, under way at a time: so many more are touched at most when it is found to be bad

ANSWERS = {"succeeded": GOOD, "rejected": REFUSED, "expired": REFUSED}  # any other final state is a failure


def order(devices: Iterable[str], release: str) -> list[str]:
    return sorted(devices, key=lambda device: hashlib.sha256(f"{release}\n{device}".encode()).digest())


@dataclass(slots=True)
class Turn:
    """One device's part: the command's id, when it was asked (seconds since 1970), what came of it."""

    state: str = WAITING
    id: str = ""
    asked_s: float = 0.0
    reason: str = ""


@dataclass(slots=True)
class Rollout:
    """The whole of it, as its file keeps it. `done_s`: when the last device of a finished ring answered."""

    version: str
    rings: list[float]  # shares of the fleet, rising
    turns: dict[str, Turn]  # in their order
    args: dict[str, object] = field(default_factory=dict)  # of agent.update
    ring: int = 0
    done_s: float | None = None

    @classmethod
    def begin(cls, devices: Iterable[str], version: str, rings: Sequence[float], args: Mapping[str, object]) -> Rollout:
        return cls(version, list(rings), {name: Turn() for name in order(devices, version)}, dict(args))

    def members(self, ring: int) -> list[str]:
        """Those of one ring, without the earlier ones'."""
        edges = [0, *(max(1, math.ceil(share * len(self.turns))) for share in self.rings)]
        return list(self.turns)[edges[ring] : edges[ring + 1]]

    def counts(self, names: Iterable[str] | None = None) -> Counter[str]:
        return Counter(self.turns[name].state for name in (self.turns if names is None else names))

    @property
    def finished(self) -> bool:
        return self.ring >= len(self.rings)

    def too_many(self, stop_at: float) -> bool:
        """Whether the failures are that share of all that were touched. One of the first fifty is, at 2 %."""
        counts = self.counts()
        touched = counts[ASKED] + counts[GOOD] + counts[FAILED]
        return counts[FAILED] > 0 and counts[FAILED] >= stop_at * touched

    def due(self, online: Iterable[str]) -> list[str]:
        """Whom to ask now: of this ring or away in an earlier one, online, and no more than may be under way."""
        room = max(1, int(AT_ONCE * len(self.members(self.ring)))) - self.counts()[ASKED]
        reached = [name for ring in range(self.ring + 1) for name in self.members(ring)]
        there = set(online)
        return [name for name in reached if self.turns[name].state == WAITING and name in there][: max(0, room)]

    def answered(self, device: str, id: str, state: str, reason: str, now_s: float) -> bool:
        """A final answer; False for one that is not awaited."""
        turn = self.turns.get(device)
        if turn is None or turn.id != id or turn.state != ASKED:
            return False
        turn.state = ANSWERS.get(state, FAILED)
        turn.reason = "" if turn.state == GOOD else f"{state}: {reason}"
        return True

    def runs_already(self, versions: Mapping[str, str]) -> None:
        """Devices that say they run it need not be asked; those that refused are asked anew."""
        for name, turn in self.turns.items():
            if turn.state in (WAITING, REFUSED):
                turn.state = GOOD if versions.get(name) == self.version else WAITING

    def overdue(self, now_s: float, patience_s: float) -> list[str]:
        """Those whose answer is missing: an agent that never came back says nothing."""
        late = [n for n, turn in self.turns.items() if turn.state == ASKED and now_s - turn.asked_s > patience_s]
        for name in late:
            self.turns[name].state, self.turns[name].reason = FAILED, f"no answer within {patience_s:g} s"
        return late

    def gone(self, lost: Iterable[str]) -> None:
        """Devices that were good and are cut off at the end of the soak: as bad as those that never came back."""
        for name in set(lost) & set(self.members(self.ring)):
            turn = self.turns[name]
            if turn.state == GOOD:
                turn.state, turn.reason = FAILED, "lost after the update"

    def advance(self, away: Iterable[str], now_s: float, soak_s: float, lost: Iterable[str]) -> bool:
        """Begin the next ring, if all of this one that are there have answered and the soak is over."""
        missing = set(away)
        open_turns = [n for n in self.members(self.ring) if self.turns[n].state in (WAITING, ASKED)]
        if any(self.turns[n].state == ASKED or n not in missing for n in open_turns):
            self.done_s = None
            return False
        if self.done_s is None:
            self.done_s = now_s
        if now_s - self.done_s < soak_s and self.ring + 1 < len(self.rings):
            return False
        self.gone(lost)
        self.ring, self.done_s = self.ring + 1, None
        return True
