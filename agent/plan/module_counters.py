"""The second witness: the cellular module's own byte counters, where the vendor has them, beside the ledger.

Called by the daemon after a poll of the module that brought counters, once an interface was read after it. Within a
boot the two are compared and the drift is told, no more: the kernel's counters are the ledger of record. After a power
cut, what the module kept and the disk did not is charged; never more than that, for the module is read before the
kernel, and never more than a power cut can cost.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from agent.plan.ledger import Ledger, Span, Witness
from agent.plan.model import Moment, Plan
from agent.plan.observing import with_span
from agent.plan.sampling import COMMIT_BYTES
from agent.plan.settling import settle

RECOVERABLE_BYTES = 2 * COMMIT_BYTES
DRIFT_SHARE = 0.02  # lost and repeated radio blocks, headers: a module may count 1 % more than the kernel
DRIFT_BYTES = 50_000_000


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the comparison gave."""

    recovered_bytes: int = 0  # lost in a power cut, charged now
    refused_bytes: int = 0  # more than a power cut can have cost: not believed
    drift_bytes: int = 0  # module less ledger, since the module's counters last began
    drifting: bool = False  # beyond what headers and the radio explain


def compare(
    ledger: Ledger, received: int, sent: int, read_at_s: float, moment: Moment, plan: Plan
) -> tuple[Ledger, Comparison]:
    """`received` and `sent` are the module's counters, read at `read_at_s` of this boot."""
    newest_s = max((link.sample.boot_s for link in ledger.links), default=-1.0)
    if newest_s < read_at_s:
        return ledger, Comparison()  # the kernel has yet to be asked about those bytes
    before = ledger.witness
    fresh = Witness(moment.boot_id, received, sent, ledger.total_received_bytes, ledger.total_sent_bytes)
    if before is None or received < before.received_bytes or sent < before.sent_bytes:
        return replace(ledger, witness=fresh), Comparison()
    more = (
        (received - before.received_bytes) - (ledger.total_received_bytes - before.ledger_received_bytes),
        (sent - before.sent_bytes) - (ledger.total_sent_bytes - before.ledger_sent_bytes),
    )
    seen = before.seen_bytes + received - before.received_bytes + sent - before.sent_bytes
    if before.boot_id != moment.boot_id:
        return _after_a_boot(ledger, replace(fresh, seen_bytes=before.seen_bytes), more, moment, plan)
    drift = before.drift_bytes + sum(more)
    fresh = replace(fresh, drift_bytes=drift, seen_bytes=seen)
    drifting = abs(drift) > max(DRIFT_BYTES, DRIFT_SHARE * seen)
    return replace(ledger, witness=fresh), Comparison(drift_bytes=drift, drifting=drifting)


def _after_a_boot(
    ledger: Ledger, fresh: Witness, more: tuple[int, int], moment: Moment, plan: Plan
) -> tuple[Ledger, Comparison]:
    received, sent = max(0, more[0]), max(0, more[1])
    missing = received + sent
    if missing > RECOVERABLE_BYTES:
        return replace(ledger, witness=fresh), Comparison(refused_bytes=missing)
    if missing:
        # Of the boot before, the wall time of which is gone: it stays in the period that was under way.
        ledger = with_span(ledger, Span("before", 0.0, 0.0, received, sent, foreign=ledger.foreign))
        fresh = replace(
            fresh, ledger_received_bytes=ledger.total_received_bytes, ledger_sent_bytes=ledger.total_sent_bytes
        )
        ledger = settle(ledger, moment, plan)
    recovered = ledger.recovered_bytes + missing
    return replace(ledger, witness=fresh, recovered_bytes=recovered), Comparison(recovered_bytes=missing)
