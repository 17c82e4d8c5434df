"""Settling: placing bytes in time, rolling the period, dropping what has expired. Only ever on a trusted clock.

Called by `observe` and by the daemon at every tick. The rules, in the order in which they protect the household:
a period rolls only when trusted time has passed its end; to the very next period at once, further than that (or
backwards) only after trusted time has agreed with itself for CONFIRM_S; a roll that proves wrong is undone.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from agent.plan.grants import carried, carried_override, given_again, lapse, remaining
from agent.plan.ledger import (
    MARKS_KEPT,
    Anchor,
    Closed,
    HourBytes,
    Ledger,
    Span,
    added,
    beyond_bytes,
    charged_bytes,
    rule_of,
    with_gap,
)
from agent.plan.model import Moment, Plan
from agent.plan.period import BillingPeriod, local_date, next_period, plan_period
from agent.plan.reconciliation import finished, placed

CONFIRM_S = 600.0
AGREEMENT_S = 120.0  # trusted sources closer than this tell the same time
PERIODS_UNDONE = 3  # so many wrong rolls in a row are undone to the byte
SHORTEST_MONTH_DAYS = 28
GIFT_EVERY = timedelta(days=365)
HOURS_KEPT = 24 * 45  # unwritten hours, should the disk be full for weeks


def settle(ledger: Ledger, moment: Moment, plan: Plan) -> Ledger:
    """Bring the ledger to a moment. On an untrusted clock nothing moves."""
    if not moment.trusted:
        return ledger
    anchor = _anchored(ledger.anchor, moment)
    confirmed = moment.boot_s - anchor.since_s >= CONFIRM_S
    settled = _in_its_period(ledger, moment, plan, confirmed=confirmed)
    if settled is None:
        return replace(ledger, anchor=anchor)
    ledger = replace(settled, anchor=anchor, latest=_newest(settled.latest, moment.wall))
    ledger = placed(finished(ledger, moment.wall, plan), moment.wall, plan)
    return lapse(ledger, moment.wall, plan, confirmed=confirmed)


def _in_its_period(ledger: Ledger, moment: Moment, plan: Plan, *, confirmed: bool) -> Ledger | None:
    """The ledger in the period of this moment, with what waited in its place. None: another period, which only time
    that agrees with itself may lead to."""
    rule = rule_of(plan)
    if not ledger.provisional and ledger.rule == rule and ledger.period.contains(moment.wall):
        return _placed(ledger, moment, plan)
    target = plan_period(plan, moment.wall)
    if ledger.provisional:
        ledger = _adopt(ledger, target, moment, plan)
    elif moment.wall >= ledger.period.end:
        target = next_period(ledger.period, target, plan.timezone)
        if target.start != ledger.period.end and not confirmed:
            return None
        if _closed(ledger, moment.wall) is None:
            ledger = _roll(ledger, target, moment, plan)
        else:  # a clock that was set back past what it had counted in, and is right again
            ledger = _step_back(_placed(ledger, moment, plan), target, moment, plan)
    elif moment.wall < ledger.period.start:
        if not confirmed:
            return None
        ledger = _step_back(_placed(ledger, moment, plan), target, moment, plan)
    else:
        ledger = _placed(ledger, moment, plan)
    if ledger.rule == rule:
        return ledger
    # A changed billing day may end the period under way sooner, never later; what it used stays.
    return replace(ledger, rule=rule, period=replace(ledger.period, end=min(ledger.period.end, target.end)))


def _newest(latest: datetime | None, wall: datetime) -> datetime:
    """The floor follows the period back when a wrong clock is undone, else it only rises."""
    return wall if latest is None or wall > latest or latest - wall > timedelta(days=1) else latest


def _anchored(anchor: Anchor | None, moment: Moment) -> Anchor:
    since_s = moment.boot_s
    if anchor is not None and anchor.boot_id == moment.boot_id:
        expected = anchor.wall + timedelta(seconds=moment.boot_s - anchor.boot_s)
        if abs((moment.wall - expected).total_seconds()) <= AGREEMENT_S:
            since_s = anchor.since_s
    return Anchor(moment.boot_id, moment.boot_s, moment.wall, since_s)


# -- moving the period ---------------------------------------------------------------------------------------------


def _adopt(ledger: Ledger, target: BillingPeriod, moment: Moment, plan: Plan) -> Ledger:
    """The first trusted moment ever: the guessed period gives way, and what this boot counted is put in its place."""
    before, after = _split(ledger.pending, moment, target.start)
    hours = _with_hours(ledger, before, moment, plan, "")
    ledger = replace(ledger, period=target, rule=rule_of(plan), provisional=False, hours=hours)
    return _charged(ledger, after, moment, plan)


def _roll(ledger: Ledger, target: BillingPeriod, moment: Moment, plan: Plan) -> Ledger:
    before, after = _split(ledger.pending, moment, target.start)
    ledger = _charged(ledger, before, moment, plan)
    ledger = placed(finished(ledger, ledger.period.end, plan), ledger.period.end, plan)
    closed = Closed(
        ledger.period,
        ledger.received_bytes,
        ledger.sent_bytes,
        ledger.management_received_bytes,
        ledger.management_sent_bytes,
        ledger.forgiven_bytes,
        ledger.topups,
        ledger.warned,
        ledger.advance_bytes,
        ledger.short_end,
        ledger.foreign_received_bytes,
        ledger.foreign_sent_bytes,
        ledger.operator_counts,
        ledger.marks,
        ledger.gaps,
        _of_depth(ledger.previous, PERIODS_UNDONE - 1),
    )
    short_end, advance_bytes = _short(ledger, target, plan)
    ledger = replace(
        ledger,
        period=target,
        rule=rule_of(plan),
        advance_bytes=advance_bytes,
        short_end=short_end,
        received_bytes=0,
        sent_bytes=0,
        management_received_bytes=0,
        management_sent_bytes=0,
        foreign_received_bytes=0,
        foreign_sent_bytes=0,
        forgiven_bytes=0,
        topups=carried(ledger.topups, beyond_bytes(ledger, plan), target.start, moment),
        lapsed=remaining(ledger),
        override=carried_override(ledger.override, target.start, moment),
        operator_counts=(),
        previous=closed,
        warned=(),
        marks=(),
        gaps=(),
    )
    return _charged(ledger, after, moment, plan)


def _short(ledger: Ledger, target: BillingPeriod, plan: Plan) -> tuple[datetime | None, int]:
    """After a period that a changed rule has made short: when one last was given whole, and the advance on the next.

    One short period in a year is a gift. What the others use above their share of days counts in the period after
    them, so that a day which is changed again and again makes no allowance larger.
    """
    period, charged = ledger.period, charged_bytes(ledger, plan) + ledger.advance_bytes
    days = (period.end - period.start) / timedelta(days=1)
    if days >= SHORTEST_MONTH_DAYS or period == plan_period(plan, period.start) or target.start != period.end:
        return ledger.short_end, 0
    if ledger.short_end is None or period.end - ledger.short_end > GIFT_EVERY:
        return period.end, 0
    share = int(plan.allowance_bytes * days / SHORTEST_MONTH_DAYS)
    return ledger.short_end, max(0, min(charged, plan.allowance_bytes) - share)


def _of_depth(closed: Closed | None, depth: int) -> Closed | None:
    if closed is None or depth == 0:
        return None
    return replace(closed, before=_of_depth(closed.before, depth - 1))


def _closed(ledger: Ledger, wall: datetime) -> Closed | None:
    """The period in which this moment lies, if it was counted in before."""
    closed = ledger.previous
    while closed is not None and not closed.period.contains(wall):
        closed = closed.before
    return closed


def _step_back(ledger: Ledger, target: BillingPeriod, moment: Moment, plan: Plan) -> Ledger:
    """The period is a wrong clock's, and gives way to the one before it in the ledger. Nothing that was counted is
    forgiven by it."""
    ledger = replace(ledger, rule=rule_of(plan))
    wrong = [(ledger.period.label, (ledger.received_bytes, ledger.sent_bytes))]
    right = ledger.previous
    while right is not None and not right.period.contains(moment.wall):
        wrong.append((right.period.label, (right.received_bytes, right.sent_bytes)))
        right = right.before
    if right is None:
        counts = tuple(count for count in ledger.operator_counts if target.contains(count.as_of))
        wrong, ledger = wrong[:1], replace(ledger, period=target, operator_counts=counts)
    else:
        for _ in wrong:
            ledger = _reopened(ledger, plan)
    for label, counted in wrong:
        ledger = _relabelled(ledger, moment, plan, label, counted)
    return ledger


def _reopened(ledger: Ledger, plan: Plan) -> Ledger:
    """The period before this one, with what was counted in both."""
    wrong, previous = ledger, ledger.previous
    assert previous is not None
    right = replace(
        wrong,
        period=previous.period,
        received_bytes=previous.received_bytes,
        sent_bytes=previous.sent_bytes,
        management_received_bytes=previous.management_received_bytes,
        management_sent_bytes=previous.management_sent_bytes,
        foreign_received_bytes=previous.foreign_received_bytes,
        foreign_sent_bytes=previous.foreign_sent_bytes,
        forgiven_bytes=previous.forgiven_bytes,
        topups=previous.topups,
        advance_bytes=previous.advance_bytes,
        short_end=previous.short_end,
        operator_counts=previous.operator_counts,
        marks=(*previous.marks, *wrong.marks)[-MARKS_KEPT:],
        gaps=with_gap(previous.gaps, *wrong.gaps),
        warned=tuple(sorted({*wrong.warned, *previous.warned})),
        previous=previous.before,
        told_period=previous.period.label if wrong.told_period == wrong.period.label else wrong.told_period,
    )
    right = given_again(replace(right, pending=()), wrong.topups, plan)
    return replace(
        right,
        pending=wrong.pending,
        received_bytes=right.received_bytes + wrong.received_bytes,
        sent_bytes=right.sent_bytes + wrong.sent_bytes,
        management_received_bytes=right.management_received_bytes + wrong.management_received_bytes,
        management_sent_bytes=right.management_sent_bytes + wrong.management_sent_bytes,
        foreign_received_bytes=right.foreign_received_bytes + wrong.foreign_received_bytes,
        foreign_sent_bytes=right.foreign_sent_bytes + wrong.foreign_sent_bytes,
    )


def _relabelled(ledger: Ledger, moment: Moment, plan: Plan, wrong: str, counted: tuple[int, int]) -> Ledger:
    """Take what was counted under a wrong period from there in the history too."""
    hour = moment.wall.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)
    day = local_date(moment.wall, plan.timezone).isoformat()
    off = HourBytes(hour, day, wrong, -counted[0], -counted[1])
    return replace(ledger, hours=_joined(ledger.hours, off, HourBytes(hour, day, ledger.period.label, *counted)))


# -- placing bytes -------------------------------------------------------------------------------------------------


def _placed(ledger: Ledger, moment: Moment, plan: Plan) -> Ledger:
    return _charged(ledger, ledger.pending, moment, plan) if ledger.pending else ledger


def _split(spans: tuple[Span, ...], moment: Moment, boundary: datetime) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """Spans before and after a boundary; one that straddles it is shared out evenly over its time.

    What an earlier boot left unplaced stays before: its wall time is gone for good, and the period under way then
    was the one it was counted in.
    """
    at_s = moment.boot_s - (moment.wall - boundary).total_seconds()
    before: list[Span] = []
    after: list[Span] = []
    for span in spans:
        if span.boot_id != moment.boot_id or span.end_s <= at_s:
            before.append(span)
        elif span.start_s >= at_s:
            after.append(span)
        else:
            share = (at_s - span.start_s) / (span.end_s - span.start_s)
            received, sent = int(span.received_bytes * share), int(span.sent_bytes * share)
            before.append(replace(span, end_s=at_s, received_bytes=received, sent_bytes=sent))
            rest = span.received_bytes - received, span.sent_bytes - sent
            after.append(replace(span, start_s=at_s, received_bytes=rest[0], sent_bytes=rest[1]))
    return tuple(before), tuple(after)


def _charged(ledger: Ledger, spans: tuple[Span, ...], moment: Moment, plan: Plan) -> Ledger:
    """What waited is placed: these spans in the period under way, the others elsewhere."""
    return replace(
        ledger,
        pending=(),
        received_bytes=ledger.received_bytes + sum(s.received_bytes for s in spans),
        sent_bytes=ledger.sent_bytes + sum(s.sent_bytes for s in spans),
        foreign_received_bytes=ledger.foreign_received_bytes + sum(s.received_bytes for s in spans if s.foreign),
        foreign_sent_bytes=ledger.foreign_sent_bytes + sum(s.sent_bytes for s in spans if s.foreign),
        hours=_with_hours(ledger, spans, moment, plan, ledger.period.label),
    )


def _with_hours(
    ledger: Ledger, spans: tuple[Span, ...], moment: Moment, plan: Plan, label: str
) -> tuple[HourBytes, ...]:
    """The hours on their way to the history, with these spans; `label` "" is a period of before the plan."""
    rows = []
    for span in spans:
        wall = _wall(span, moment, ledger)
        hour = wall.replace(minute=0, second=0, microsecond=0)
        day = local_date(wall, plan.timezone).isoformat()
        period = label or plan_period(plan, wall).label
        counted = span.received_bytes, span.sent_bytes
        foreign = counted if span.foreign else (0, 0)
        rows.append(HourBytes(hour, day, period, *counted, *foreign))
    return _joined(ledger.hours, *rows)


def _joined(hours: tuple[HourBytes, ...], *rows: HourBytes) -> tuple[HourBytes, ...]:
    by_key = {(h.hour, h.day, h.period): h for h in hours}
    for row in rows:
        key = (row.hour, row.day, row.period)
        old = by_key.get(key)
        by_key[key] = row if old is None else added(old, row)
    return tuple(by_key.values())[-HOURS_KEPT:]


def _wall(span: Span, moment: Moment, ledger: Ledger) -> datetime:
    """When a span ended. It is shown just before its end, or the last byte of a day would show in the next."""
    if span.boot_id != moment.boot_id:
        return ledger.latest or moment.wall - timedelta(seconds=moment.boot_s)
    middle_s = (span.start_s + span.end_s) / 2
    return (moment.wall - timedelta(seconds=moment.boot_s - middle_s)).astimezone(timezone.utc)
