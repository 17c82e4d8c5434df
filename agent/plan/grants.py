"""What the operator granted, through time: what outlives a period, what expires, and what a wrong clock must not take.

Called by `settle`. A top-up or a lift is taken from the household only by trusted time that has agreed with itself;
what expired by a wrong clock comes back with the right one.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from agent.plan.ledger import (
    Ledger,
    Override,
    TopUp,
    beyond_bytes,
    correction_bytes,
    limit_bytes,
    own_charged_bytes,
)
from agent.plan.model import Moment, Plan

LAPSED_KEPT = 8


def granted_at(grant: TopUp | Override, moment: Moment) -> datetime | None:
    """When it was granted: by boot time within this boot, since the clock may have been wrong then.

    What an earlier boot granted without knowing the time counts as granted now, for the household's sake.
    """
    if grant.boot_id and grant.boot_id == moment.boot_id:
        return moment.wall - timedelta(seconds=moment.boot_s - grant.boot_s)
    return moment.wall if grant.unsure else grant.granted


def _since(grant: TopUp | Override, start: datetime, moment: Moment) -> datetime | None:
    """When it was granted, if that was in the period that begins at `start`."""
    granted = granted_at(grant, moment)
    return granted if granted is not None and start <= granted <= moment.wall else None


def carried(topups: tuple[TopUp, ...], beyond: int, start: datetime, moment: Moment) -> tuple[TopUp, ...]:
    """Top-ups that outlive a period: whole what was granted when the next had begun, and what is left of those with an
    end of their own. Those that end soonest were used first."""
    kept = []
    for topup in sorted(topups, key=_end):
        since = _since(topup, start, moment)
        if since is not None:
            kept.append(replace(topup, granted=since, boot_id="", boot_s=0.0, unsure=False, charged_bytes=0))
            continue
        used = min(beyond, topup.amount_bytes)
        beyond -= used
        if topup.expires is not None and used < topup.amount_bytes:
            kept.append(replace(topup, amount_bytes=topup.amount_bytes - used))
    return tuple(kept)


def carried_override(wanted: Override | None, start: datetime, moment: Moment) -> Override | None:
    """A lift without an end ends with the period in which it was granted; all else goes on."""
    if wanted is None or wanted.mode != "lift" or wanted.expires is not None:
        return wanted
    since = _since(wanted, start, moment)
    return None if since is None else replace(wanted, granted=since, boot_id="", boot_s=0.0, unsure=False)


def given_again(right: Ledger, topups: tuple[TopUp, ...], plan: Plan) -> Ledger:
    """Top-ups that came in a period now undone, granted in the right one: each is whole, and forgives what was used
    beyond the limit by then."""
    own, before = {t.id for t in right.topups}, own_charged_bytes(right, plan)
    correction = correction_bytes(right.operator_counts)
    for topup in topups:
        if topup.id in own:
            continue
        charged = before + topup.charged_bytes
        beyond = max(0, charged + correction - limit_bytes(right, plan))
        right = replace(
            right,
            topups=(*right.topups, replace(topup, charged_bytes=charged)),
            forgiven_bytes=right.forgiven_bytes + beyond,
        )
    return right


def forgiven_bytes(topups: tuple[TopUp, ...], own_limit_bytes: int, correction: int) -> int:
    """What these top-ups forgive of what was used beyond the limit, had the correction been known at each."""
    forgiven, limit = 0, own_limit_bytes
    for topup in sorted(topups, key=lambda t: t.charged_bytes):
        beyond = max(0, topup.charged_bytes + correction - limit)
        forgiven += beyond
        limit += beyond + topup.amount_bytes
    return forgiven


def lapse(ledger: Ledger, now: datetime, plan: Plan, *, confirmed: bool) -> Ledger:
    """End what has expired. A forced speed ends at once, what is in the household's favour on confirmed time alone."""
    wanted = ledger.override
    over = wanted is not None and wanted.expires is not None and wanted.expires <= now
    if wanted is not None and over and (confirmed or wanted.mode == "force"):
        ledger = replace(ledger, override=None)
    return _expired(_returned(ledger, now), now, plan) if confirmed else ledger


def _returned(ledger: Ledger, now: datetime) -> Ledger:
    """With what expired by a clock that was wrong."""
    back = {t.id: t for t in ledger.lapsed if _end(t) > now}
    if not back:
        return ledger
    return replace(
        ledger,
        topups=(*(t for t in ledger.topups if t.id not in back), *back.values()),
        lapsed=tuple(t for t in ledger.lapsed if t.id not in back),
    )


def _expired(ledger: Ledger, now: datetime, plan: Plan) -> Ledger:
    """Without top-ups past their end; what was used of one stays paid for until the period ends."""
    gone = tuple(t for t in ledger.topups if t.expires is not None and t.expires <= now)
    if not gone:
        return ledger
    beyond, kept = beyond_bytes(ledger, plan), []
    for topup in sorted(ledger.topups, key=_end):
        used = min(beyond, topup.amount_bytes)
        beyond -= used
        if topup not in gone:
            kept.append(topup)
        elif used:
            kept.append(replace(topup, amount_bytes=used, expires=None))
    return replace(ledger, topups=tuple(kept), lapsed=(*ledger.lapsed, *gone)[-LAPSED_KEPT:])


def remaining(ledger: Ledger) -> tuple[TopUp, ...]:
    """Of what has lapsed, what a new period would still have to give, should the clock prove wrong in it."""
    used = {t.id: t.amount_bytes for t in ledger.topups if t.expires is None}
    left = (replace(t, amount_bytes=t.amount_bytes - used.get(t.id, 0)) for t in ledger.lapsed)
    return tuple(t for t in left if t.amount_bytes > 0)


def _end(topup: TopUp) -> datetime:
    return topup.expires or datetime.min.replace(tzinfo=timezone.utc)
