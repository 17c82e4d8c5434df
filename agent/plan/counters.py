"""From two readings of an interface's counters to the bytes that passed between them.

Called by the ledger. Never guesses a 32-bit wrap: a counter that falls has begun again at zero, which costs at most
what the old one held unread, where a guessed wrap books gigabytes that nobody used (6.28 GB for one flap of 0.2 s,
measured with vnStat 2.14). What no radio could have carried is refused, and shown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from agent.plan.model import Plan

# A reading is believed up to four times what the radio can do at best (the kernel's clock and ours are read apart),
# and up to this many bytes whatever the interval.
BELIEVABLE_FACTOR = 4
BELIEVABLE_FLOOR_BYTES = 64_000_000
STRAGGLER_S = 2.0  # a poll that was under way when the link was deleted may still arrive this long after


@dataclass(frozen=True, slots=True)
class Epoch:
    """What makes a run of counters one run: they restart at zero when the boot, or the interface, is another."""

    boot_id: str
    ifindex: int
    ifname: str


@dataclass(frozen=True, slots=True)
class Sample:
    """The link counters of one interface at one instant of CLOCK_BOOTTIME."""

    epoch: Epoch
    boot_s: float
    received_bytes: int
    sent_bytes: int
    received_packets: int = 0
    sent_packets: int = 0
    header_bytes: int = 0  # link header a packet: 14 on Ethernet types, 0 on raw IP and PPP
    final: bool = False  # the kernel's last word when it deletes the link


@dataclass(frozen=True, slots=True)
class Delta:
    """What passed since the last reading, as the plan counts it (IP or link bytes)."""

    received_bytes: int = 0
    sent_bytes: int = 0
    reset: bool = False  # the counters had begun again
    refused_bytes: int = 0  # more than the radio could have carried: not counted


@dataclass(frozen=True, slots=True)
class Last:
    """What is remembered of an interface: the reading that counts, and a reading not believed until confirmed."""

    sample: Sample
    closed: bool = False
    suspect: Sample | None = None


def believable_bytes(seconds: float, plan: Plan) -> int:
    return max(BELIEVABLE_FLOOR_BYTES, int(BELIEVABLE_FACTOR * plan.max_bps / 8 * (seconds + 1.0)))


def advance(last: Last | None, sample: Sample, plan: Plan) -> tuple[Last, Delta]:
    """Take one reading after another. `last` is what was kept for the same boot and ifindex, whatever its name."""
    if last is not None and sample.boot_s < last.sample.boot_s:
        return last, Delta()  # overtaken by a later reading
    if last is None or _another_link(last, sample):
        # It may have lived unseen since boot, no longer.
        return _judged(Last(sample, sample.final), sample, Delta(*_counted(sample, plan)), sample.boot_s, plan)
    if sample.final:
        sample = _not_below(sample, last.sample)
    if _fell(last.sample, sample) and not _fell_whole(last.sample, sample):
        return _one_direction_fell(last, sample, plan)
    base = _base(last, sample, plan)
    reset = _fell(base, sample)
    now, before = _counted(sample, plan), (0, 0) if reset else _counted(base, plan)
    if not reset and (now[0] < before[0] or now[1] < before[1]):
        # Packets were counted before their bytes: at most a header's worth; the next reading makes it good.
        return replace(last, closed=sample.final, suspect=None), Delta()
    delta = Delta(now[0] - before[0], now[1] - before[1], reset)
    return _judged(Last(sample, sample.final), base, delta, sample.boot_s - base.boot_s, plan)


def _one_direction_fell(last: Last, sample: Sample, plan: Plan) -> tuple[Last, Delta]:
    """No restart of the counters does that. A veth about to be deleted has lost its peer and reads 0 received: the
    direction that goes on is counted at once, the other keeps its old reading until the next one bears the fall out."""
    before, merged = last.sample, _not_below(sample, last.sample)
    received_fell = sample.received_bytes < before.received_bytes
    if last.suspect is None or _fell(last.suspect, sample) or not _fell(before, last.suspect):
        delta = _difference(before, merged, plan)
        kept = Last(merged, suspect=sample)
        return _judged(kept, before, delta, sample.boot_s - before.boot_s, plan)
    zeroed = (
        replace(before, received_bytes=0, received_packets=0)
        if received_fell
        else replace(before, sent_bytes=0, sent_packets=0)
    )
    delta = replace(_difference(zeroed, sample, plan), reset=True)
    return _judged(Last(sample), before, delta, sample.boot_s - before.boot_s, plan)


def _difference(before: Sample, after: Sample, plan: Plan) -> Delta:
    now, then = _counted(after, plan), _counted(before, plan)
    return Delta(max(0, now[0] - then[0]), max(0, now[1] - then[1]))


def _judged(kept: Last, base: Sample, delta: Delta, seconds: float, plan: Plan) -> tuple[Last, Delta]:
    total = delta.received_bytes + delta.sent_bytes
    if total <= believable_bytes(seconds, plan):
        return kept, delta
    if base is kept.sample:  # a first reading: nothing older to fall back on
        return kept, Delta(reset=delta.reset, refused_bytes=total)
    return Last(base, kept.closed, suspect=kept.sample), Delta(reset=delta.reset, refused_bytes=total)


def _base(last: Last, sample: Sample, plan: Plan) -> Sample:
    """The reading to count from. A suspect that the next reading bears out becomes it; a lone glitch is forgotten."""
    suspect = last.suspect
    if suspect is None or _fell(suspect, sample):
        return last.sample
    if _fell(last.sample, suspect) and not _fell(last.sample, sample):
        return last.sample  # the counters dipped once and came back
    now, then = sum(_counted(sample, plan)), sum(_counted(suspect, plan))
    borne_out = now - then <= believable_bytes(sample.boot_s - suspect.boot_s, plan)
    return suspect if borne_out else last.sample


def _another_link(last: Last, sample: Sample) -> bool:
    """A deleted link's index is not given out again within a boot, but may be asked for by number."""
    if not last.closed or sample.final:
        return False
    straggler = sample.boot_s - last.sample.boot_s <= STRAGGLER_S and sample.epoch == last.sample.epoch
    return not straggler or _fell(last.sample, sample)


def _fell(before: Sample, after: Sample) -> bool:
    return after.received_bytes < before.received_bytes or after.sent_bytes < before.sent_bytes


def _fell_whole(before: Sample, after: Sample) -> bool:
    """Both directions began again; one that had carried nothing cannot tell."""
    received = after.received_bytes < before.received_bytes or before.received_bytes == 0
    sent = after.sent_bytes < before.sent_bytes or before.sent_bytes == 0
    return received and sent


def _not_below(sample: Sample, last: Sample) -> Sample:
    """A deleted link's last word holds only per direction (veth has lost its peer by then and reads 0 received)."""
    if sample.received_bytes < last.received_bytes:
        sample = replace(sample, received_bytes=last.received_bytes, received_packets=last.received_packets)
    if sample.sent_bytes < last.sent_bytes:
        sample = replace(sample, sent_bytes=last.sent_bytes, sent_packets=last.sent_packets)
    return sample


def _counted(sample: Sample, plan: Plan) -> tuple[int, int]:
    header = sample.header_bytes if plan.count == "ip" else 0
    received = sample.received_bytes - header * sample.received_packets
    sent = sample.sent_bytes - header * sample.sent_packets
    return max(0, received), max(0, sent)
