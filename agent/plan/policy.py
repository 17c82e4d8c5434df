"""From what was used to what the line may do: usage, decision, forecast.

Called by the daemon at every tick and by the CLI. Everything is computed anew from ledger, plan and moment, so that a
plan changed in mid-month holds at the next tick.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from agent.plan.ledger import Ledger, charged_bytes, correction_bytes, limit_bytes
from agent.plan.model import Moment, Plan, Rates, Step
from agent.plan.period import BillingPeriod, expired

UNSHAPED = Rates()


@dataclass(frozen=True, slots=True)
class Usage:
    """What the household has used in the billing period, and of what."""

    received_bytes: int
    sent_bytes: int
    charged_bytes: int
    management_bytes: int
    allowance_bytes: int
    topup_bytes: int  # all that was added to the allowance
    limit_bytes: int
    remaining_bytes: int
    percent: float
    foreign_bytes: int = 0  # over a card that is not the contract's
    correction_bytes: int = 0  # of what is charged: what the operator counted more, where that is followed
    until_next_bytes: int = 0  # to the next warning or step, the limit when all are passed: paces the sampling


@dataclass(frozen=True, slots=True)
class Decision:
    """What the line may do now, and why, in one line."""

    state: str  # normal, warned, throttled, forced, lifted, suspended or expired
    rates: Rates
    step: Step | None
    reason: str = field(compare=False)  # it carries the share used, which is no change of the decision
    expired: bool = False  # the contract has ended; the last plan goes on
    since: datetime | None = field(default=None, compare=False)  # when the line came to this speed; None: not known

    @property
    def slow(self) -> bool:
        return self.state in ("throttled", "forced")


def usage(ledger: Ledger, plan: Plan) -> Usage:
    received, sent = ledger.counted()
    charged, limit = charged_bytes(ledger, plan), limit_bytes(ledger, plan)
    marks = [-(-p * limit // 100) for p in (*plan.warn_percent, *(s.at_percent for s in plan.steps))]
    return Usage(
        received_bytes=received,
        sent_bytes=sent,
        charged_bytes=charged,
        management_bytes=ledger.management_received_bytes + ledger.management_sent_bytes,
        allowance_bytes=plan.allowance_bytes,
        topup_bytes=sum(t.amount_bytes for t in ledger.topups),
        limit_bytes=limit,
        remaining_bytes=max(0, limit - charged),
        percent=charged * 100 / limit,
        foreign_bytes=sum(ledger.foreign_bytes),
        correction_bytes=correction_bytes(ledger.operator_counts),
        until_next_bytes=min((mark - charged for mark in marks if mark > charged), default=limit),
    )


def step_reached(used: Usage, plan: Plan) -> Step | None:
    """The furthest step that usage has reached, in whole numbers: 100 % is reached at the last byte, not before."""
    reached = [s for s in plan.steps if used.charged_bytes * 100 >= s.at_percent * used.limit_bytes]
    return reached[-1] if reached else None


def decide(ledger: Ledger, plan: Plan, moment: Moment, used: Usage | None = None) -> Decision:
    """The operator's override first, then the steps of the plan. `used` is the ledger's usage, if it is known."""
    used = used or usage(ledger, plan)
    made = partial(Decision, since=ledger.told_since)
    # On an untrusted clock the newest trusted time ever seen stands in: a contract never ends, nor revives, by a guess.
    today = moment.wall if moment.trusted else ledger.latest
    over = today is not None and expired(plan, today)
    wanted, step = ledger.override, step_reached(used, plan)
    if wanted is not None:
        reason = f"{wanted.reason or 'no reason given'} (by {wanted.by or 'operator'})"
        if wanted.mode == "suspend":
            return made("suspended", UNSHAPED, None, reason, over)
        if wanted.mode == "lift":
            return made("lifted", plan.full, None, reason, over)
        forced = plan.steps[-1] if plan.steps else Step()
        return made("forced", forced.rates, forced, reason, over)
    shown = f"{_floor(used.percent)} % used"
    ended = f"; contract ended on {plan.contract_end}" if over else ""
    if step is not None:
        return made("throttled", step.rates, step, f"{shown}, past {step.at_percent} %{ended}", over)
    if over:
        return made("expired", plan.full, None, shown + ended, over)
    warned = any(used.percent >= p for p in plan.warn_percent)
    return made("warned" if warned else "normal", plan.full, None, shown)


def _floor(percent: float) -> str:
    """One decimal, never rounded up: 99.96 % must not read as 100."""
    return f"{int(percent * 10) / 10:g}"


def forecast(
    used: Usage, period: BillingPeriod, now: datetime, recent_bytes_day: float | None = None
) -> datetime | None:
    """When the allowance will run out within the period at the pace of late, or None if it will last.

    `recent_bytes_day` is the mean of the last days from the history; without it the pace since the period began counts,
    once that is a day old.
    """
    if used.remaining_bytes <= 0:
        return now
    if recent_bytes_day is None:
        elapsed_days = (now - period.start).total_seconds() / 86_400
        if elapsed_days < 1:
            return None
        recent_bytes_day = used.charged_bytes / elapsed_days
    if recent_bytes_day * (period.end - now).total_seconds() / 86_400 < used.remaining_bytes:
        return None
    return now + timedelta(days=used.remaining_bytes / recent_bytes_day)
