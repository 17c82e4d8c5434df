"""What the limits by day and by month have counted, as the text that the store keeps. Pure.

A count begins anew with the day or month of a trusted clock (UTC), which a restart and a clock that lost its time do
not. On a device that never knows the time it does so after as long of one boot.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from agent.plan.model import Moment


@dataclass(frozen=True, slots=True)
class Span:
    name: str
    label: str  # strftime
    seconds: float


DAY = Span("day", "%Y-%m-%d", 86_400.0)
MONTH = Span("month", "%Y-%m", 31 * 86_400.0)


@dataclass(frozen=True, slots=True)
class Tally:
    used: int
    label: str
    boot: str
    began_s: float  # of that boot

    def over(self, moment: Moment, span: Span) -> bool:
        """Whether its day or month has passed."""
        if moment.trusted:
            return moment.wall.strftime(span.label) != self.label
        return moment.boot_id == self.boot and moment.boot_s - self.began_s >= span.seconds


def used(text: str, name: str, span: Span, moment: Moment) -> int:
    """What was counted under this name in the present day or month."""
    tally = _read(text).get(name)
    return 0 if tally is None or tally.over(moment, span) else tally.used


def added(text: str, name: str, amount: int, span: Span, moment: Moment) -> str:
    """The text once so much more is counted."""
    tallies = _read(text)
    tally = tallies.get(name)
    if tally is None or tally.over(moment, span):
        tally = Tally(0, moment.wall.strftime(span.label), moment.boot_id, moment.boot_s)
    tallies[name] = Tally(max(0, tally.used + amount), tally.label, tally.boot, tally.began_s)
    rows = {name: (t.used, t.label, t.boot, t.began_s) for name, t in tallies.items()}
    return json.dumps(rows, separators=(",", ":"))


def _read(text: str) -> dict[str, Tally]:
    """Nothing counted yet where the text is none of ours."""
    try:
        found = json.loads(text or "{}")
        rows: Mapping[str, tuple[int, str, str, float]] = found if isinstance(found, dict) else {}
        return {name: Tally(int(n), str(label), str(boot), float(s)) for name, (n, label, boot, s) in rows.items()}
    except (ValueError, TypeError):
        return {}
