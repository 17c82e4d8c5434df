"""What the household's page shows of usage, plan and line, in its own units. Pure; used by page.py and the CLI.

Amounts are tenths of a GB. What was used is rounded up and what is left is rounded down, so that the page never
promises more than the ledger has, and is within 0.1 GB of it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime

from agent.plan import BillingPeriod, Usage
from agent.plan.period import local_date

TENTH_BYTES = 100_000_000
FAST, SLOW, BROKEN = "fast", "slow", "broken"
SLOW_STATES = {"throttled": "used", "forced": "operator"}  # of the plan's decision: why the line is slow
WARNED = "warned"


@dataclass(frozen=True, slots=True)
class View:
    """All that a reader sees, in any language."""

    speed: str = FAST  # fast, slow or broken
    why: str = (
        ""  # slow because it is used up ("used"), because much is ("much"), or as the operator wants ("operator")
    )
    warned: bool = False
    used_tenths: int = 0
    left_tenths: int = 0
    limit_tenths: int = 0
    allowance_tenths: int = 0
    left_share: float = 0.0  # of the limit, for the picture; never above what is left
    new_day: date | None = None  # on which the next period begins; None: the date is not known
    a_day_tenths: int | None = None  # what may be used each day to have enough until then
    phone: str = ""
    help_text: str = ""

    def to_dict(self) -> dict[str, object]:
        return {**asdict(self), "new_day": self.new_day.isoformat() if self.new_day else None}


def view(
    usage: Usage,
    period: BillingPeriod,
    state: str,
    *,
    online: bool,
    now: datetime | None,
    zone: str,
    phone: str = "",
    help_text: str = "",
) -> View:
    """`state` is that of the plan's decision; `now` is None while the clock is not trusted."""
    left = usage.remaining_bytes // TENTH_BYTES
    slow = state in SLOW_STATES
    why = SLOW_STATES.get(state, "")
    if why == "used" and usage.remaining_bytes:
        why = "much"  # a step of the plan before the last byte
    new_day = local_date(period.end, zone) if now else None
    days = max(1, (new_day - local_date(now, zone)).days) if now and new_day else None
    return View(
        speed=BROKEN if not online else SLOW if slow else FAST,
        why=why,
        warned=state == WARNED,
        used_tenths=-(-usage.charged_bytes // TENTH_BYTES),
        left_tenths=left,
        limit_tenths=usage.limit_bytes // TENTH_BYTES,
        allowance_tenths=usage.allowance_bytes // TENTH_BYTES,
        left_share=(usage.remaining_bytes * 100 // usage.limit_bytes) / 100,
        new_day=new_day,
        a_day_tenths=left // days if days and left else None,
        phone=phone,
        help_text=help_text,
    )


def amount(tenths: int, decimal: str) -> str:
    """GB with one decimal where it says something."""
    return str(tenths // 10) if tenths % 10 == 0 else f"{tenths // 10}{decimal}{tenths % 10}"
