"""The operator's count beside the own one, like with like: both of the same instant.

The core network counts what leaves its gateway, and so more than a home in bad reception gets. The own count is never
overwritten: a count of the operator's that is to be followed gives a correction, its difference to the own count at
that instant, and the next one takes its place. Called by the command `plan.reconcile` and by `settle`.

Compared are all bytes of the contract's card, the agent's own traffic with them, for a gateway counts that too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from agent.errors import PlanError
from agent.plan.grants import forgiven_bytes
from agent.plan.ledger import (
    Closed,
    HourBytes,
    Ledger,
    OperatorCount,
    by_direction,
    correction_bytes,
    newest,
)
from agent.plan.model import Moment, Plan

HOUR, TICK = timedelta(hours=1), timedelta(microseconds=1)
AHEAD = timedelta(minutes=5)  # how far the operator's clock may be ahead of ours, as of a signed command
SOURCES_KEPT = 8
# Above the usual: the core counted 5 to 7 % more than a telephone got in streaming use (Peng, Tu, Li, Lu, "Can we pay
# for what we get in 3G data access?", MobiCom 2012).
APART_SHARE, APART_BYTES = 20, 1_000_000_000  # a twentieth of the own count, at least this
APART_COUNTS = 3
LARGE_SHARE, LARGE_BYTES = 10, 4_000_000_000  # a tenth of the allowance, at most this


def own_at(
    counted: tuple[int, int], hours: Iterable[HourBytes], as_of: datetime, now: datetime, plan: Plan
) -> tuple[int, bool]:
    """What was counted here by an instant, of `counted` by `now`, and whether the hour of it is over.

    `hours` are those from that of the instant on. Within its hour the bytes are shared out by time.
    """
    hour = as_of.replace(minute=0, second=0, microsecond=0)
    until = min(hour + HOUR, now)
    received, sent = counted
    for row in hours:
        rest = row.received_bytes - row.foreign_received_bytes, row.sent_bytes - row.foreign_sent_bytes
        if row.hour == hour and until > hour:
            part, whole = (until - as_of) // TICK, (until - hour) // TICK
            rest = rest[0] * part // whole, rest[1] * part // whole
        if hour <= row.hour < now:
            received, sent = received - rest[0], sent - rest[1]
    return max(0, by_direction(received, sent, plan)), until < hour + HOUR


def placed_bytes(of: Ledger | Closed) -> tuple[int, int]:
    """Received and sent over the contract's card, as far as they are placed in the period."""
    return of.received_bytes - of.foreign_received_bytes, of.sent_bytes - of.foreign_sent_bytes


def measured(ledger: Ledger, count: OperatorCount, hours: Iterable[HourBytes], plan: Plan) -> OperatorCount:
    """With the own count of its instant, where that is placed already. `hours` are those of the history and of this
    ledger. Raises PlanError."""
    of = _of_period(ledger, count.period)
    if ledger.latest is None or count.as_of > ledger.latest:
        return count
    now = min(ledger.latest, of.period.end)
    own_bytes, unfinished = own_at(placed_bytes(of), hours, count.as_of, now, plan)
    return replace(count, own_bytes=own_bytes, unfinished=unfinished and now < of.period.end)


def reconcile(ledger: Ledger, count: OperatorCount, moment: Moment, plan: Plan) -> Ledger:
    """Take a count of the operator's; one that was taken already changes nothing. Raises PlanError."""
    of = _of_period(ledger, count.period)
    if not of.period.start <= count.as_of <= of.period.end:
        raise PlanError(f"as_of {_shown(count.as_of)} is not in the period of {count.period}")
    if moment.trusted and count.as_of > moment.wall + AHEAD:
        raise PlanError(f"as_of {_shown(count.as_of)} is later than now, {_shown(moment.wall)}")
    known = of.operator_counts if count.own_bytes is not None else ledger.waiting_counts
    if not _news(count, (*of.operator_counts, *ledger.waiting_counts)):
        return ledger
    if count.own_bytes is None:
        return replace(ledger, waiting_counts=_with(known, count))
    if of is ledger:
        return _corrected(ledger, count, plan)
    assert ledger.previous is not None
    own_limit = max(1, plan.allowance_bytes - ledger.previous.advance_bytes)
    counts = _with(known, _judged(count, known))
    more = _forgiven_more(ledger.previous, counts, own_limit)
    closed = replace(ledger.previous, operator_counts=counts, forgiven_bytes=ledger.previous.forgiven_bytes + more)
    return replace(ledger, previous=closed)


