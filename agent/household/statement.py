"""What was counted in a billing period, for the household to put on a table: as data. Pure; page.py prints it.

Made of the ledger and the days of the history as they stand in one transaction. Nothing in it is billed: past the
allowance this line is slow, no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from agent.plan import Ledger, Plan, newest, usage
from agent.plan.ledger import Closed
from agent.plan.period import local_date
from agent.status import operator_count_dict, timestamp

if TYPE_CHECKING:
    from agent.statement_schema import Answer, DayBytes, Statement
    from agent.status_schema import Day
    from agent.store.database import Database
    from agent.store.statements import Sealed

VERSION = 1


def as_ledger(closed: Closed) -> Ledger:
    """A period that is over, as the ledger stood at its end."""
    shared = (
        "period", "received_bytes", "sent_bytes", "management_received_bytes", "management_sent_bytes",
        "foreign_received_bytes", "foreign_sent_bytes", "forgiven_bytes", "advance_bytes", "topups",
        "operator_counts", "marks", "gaps",
    )  # fmt: skip
    return Ledger(**{name: getattr(closed, name) for name in shared})


def compose(ledger: Ledger, days: Sequence[Day], plan: Plan, *, device: str, version: str, final: bool) -> Statement:
    """`days` are those of the history, more than the period's if need be."""
    used, period = usage(ledger, plan), ledger.period
    return {
        "v": VERSION,
        "device": device,
        "version": version,
        "final": final,
        "period": {
            "label": period.label,
            "start": timestamp(period.start),
            "end": timestamp(period.end),
            "timezone": plan.timezone,
        },
        "allowance_bytes": used.allowance_bytes,
        "topups": [{"bytes": t.amount_bytes, "granted": timestamp(t.granted)} for t in ledger.topups],
        "limit_bytes": used.limit_bytes,
        "forgiven_bytes": ledger.forgiven_bytes,
        "received_bytes": used.received_bytes,
        "sent_bytes": used.sent_bytes,
        "own_bytes": used.received_bytes + used.sent_bytes,
        "exempt_bytes": (0 if plan.charge_management else used.management_bytes) + used.foreign_bytes,
        "correction_bytes": used.correction_bytes,
        "used_bytes": used.charged_bytes,
        "operator": operator_count_dict(newest(ledger.operator_counts)),
        "days": _days(ledger, days, plan),
        "marks": [{"kind": m.kind, "percent": m.percent, "at": timestamp(m.at)} for m in ledger.marks],
        "gaps": [{"cause": g.cause, "number": g.number, "at_most_bytes": g.at_most_bytes} for g in ledger.gaps],
        "billed": 0,
    }


def _days(ledger: Ledger, days: Sequence[Day], plan: Plan) -> list[DayBytes]:
    """Each day of the period; a day on which nothing passed is one with 0."""
    by_day = {day["day"]: day["received_bytes"] + day["sent_bytes"] for day in days}
    first = date.fromisoformat(ledger.period.label)
    number = (local_date(ledger.period.end, plan.timezone) - first).days
    named = [(first + timedelta(days=n)).isoformat() for n in range(number)]
    return [{"day": day, "bytes": by_day.get(day, 0)} for day in named]


def look(database: Database, plan: Plan, month: str, *, device: str, version: str) -> Answer | None:
    """The statement of a month, sealed or so far; None for one that nothing is known of."""
    ledger, sealed = database.load_ledger(), database.statements.of(month)
    if ledger is None or sealed is not None:
        return sealed
    known = {ledger.period.label: ledger}
    if ledger.previous is not None:  # over, and not yet sealed
        known[ledger.previous.period.label] = as_ledger(ledger.previous)
    of = next((of for label, of in known.items() if label.startswith(month)), None)
    if of is None:
        return None
    body = compose(of, database.history.days(), plan, device=device, version=version, final=of is not ledger)
    return {"n": None, "hash": None, "statement": body}


def draft(database: Database, plan: Plan, *, device: str, version: str) -> tuple[Sealed, dict[str, object]] | None:
    """The period that is over as the next link of the chain, and what `e/statement` says of it; None if it was sealed
    as it is now."""
    ledger = database.load_ledger()
    if ledger is None or ledger.previous is None:
        return None
    of = as_ledger(ledger.previous)
    before = database.statements.of(of.period.label)
    if before is not None:  # an update, or a plan that changed meanwhile, is no news of that month
        known = before["statement"]
        device, version = known["device"], known["version"]
        plan = replace(plan, allowance_bytes=known["allowance_bytes"], timezone=known["period"]["timezone"])
    body = compose(of, database.history.days(), plan, device=device, version=version, final=True)
    sealed = database.statements.draft(body)
    if sealed is None:
        return None
    told = {"PeriodStart": sealed.period, "UsedBytes": body["used_bytes"], "OwnBytes": body["own_bytes"]}
    return sealed, {**told, "n": sealed.n, "hash": sealed.hash, "before": sealed.before}
