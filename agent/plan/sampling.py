"""How often counters are read and when the ledger goes to flash: two numbers hold against each other here.

Called by the daemon at every tick. A power cut may cost at most COMMIT_BYTES at any speed the radio has, so a burst
that begins right after a reading must be seen before it has used them up: the pause shrinks as unwritten bytes grow.
A commit costs about 20 kB of an ext4 disk whatever it holds (a block or two of data, three of the journal, the inode;
measured), so a household that uses its 40 GB is written by bytes, and only one at a trickle every ten minutes.
"""

from __future__ import annotations

from agent.plan.ledger import Ledger
from agent.plan.model import Moment, Plan

COMMIT_BYTES = 40_000_000  # 0.1 % of the allowance: what a power cut may cost
TRICKLE_S = 600.0  # at a trickle a power cut costs what passed in so long
BUSY_S = 14_400.0  # and above it what is unwritten is written after so long, if not by bytes before
TRICKLE_BYTES_DAY = 10 * COMMIT_BYTES
SHORTEST_INTERVAL_S = 0.1  # 1.9 MB at 150 Mbit/s; a reading costs 5 us, a turn of the loop 0.3 ms
LONGEST_INTERVAL_S = 30.0
LATENCY_S = 0.1  # from the end of a pause to the bytes being on the disk, where it is not known to take longer


def sample_interval_s(
    remaining_bytes: int, max_bps: int, unwritten_bytes: int | None = None, latency_s: float = LATENCY_S
) -> float:
    """Seconds to the next reading.

    Half the time in which the fastest radio could use what remains to the next mark: the overshoot is bounded at every
    speed. With `unwritten_bytes`, also within the time in which it could use up what a power cut may cost, less
    `latency_s`, what a commit takes on this disk.
    """
    wanted = min(LONGEST_INTERVAL_S, max(SHORTEST_INTERVAL_S, remaining_bytes * 8 / (2 * max_bps)))
    if unwritten_bytes is None:
        return wanted
    return min(wanted, max(SHORTEST_INTERVAL_S, (COMMIT_BYTES - unwritten_bytes) * 8 / max_bps - latency_s))


def commit_bytes(max_bps: int, latency_s: float = LATENCY_S) -> int:
    """Unwritten bytes at which a commit is due: COMMIT_BYTES less what passes until it is done."""
    return max(COMMIT_BYTES // 10, int(COMMIT_BYTES - max_bps / 8 * (SHORTEST_INTERVAL_S + latency_s)))


def commit_latency_s(before_s: float, took_s: float) -> float:
    """What the next commit is expected to take: as long as the slowest of late, never less than LATENCY_S."""
    return max(LATENCY_S, took_s, 0.9 * before_s)


def unwritten_bytes(ledger: Ledger, saved: Ledger) -> int:
    return _total(ledger) - _total(saved)


def commit_due(
    ledger: Ledger,
    saved: Ledger | None,
    changed_s: float | None,
    moment: Moment,
    plan: Plan,
    *,
    latency_s: float = LATENCY_S,
) -> str | None:
    """Why the ledger must go to flash now, or None.

    `saved` is what the disk holds, `changed_s` the boot time at which bytes first differed from it.
    What nobody could recount (grants, a new period, what was told, a link that came or went) is written at once.
    """
    if saved is None:
        return "first"
    if _granted(ledger) != _granted(saved):
        return "state"
    unwritten = unwritten_bytes(ledger, saved)
    if unwritten >= commit_bytes(plan.max_bps, latency_s):
        return "bytes"
    if _links(ledger) != _links(saved):
        return "link"
    changed = unwritten or _newest_ifindex(ledger) != _newest_ifindex(saved)
    if changed and changed_s is not None and moment.boot_s - changed_s >= commit_after_s(ledger, moment):
        return "time"
    return None


def commit_after_s(ledger: Ledger, moment: Moment) -> float:
    """How long a change may stay unwritten."""
    return TRICKLE_S if _daily_bytes(ledger, moment) < TRICKLE_BYTES_DAY else BUSY_S


def _daily_bytes(ledger: Ledger, moment: Moment) -> float:
    """The pace of this period and of the one before it, for a period that has just begun tells little."""
    begun, counted, before = ledger.period.start, ledger.counted_bytes, ledger.previous
    if before is not None:
        begun, counted = before.period.start, counted + before.received_bytes + before.sent_bytes
    return counted / max(1.0, (moment.wall - begun).total_seconds() / 86_400)


def _total(ledger: Ledger) -> int:
    return ledger.total_received_bytes + ledger.total_sent_bytes


def _links(ledger: Ledger) -> set[object]:
    """Which links count, and how: a start from what the disk holds must not charge what was a baseline, another link's
    or a header."""
    return {(k.sample.epoch, k.closed, k.sample.carried, k.sample.header_bytes) for k in ledger.links}


def _newest_ifindex(ledger: Ledger) -> int:
    return ledger.watch.newest_ifindex if ledger.watch else 0


def _granted(ledger: Ledger) -> tuple[object, ...]:
    return (
        ledger.period,
        ledger.rule,
        ledger.provisional,
        ledger.topups,
        ledger.topup_ids,
        ledger.override,
        ledger.forgiven_bytes,
        ledger.warned,
        ledger.told_period,
        ledger.told_state,
    )
