"""What the household and the operator are told, once: warnings, throttled, restored, new period, contract ended.

Called by the daemon after each change of the ledger. What was told stands in the ledger itself, so that neither a
restart nor a power cut tells it twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from agent.plan.ledger import MARKS_KEPT, Ledger, Mark
from agent.plan.model import Moment, Plan, Rates
from agent.plan.policy import Decision, Usage

MARKED = ("warning", "throttled", "restored")  # what stands in the statement


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell, as it stood when it became true."""

    kind: str  # warning, throttled, restored, new-period or expired
    percent: int  # the mark of a warning, else what is used, rounded down
    charged_bytes: int
    limit_bytes: int
    period: str  # label of the billing period
    rates: Rates
    reason: str
    wall: datetime
    period_end: datetime | None = None

    @property
    def text(self) -> str:
        """One line for a log."""
        used, limit = self.charged_bytes / 1e9, self.limit_bytes / 1e9
        amount = f"{used:.3f} of {limit:.3f} GB in the period of {self.period}"
        return f"{self.kind}{f' {self.percent} %' if self.kind == 'warning' else ''}: {amount}; {self.reason}"


def notices(
    ledger: Ledger, decision: Decision, used: Usage, plan: Plan, moment: Moment
) -> tuple[Ledger, tuple[Notice, ...]]:
    """What is to be told now that this was decided, and the ledger that remembers it."""
    state = _state(decision)
    marks = tuple(p for p in plan.warn_percent if used.percent >= p)
    kinds: list[tuple[str, int]] = []
    if ledger.told_period not in ("", ledger.period.label):
        kinds.append(("new-period", int(used.percent)))
    fresh_marks = [p for p in marks if p not in ledger.warned]
    if fresh_marks:  # a jump past several marks is told once, by the highest
        kinds.append(("warning", fresh_marks[-1]))
    if state != ledger.told_state:
        kinds.extend((kind, int(used.percent)) for kind in _change(ledger.told_state, state))
    since = ledger.told_since
    if state != ledger.told_state:
        since = moment.wall if moment.trusted else None
    at = moment.wall if moment.trusted else None
    marks_made = tuple(Mark(kind, percent, at) for kind, percent in kinds if kind in MARKED)
    warned = tuple(sorted({*ledger.warned, *marks}))
    if (ledger.warned, ledger.told_period, ledger.told_state) == (warned, ledger.period.label, state):
        return ledger, ()
    told = replace(
        ledger,
        marks=(*ledger.marks, *marks_made)[-MARKS_KEPT:],
        warned=warned,
        told_period=ledger.period.label,
        told_state=state,
        told_since=since,
    )
    return told, tuple(
        Notice(
            kind,
            percent,
            used.charged_bytes,
            used.limit_bytes,
            ledger.period.label,
            decision.rates,
            decision.reason,
            moment.wall,
            ledger.period.end,
        )
        for kind, percent in kinds
    )


def _state(decision: Decision) -> str:
    slow = f"slow {decision.rates.down_bps} {decision.rates.up_bps}" if decision.slow else "full"
    return slow + (" expired" if decision.expired else "")


def _change(before: str, after: str) -> list[str]:
    kinds = []
    if after.endswith(" expired") and not before.endswith(" expired"):
        kinds.append("expired")
    was, now = before.removesuffix(" expired"), after.removesuffix(" expired")
    if now.startswith("slow") and was != now:
        kinds.append("throttled")
    elif now == "full" and was.startswith("slow"):
        kinds.append("restored")
    return kinds
