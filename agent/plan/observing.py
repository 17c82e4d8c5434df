"""Counting: one reading of one interface goes into the ledger.

Called by the daemon for every sample, whatever the clock says: bytes are kept by boot time first and placed in the
period by `settle`, at once when the clock is trusted.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from agent.plan import counters
from agent.plan.counters import Delta, Last, Sample
from agent.plan.ledger import Ledger, Span
from agent.plan.model import Moment, Plan
from agent.plan.settling import settle

FRESH_S = 10.0  # so long after a fresh installation a link that already runs only gives a baseline
REMEMBERED_LINKS = 16
PENDING_SPANS = 120


def observe(ledger: Ledger, sample: Sample, moment: Moment, plan: Plan) -> tuple[Ledger, Delta]:
    """Count one reading, then settle. The Delta is for the log: what of it was counted, reset or refused."""
    boot_id = sample.epoch.boot_id
    links = tuple(link for link in ledger.links if link.sample.epoch.boot_id == boot_id)
    last = next((link for link in links if link.sample.epoch.ifindex == sample.epoch.ifindex), None)
    if last is None and _baseline_only(ledger, links, sample):
        return replace(ledger, links=(*links, Last(sample, sample.final))), Delta()
    kept, delta = counters.advance(last, sample, plan)
    others = tuple(link for link in links if link is not last)
    ledger = replace(
        ledger,
        links=(*others, kept)[-REMEMBERED_LINKS:],
        resets=ledger.resets + delta.reset,
        refused_bytes=ledger.refused_bytes + delta.refused_bytes,
        refused_readings=ledger.refused_readings + (delta.refused_bytes > 0),
    )
    if delta.received_bytes or delta.sent_bytes:
        start_s = last.sample.boot_s if last else _watched_since(ledger, links, sample)
        counted = delta.received_bytes, delta.sent_bytes
        span = Span(boot_id, min(start_s, sample.boot_s), sample.boot_s, *counted, foreign=ledger.foreign)
        ledger = with_span(ledger, span)
    return settle(ledger, moment, plan), delta


def _baseline_only(ledger: Ledger, links: tuple[Last, ...], sample: Sample) -> bool:
    known = any(link.sample.epoch.ifname == sample.epoch.ifname for link in links)
    just_started = sample.epoch.boot_id == ledger.started_boot_id and sample.boot_s <= ledger.started_s + FRESH_S
    # More in the period than was ever counted: usage that was brought in from elsewhere, so no fresh installation.
    brought_in = ledger.received_bytes + ledger.sent_bytes > ledger.total_received_bytes + ledger.total_sent_bytes
    return ledger.fresh and just_started and not known and not brought_in


def _watched_since(ledger: Ledger, links: tuple[Last, ...], sample: Sample) -> float:
    """An interface seen for the first time came after the last look at any of them, or at boot."""
    if links:
        return max(link.sample.boot_s for link in links)
    return ledger.started_s if sample.epoch.boot_id == ledger.started_boot_id else 0.0


def with_span(ledger: Ledger, span: Span) -> Ledger:
    pending = [*ledger.pending, span]
    if len(pending) > PENDING_SPANS:  # join the two neighbours that together are shortest: the least is lost in time
        neighbours = [(i, a, b) for i, (a, b) in enumerate(pairwise(pending)) if _alike(a, b)]
        pairs = [(b.end_s - a.start_s, i) for i, a, b in neighbours] or [(0.0, 0)]
        i = min(pairs)[1]
        pending[i : i + 2] = [_joined(pending[i], pending[i + 1])]
    return replace(
        ledger,
        pending=tuple(pending),
        total_received_bytes=ledger.total_received_bytes + span.received_bytes,
        total_sent_bytes=ledger.total_sent_bytes + span.sent_bytes,
    )


def _alike(a: Span, b: Span) -> bool:
    return (a.boot_id, a.foreign) == (b.boot_id, b.foreign)


def _joined(a: Span, b: Span) -> Span:
    start_s = min(a.start_s, b.start_s) if a.boot_id == b.boot_id else b.start_s
    received, sent = a.received_bytes + b.received_bytes, a.sent_bytes + b.sent_bytes
    return Span(b.boot_id, start_s, b.end_s, received, sent, foreign=a.foreign or b.foreign)
