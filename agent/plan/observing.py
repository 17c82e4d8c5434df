"""Counting: readings of the interfaces go into the ledger.

Called by the daemon for every sample, whatever the clock says: bytes are kept by boot time first and placed in the
period by `settle`, at once when the clock is trusted.

A link that the ledger does not know gives a baseline if it was there before: the household was not charged for what it
carried while the agent ran without it, and is not charged for it later. It counts from zero if it came since the agent
last looked, and after a boot. Which of both is told by its number, for the kernel gives numbers in rising order.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from agent.plan import counters
from agent.plan.counters import Delta, Last, Sample, Survey
from agent.plan.ledger import Gap, Ledger, Span, Watch, with_gap
from agent.plan.model import Moment, Plan
from agent.plan.sampling import COMMIT_BYTES
from agent.plan.settling import settle

REMEMBERED_CLOSED = 16  # deleted links: one may have moved to another network namespace, and come back
PENDING_SPANS = 120


def survey(ledger: Ledger, found: Survey, moment: Moment, plan: Plan) -> tuple[Ledger, list[tuple[Sample, Delta]]]:
    """Count a reading of all links, then settle. An open link that was not read is not counted any more: the
    configuration means others, it has another name, or it went unseen. Nor is one that had gone and is there again
    without being read. Should such a link count one day, it gives a baseline."""
    if _installed_now(ledger, found.boot_id):
        ledger = replace(ledger, watch=Watch(found.boot_id, found.boot_s, found.newest_ifindex))
    if ledger.watch is not None and ledger.watch.boot_id != found.boot_id:
        ledger = replace(ledger, gaps=with_gap(ledger.gaps, Gap("restart", 1, COMMIT_BYTES)))
    deltas = []
    for sample in found.samples:
        ledger, delta = _counted(ledger, sample, plan)
        deltas.append((sample, delta))
    read = {sample.epoch.ifindex for sample in found.samples}
    kept = tuple(
        link
        for link in ledger.links
        if link.sample.epoch.ifindex in read
        or link.sample.boot_s > found.boot_s
        or (link.closed and link.sample.epoch.ifindex not in found.present)
    )
    seen = _seen(ledger.watch, found.boot_id, found.boot_s, found.newest_ifindex)
    return settle(replace(ledger, links=kept, watch=seen), moment, plan), deltas


def _seen(watch: Watch | None, boot_id: str, boot_s: float, ifindex: int) -> Watch:
    """The agent has seen that there are links up to this number."""
    if watch is not None and watch.boot_id == boot_id:
        boot_s, ifindex = max(boot_s, watch.boot_s), max(ifindex, watch.newest_ifindex)
    return Watch(boot_id, boot_s, ifindex)


def passed_over(ledger: Ledger, boot_id: str, boot_s: float, ifindex: int) -> Ledger:
    """A link has come that does not count. What is known of one that had its number, and was deleted or moved away, is
    no beginning any more: should it count one day, that gives a baseline."""
    kept = tuple(link for link in ledger.links if link.sample.epoch.ifindex != ifindex)
    return replace(ledger, links=kept, watch=_seen(ledger.watch, boot_id, boot_s, ifindex))


def observe(ledger: Ledger, sample: Sample, moment: Moment, plan: Plan) -> tuple[Ledger, Delta]:
    """Count one reading, then settle. The Delta is for the log: what of it was counted, reset or refused."""
    ledger, delta = _counted(ledger, sample, plan)
    return settle(ledger, moment, plan), delta


def _counted(ledger: Ledger, sample: Sample, plan: Plan) -> tuple[Ledger, Delta]:
    boot_id = sample.epoch.boot_id
    links = tuple(link for link in ledger.links if link.sample.epoch.boot_id == boot_id)
    last = next((link for link in links if link.sample.epoch.ifindex == sample.epoch.ifindex), None)
    others = tuple(link for link in links if link is not last)
    if last is not None and _came_from_elsewhere(last, sample):
        last = None
    if last is None and _baseline_only(ledger, links, sample):
        return replace(ledger, links=_remembered((*others, Last(sample, sample.final)))), Delta()
    since_s = _watched_since(ledger, boot_id)
    kept, delta = counters.advance(last, sample, plan, since_s)
    if (last.sample if last else sample).carried:
        delta = Delta()
    ledger = replace(
        ledger,
        links=_remembered((*others, kept)),
        resets=ledger.resets + delta.reset,
        refused_bytes=ledger.refused_bytes + delta.refused_bytes,
        refused_readings=ledger.refused_readings + (delta.refused_bytes > 0),
    )
    if delta.refused_bytes:
        ledger = replace(ledger, gaps=with_gap(ledger.gaps, Gap("refused", 1, delta.refused_bytes)))
    if delta.received_bytes or delta.sent_bytes:
        start_s = last.sample.boot_s if last else since_s
        counted = delta.received_bytes, delta.sent_bytes
        span = Span(boot_id, min(start_s, sample.boot_s), sample.boot_s, *counted, foreign=ledger.foreign)
        ledger = with_span(ledger, span)
    return ledger, delta


def _remembered(links: tuple[Last, ...]) -> tuple[Last, ...]:
    """All that are open, for one that were forgotten would not be counted; of those deleted the last few."""
    closed = [link for link in links if link.closed]
    return (*closed[-REMEMBERED_CLOSED:], *(link for link in links if not link.closed))


def _came_from_elsewhere(last: Last, sample: Sample) -> bool:
    """Another link under the number of one that went, asked for by number or moved here from another namespace."""
    return sample.appeared and last.closed and sample.epoch.ifname != last.sample.epoch.ifname


def _baseline_only(ledger: Ledger, links: tuple[Last, ...], sample: Sample) -> bool:
    if sample.appeared:
        return True  # a new link holds 0
    watch, boot_id = ledger.watch, sample.epoch.boot_id
    if watch is not None and watch.boot_id == boot_id:
        return sample.epoch.ifindex <= watch.newest_ifindex
    newest = max((link.sample.epoch.ifindex for link in links), default=sample.epoch.ifindex)
    return _installed_now(ledger, boot_id) and sample.epoch.ifindex <= newest


def _installed_now(ledger: Ledger, boot_id: str) -> bool:
    """A fresh installation that has yet to look for the first time."""
    unseen = ledger.watch is None and boot_id == ledger.started_boot_id
    # More in the period than was ever counted: usage that was brought in from elsewhere, so no fresh installation.
    brought_in = ledger.received_bytes + ledger.sent_bytes > ledger.total_received_bytes + ledger.total_sent_bytes
    return ledger.fresh and unseen and not brought_in


def _watched_since(ledger: Ledger, boot_id: str) -> float:
    """A link that is new to the ledger came after the last look, or after the boot."""
    if ledger.watch is not None and ledger.watch.boot_id == boot_id:
        return ledger.watch.boot_s
    return ledger.started_s if boot_id == ledger.started_boot_id else 0.0


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
