"""A household with an operator who counts too."""

from __future__ import annotations

from datetime import datetime

from agent.plan import (
    HourBytes,
    OperatorCount,
    Plan,
    TopUp,
    closed_hours,
    committed,
    measured,
    reconcile,
    settle,
    top_up,
)
from agent.plan.ledger import charged_bytes, own_charged_bytes
from tests.plan.conftest import Household

GB = 1_000_000_000
MONTH = "2026-11-01"


class Metered(Household):
    """A household with the history that a store would keep, and an operator who counts."""

    def __init__(self, plan: Plan | None = None) -> None:
        super().__init__(plan)
        self.history: list[HourBytes] = []
        self.look()

    def save(self) -> None:
        """A commit: closed hours go to the history."""
        self.history += closed_hours(self.ledger)
        self.ledger = committed(self.ledger, self.ledger)

    def reconcile(self, used_bytes: int, as_of: datetime, *, period: str = MONTH, **more: object) -> None:
        values: dict[str, object] = {"source": "pcrf", "follow": True, "unlimited": True, **more}
        count = OperatorCount(used_bytes=used_bytes, as_of=as_of, period=period, **values)  # type: ignore[arg-type]
        self.ledger = settle(self.ledger, self.clock.now(), self.plan)
        known = measured(self.ledger, count, (*self.history, *self.ledger.hours), self.plan)
        self.ledger = reconcile(self.ledger, known, self.clock.now(), self.plan)

    def grant(self, id: str, amount_bytes: int) -> None:
        now = self.clock.now()
        granted = TopUp(id, amount_bytes, None, "", now.wall, now.boot_id, now.boot_s)
        self.ledger = top_up(self.ledger, granted, self.plan)

    @property
    def charged(self) -> int:
        return charged_bytes(self.ledger, self.plan)

    @property
    def own(self) -> int:
        return own_charged_bytes(self.ledger, self.plan)