def is_large(count: OperatorCount, plan: Plan) -> bool:
    """Whether a correction takes so much from the household that it is an admin's to make."""
    most = min(plan.allowance_bytes // LARGE_SHARE, LARGE_BYTES)
    return count.follow and count.difference_bytes > most


def meters_apart(ledger: Ledger) -> OperatorCount | None:
    """The operator's newest count, if several in a row were far from the own one."""
    last = newest(ledger.operator_counts)
    return last if last is not None and last.apart >= APART_COUNTS else None


# -- with the passing of time --------------------------------------------------------------------------------------


def finished(ledger: Ledger, now: datetime, plan: Plan) -> Ledger:
    """The own count of an instant is exact once its hour is over; until then that hour stands in the ledger."""
    counts = tuple(_finished(ledger, count, now, plan) for count in ledger.operator_counts)
    return ledger if counts == ledger.operator_counts else _forgiving(ledger, counts, plan)


def _finished(ledger: Ledger, count: OperatorCount, now: datetime, plan: Plan) -> OperatorCount:
    over = min(count.as_of.replace(minute=0, second=0, microsecond=0) + HOUR, ledger.period.end)
    if not count.unfinished or now < over:
        return count
    own_bytes, _ = own_at(placed_bytes(ledger), ledger.hours, count.as_of, now, plan)
    return replace(count, own_bytes=own_bytes, unfinished=False)


def placed(ledger: Ledger, now: datetime, plan: Plan) -> Ledger:
    """Counts that waited for a clock: their hours are all in the ledger, since nothing was saved in between."""
    for count in ledger.waiting_counts:
        if count.period == ledger.period.label and count.as_of <= now:
            own_bytes, unfinished = own_at(placed_bytes(ledger), ledger.hours, count.as_of, now, plan)
            at = replace(count, own_bytes=own_bytes, unfinished=unfinished and now < ledger.period.end)
            if is_large(at, plan) and not at.unlimited:
                at = replace(at, follow=False)  # shown, since nobody is asked any more who may
            ledger = _corrected(ledger, at, plan)
    left = tuple(
        count
        for count in ledger.waiting_counts
        if count.period > ledger.period.label or (count.period == ledger.period.label and count.as_of > now)
    )
    return ledger if left == ledger.waiting_counts else replace(ledger, waiting_counts=left)


# -- small parts ---------------------------------------------------------------------------------------------------


def _of_period(ledger: Ledger, label: str) -> Ledger | Closed:
    """Raises PlanError."""
    kept: list[Ledger | Closed] = [ledger, *([ledger.previous] if ledger.previous else [])]
    for of in kept:
        if of.period.label == label:
            return of
    known = " and ".join(of.period.label for of in kept)
    raise PlanError(f"the period of {label} is not under way and not the last one; known: {known}")


def _news(count: OperatorCount, known: tuple[OperatorCount, ...]) -> bool:
    """False for one that was taken already. Raises PlanError for what is older, or says another number."""
    for old in known:
        if _kind(old) != _kind(count) or old.period not in ("", count.period):
            continue
        if count.as_of < old.as_of:
            raise PlanError(f"{count.source} was taken as of {_shown(old.as_of)}; {_shown(count.as_of)} is older")
        if count.as_of == old.as_of and count.used_bytes != old.used_bytes:
            raise PlanError(f"{count.source} said {old.used_bytes} bytes as of {_shown(old.as_of)}, not another number")
        if count.as_of == old.as_of:
            return False
    return True


def _with(known: tuple[OperatorCount, ...], count: OperatorCount) -> tuple[OperatorCount, ...]:
    others = (old for old in known if _kind(old) != _kind(count))
    return tuple(sorted((*others, count), key=lambda one: (one.as_of, one.source, one.follow)))[-SOURCES_KEPT:]


def _kind(count: OperatorCount) -> tuple[str, bool]:
    return count.source, count.follow


def _judged(count: OperatorCount, known: tuple[OperatorCount, ...]) -> OperatorCount:
    own_bytes = count.own_bytes or 0
    apart = abs(count.difference_bytes) > max(own_bytes // APART_SHARE, APART_BYTES)
    before = next((old.apart for old in known if _kind(old) == _kind(count)), 0)
    return replace(count, apart=before + 1 if apart else 0, period="", unlimited=False)


def _corrected(ledger: Ledger, count: OperatorCount, plan: Plan) -> Ledger:
    known = ledger.operator_counts
    return _forgiving(ledger, _with(known, _judged(count, known)), plan)


def _forgiving(ledger: Ledger, counts: tuple[OperatorCount, ...], plan: Plan) -> Ledger:
    """With other counts, and with what the top-ups of this period forgive by them: so it does not matter which of both
    came first."""
    more = _forgiven_more(ledger, counts, max(1, plan.allowance_bytes - ledger.advance_bytes))
    return replace(ledger, operator_counts=counts, forgiven_bytes=ledger.forgiven_bytes + more)


def _forgiven_more(of: Ledger | Closed, counts: tuple[OperatorCount, ...], own_limit_bytes: int) -> int:
    before, after = correction_bytes(of.operator_counts), correction_bytes(counts)
    return forgiven_bytes(of.topups, own_limit_bytes, after) - forgiven_bytes(of.topups, own_limit_bytes, before)


def _shown(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
