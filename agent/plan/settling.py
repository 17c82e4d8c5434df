"""Settling: placing bytes in time, rolling the period, dropping what has expired. Only ever on a trusted clock.

Called by `observe` and by the daemon at every tick. The rules, in the order in which they protect the household:
a period rolls only when trusted time has passed its end; to the very next period at once, further than that (or
backwards) only after trusted time has agreed with itself for CONFIRM_S; a roll that proves wrong is undone.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from agent.plan.ledger import Anchor, Closed, HourBytes, Ledger, Span, TopUp, charged_bytes, rule_of
from agent.plan.model import Moment, Plan
from agent.plan.period import BillingPeriod, local_date, plan_period

CONFIRM_S = 600.0
AGREEMENT_S = 120.0  # trusted sources closer than this tell the same time
PERIODS_UNDONE = 3  # so many wrong rolls in a row are undone to the byte
HOURS_KEPT = 24 * 45  # unwritten hours, should the disk be full for weeks


def settle(ledger: Ledger, moment: Moment, plan: Plan) -> Ledger:
    """Bring the ledger to a moment. On an untrusted clock nothing moves."""
    if not moment.trusted:
        return ledger
    ledger = _anchored(ledger, moment)
    target = plan_period(plan, moment.wall)
    if ledger.provisional:
        ledger = _adopt(ledger, target, moment, plan)
    elif moment.wall >= ledger.period.end:
        if target.start != ledger.period.end and not _confirmed(ledger, moment):
            return ledger
        ledger = _roll(ledger, target, moment, plan)
    elif moment.wall < ledger.period.start:
        if not _confirmed(ledger, moment):
            return ledger
        ledger = _step_back(_placed(ledger, moment, plan), target, moment, plan)
    else:
        ledger = _placed(ledger, moment, plan)
    if ledger.rule != rule_of(plan):
        # A changed billing day holds from now on: the period under way ends at the new boundary, what it used stays.
        ledger = replace(ledger, rule=rule_of(plan), period=replace(ledger.period, end=target.end))
    return _without_expired(replace(ledger, latest=_newest(ledger.latest, moment.wall)), moment.wall, plan)


def _newest(latest: datetime | None, wall: datetime) -> datetime:
    """The floor follows the period back when a wrong clock is undone, else it only rises."""
    return wall if latest is None or wall > latest or latest - wall > timedelta(days=1) else latest


def _anchored(ledger: Ledger, moment: Moment) -> Ledger:
    anchor = ledger.anchor
    since_s = moment.boot_s
    if anchor is not None and anchor.boot_id == moment.boot_id:
        expected = anchor.wall + timedelta(seconds=moment.boot_s - anchor.boot_s)
        if abs((moment.wall - expected).total_seconds()) <= AGREEMENT_S:
            since_s = anchor.since_s
    return replace(ledger, anchor=Anchor(moment.boot_id, moment.boot_s, moment.wall, since_s))


def _confirmed(ledger: Ledger, moment: Moment) -> bool:
    return ledger.anchor is not None and moment.boot_s - ledger.anchor.since_s >= CONFIRM_S


# -- moving the period ---------------------------------------------------------------------------------------------


def _adopt(ledger: Ledger, target: BillingPeriod, moment: Moment, plan: Plan) -> Ledger:
    """The first trusted moment ever: the guessed period gives way, and what this boot counted is put in its place."""
    before, after = _split(ledger.pending, moment, target.start)
    ledger = replace(ledger, period=target, rule=rule_of(plan), provisional=False, pending=())
    return _charged(_noted(ledger, before, moment, plan, ""), after, moment, plan)


def _roll(ledger: Ledger, target: BillingPeriod, moment: Moment, plan: Plan) -> Ledger:
    before, after = _split(ledger.pending, moment, target.start)
    ledger = _charged(replace(ledger, pending=()), before, moment, plan)
    beyond = max(0, charged_bytes(ledger, plan) - plan.allowance_bytes - ledger.forgiven_bytes)
    lifted = ledger.override is not None and ledger.override.mode == "lift" and ledger.override.expires is None
    closed = Closed(
        ledger.period,
        ledger.received_bytes,
        ledger.sent_bytes,
        ledger.management_received_bytes,
        ledger.management_sent_bytes,
        ledger.forgiven_bytes,
        ledger.topups,
        ledger.warned,
        ledger.foreign_received_bytes,
        ledger.foreign_sent_bytes,
        _of_depth(ledger.previous, PERIODS_UNDONE - 1),
    )
    ledger = replace(
        ledger,
        period=target,
        rule=rule_of(plan),
        received_bytes=0,
        sent_bytes=0,
        management_received_bytes=0,
        management_sent_bytes=0,
        foreign_received_bytes=0,
        foreign_sent_bytes=0,
        forgiven_bytes=0,
        topups=_carried(ledger.topups, beyond),
        override=None if lifted else ledger.override,
        previous=closed,
        warned=(),
    )
    return _charged(ledger, after, moment, plan)


def _of_depth(closed: Closed | None, depth: int) -> Closed | None:
    if closed is None or depth == 0:
        return None
    return replace(closed, before=_of_depth(closed.before, depth - 1))


def _step_back(ledger: Ledger, target: BillingPeriod, moment: Moment, plan: Plan) -> Ledger:
    """The period lies in the future: it was rolled to on a wrong clock. Nothing that was counted is forgiven by it."""
    ledger = replace(ledger, rule=rule_of(plan))
    wrong = [(ledger.period.label, (ledger.received_bytes, ledger.sent_bytes))]
    right = ledger.previous
    while right is not None and not right.period.contains(moment.wall):
        wrong.append((right.period.label, (right.received_bytes, right.sent_bytes)))
        right = right.before
    if right is None:
        wrong, ledger = wrong[:1], replace(ledger, period=target)
    else:
        for _ in wrong:
            ledger = _reopened(ledger)
    for label, counted in wrong:
        ledger = _relabelled(ledger, moment, plan, label, counted)
    return ledger


def _reopened(ledger: Ledger) -> Ledger:
    """The period before this one, with what was counted in both."""
    wrong, previous = ledger.period.label, ledger.previous
    assert previous is not None
    own = {t.id for t in previous.topups}
    return replace(
        ledger,
        period=previous.period,
        received_bytes=ledger.received_bytes + previous.received_bytes,
        sent_bytes=ledger.sent_bytes + previous.sent_bytes,
        management_received_bytes=ledger.management_received_bytes + previous.management_received_bytes,
        management_sent_bytes=ledger.management_sent_bytes + previous.management_sent_bytes,
        foreign_received_bytes=ledger.foreign_received_bytes + previous.foreign_received_bytes,
        foreign_sent_bytes=ledger.foreign_sent_bytes + previous.foreign_sent_bytes,
        forgiven_bytes=ledger.forgiven_bytes + previous.forgiven_bytes,
        topups=previous.topups + tuple(t for t in ledger.topups if t.id not in own),
        warned=tuple(sorted({*ledger.warned, *previous.warned})),
        previous=previous.before,
        told_period=previous.period.label if ledger.told_period == wrong else ledger.told_period,
    )


def _relabelled(ledger: Ledger, moment: Moment, plan: Plan, wrong: str, counted: tuple[int, int]) -> Ledger:
    """Take what was counted under a wrong period from there in the history too."""
    hour = moment.wall.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)
    day = local_date(moment.wall, plan.timezone).isoformat()
    ledger = _with_hour(ledger, HourBytes(hour, day, wrong, -counted[0], -counted[1]))
    return _with_hour(ledger, HourBytes(hour, day, ledger.period.label, *counted))


def _carried(topups: tuple[TopUp, ...], beyond: int) -> tuple[TopUp, ...]:
    """What is left of top-ups that outlive the period; those that end soonest were used first."""
    left = []
    for topup in sorted(topups, key=_end):
        used = min(beyond, topup.amount_bytes)
        beyond -= used
        if topup.expires is not None and used < topup.amount_bytes:
            left.append(replace(topup, amount_bytes=topup.amount_bytes - used))
    return tuple(left)


def _end(topup: TopUp) -> datetime:
    return topup.expires or datetime.min.replace(tzinfo=timezone.utc)


def _without_expired(ledger: Ledger, now: datetime, plan: Plan) -> Ledger:
    wanted = ledger.override
    if wanted is not None and wanted.expires is not None and wanted.expires <= now:
        ledger = replace(ledger, override=None)
    if not any(t.expires is not None and t.expires <= now for t in ledger.topups):
        return ledger
    beyond = max(0, charged_bytes(ledger, plan) - plan.allowance_bytes - ledger.forgiven_bytes)
    kept = []
    for topup in sorted(ledger.topups, key=_end):
        used = min(beyond, topup.amount_bytes)
        beyond -= used
        if topup.expires is None or topup.expires > now:
            kept.append(topup)
        elif used:  # what was used of it stays paid for until the period ends
            kept.append(replace(topup, amount_bytes=used, expires=None))
    return replace(ledger, topups=tuple(kept))


# -- placing bytes -------------------------------------------------------------------------------------------------


def _placed(ledger: Ledger, moment: Moment, plan: Plan) -> Ledger:
    pending = ledger.pending
    return _charged(replace(ledger, pending=()), pending, moment, plan) if pending else ledger


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
    ledger = replace(
        ledger,
        received_bytes=ledger.received_bytes + sum(s.received_bytes for s in spans),
        sent_bytes=ledger.sent_bytes + sum(s.sent_bytes for s in spans),
        foreign_received_bytes=ledger.foreign_received_bytes + sum(s.received_bytes for s in spans if s.foreign),
        foreign_sent_bytes=ledger.foreign_sent_bytes + sum(s.sent_bytes for s in spans if s.foreign),
    )
    return _noted(ledger, spans, moment, plan, ledger.period.label)


def _noted(ledger: Ledger, spans: tuple[Span, ...], moment: Moment, plan: Plan, label: str) -> Ledger:
    """Put spans into the hours that are on their way to the history; `label` "" is a period of before the plan."""
    for span in spans:
        wall = _wall(span, moment, ledger)
        hour = wall.replace(minute=0, second=0, microsecond=0)
        day = local_date(wall, plan.timezone).isoformat()
        period = label or plan_period(plan, wall).label
        ledger = _with_hour(ledger, HourBytes(hour, day, period, span.received_bytes, span.sent_bytes))
    return ledger


def _with_hour(ledger: Ledger, row: HourBytes) -> Ledger:
    hours = {(h.hour, h.day, h.period): h for h in ledger.hours}
    key = (row.hour, row.day, row.period)
    old = hours.get(key)
    if old is not None:
        row = replace(
            row, received_bytes=old.received_bytes + row.received_bytes, sent_bytes=old.sent_bytes + row.sent_bytes
        )
    hours[key] = row
    return replace(ledger, hours=tuple(hours.values())[-HOURS_KEPT:])


def _wall(span: Span, moment: Moment, ledger: Ledger) -> datetime:
    """When a span ended. It is shown just before its end, or the last byte of a day would show in the next."""
    if span.boot_id != moment.boot_id:
        return ledger.latest or moment.wall - timedelta(seconds=moment.boot_s)
    middle_s = (span.start_s + span.end_s) / 2
    return (moment.wall - timedelta(seconds=moment.boot_s - middle_s)).astimezone(timezone.utc)
