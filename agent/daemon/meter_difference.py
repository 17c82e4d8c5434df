"""The alarm for two meters that stay apart, with the physical cause that can be seen from here: reception.

The core counts what leaves its gateway, whether it arrives or not: up to 28 % more in bad reception (Peng, Tu, Li, Lu,
MobiCom 2012 and after it). Wired by the daemon, which hands in each reading of the module.
"""

from __future__ import annotations

from collections import deque

from agent import quality
from agent.plan import Ledger, Moment, meters_apart
from agent.status import operator_count_dict

ALARM = "meter-difference"
EVERY_S, KEPT = 900.0, 4 * 24  # a day of reception
WEAK = ("weak", "bad")


class MeterDifference:
    """Remembers how the module heard the network of late."""

    def __init__(self) -> None:
        self._rsrp: deque[float] = deque(maxlen=KEPT)
        self._noted_s = -EVERY_S

    def note(self, rsrp_dbm: float | None, moment: Moment) -> None:
        if rsrp_dbm is not None and moment.boot_s - self._noted_s >= EVERY_S:
            self._noted_s = moment.boot_s
            self._rsrp.append(rsrp_dbm)

    def details(self, ledger: Ledger) -> dict[str, object] | None:
        """The alarm's fields; None while the meters agree."""
        count = operator_count_dict(meters_apart(ledger))
        return None if count is None else {"reason": self._reason(), **count}

    def _reason(self) -> str:
        if not self._rsrp:
            return "reception is not known"
        median = sorted(self._rsrp)[len(self._rsrp) // 2]
        heard = f"median RSRP of the last day {median:.0f} dBm, {quality.word('rsrp_dbm', median)}"
        if quality.word("rsrp_dbm", median) in WEAK:
            return f"bad reception: the network counts what does not arrive; {heard}"
        return f"not reception: {heard}"
