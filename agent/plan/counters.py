"""From two readings of an interface's counters to the bytes that passed between them.

Called by the ledger. A counter that falls has begun again at zero, which costs at most what the old one held unread,
where a guessed wrap books gigabytes that nobody used (6.28 GB for one flap of 0.2 s, measured with vnStat 2.14). A
32-bit wrap is taken for one only where the packets of that direction went on counting and account for its bytes.

| more passed than | the reading is | and is booked |
|---|---|---|
| `believable_bytes` | held back until the next one | as far as it is believable, if the counters went on from there |
| `possible_bytes` | of a broken counter | never |

A counter that comes back to where it was before a jump had a glitch, and books nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from agent.plan.model import Plan

# A reading is believed up to four times `max_bps` (the kernel's clock and ours are read apart), and at least up to what
# a gigabit line carries, whatever `max_bps` says: 1 051 360 bits a TTI of 1 ms, LTE DL category 16 (3GPP TS 36.306,
# table 4.1A-1). In the longest pause between two readings that is less than 2^32 bytes.
BELIEVABLE_FACTOR = 4
LINE_BPS = 1_051_360_000
POSSIBLE_BPS = 20_000_000_000  # IMT-2020 peak downlink rate, ITU-R M.2410 clause 4.1: no radio carries more
# Counters of several processors are added up while they change, so that a sum may be a packet or two behind the one
# before it: 65 536 bytes is the largest super-packet (GSO_LEGACY_MAX_SIZE, linux/netdevice.h).
DIP_BYTES = 65_536
WRAP_BYTES = 2**32  # `unsigned long` counters (struct net_device_stats) on a 32-bit processor


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
    appeared: bool = False  # the kernel's first word of the link: what it holds, it carried elsewhere
    carried: bool = False  # its bytes pass another link that counts too, such as the port of a bridge


@dataclass(frozen=True, slots=True)
class Survey:
    """All links that count, read at one moment; every other link there was is not counted."""

    boot_id: str
    boot_s: float
    newest_ifindex: int  # of all links in the namespace: the kernel numbers them in the order of their creation
    samples: tuple[Sample, ...]
    present: frozenset[int] = frozenset()  # the numbers of all links there are, also of those that are not counted


@dataclass(frozen=True, slots=True)
class Delta:
    """What passed since the last reading, as the plan counts it (IP or link bytes)."""

    received_bytes: int = 0
    sent_bytes: int = 0
    reset: bool = False  # the counters had begun again
    refused_bytes: int = 0  # more than the line could have carried; below 0: what of it is counted after all


@dataclass(frozen=True, slots=True)
class Last:
    """What is remembered of an interface: the reading that counts, and a reading not believed until confirmed."""

    sample: Sample
    closed: bool = False
    suspect: Sample | None = None


def believable_bytes(seconds: float, plan: Plan) -> int:
    return int(max(BELIEVABLE_FACTOR * plan.max_bps, LINE_BPS) / 8 * (seconds + 1.0))


def possible_bytes(seconds: float) -> int:
    return int(POSSIBLE_BPS / 8 * (seconds + 1.0))


def advance(last: Last | None, sample: Sample, plan: Plan, since_s: float = 0.0) -> tuple[Last, Delta]:
    """Take one reading after another. `last` is what was kept for the same boot and ifindex, whatever its name; where
    there is none, the link came after `since_s` and began at zero."""
    if last is None:
        return _from_zero(sample, plan, since_s)
    if sample.boot_s < last.sample.boot_s:
        return last, Delta()  # overtaken by a later reading
    before, confirmed = _confirmed(last, sample, plan)
    sample = _without_dips(before, sample)
    before = _before_wrap(before, sample, plan)
    if sample.final:
        sample = _not_below(sample, before)
    elif last.closed and _fell(before, sample):
        return _from_zero(sample, plan, before.boot_s)  # the index of a deleted link, asked for by number
    if _fell(before, sample) and not _fell_whole(before, sample):
        kept, delta = _one_direction_fell(last, before, sample, plan)
    else:
        kept, delta = _went_on(before, sample, plan)
    return kept, _sum(confirmed, delta)


def _from_zero(sample: Sample, plan: Plan, since_s: float) -> tuple[Last, Delta]:
    delta = _difference(_zeroed(sample), sample, plan)
    total = delta.received_bytes + delta.sent_bytes
    if total > believable_bytes(sample.boot_s - since_s, plan):
        delta = Delta(refused_bytes=total)  # nothing tells where it began
    return Last(sample, sample.final), delta


def _went_on(before: Sample, sample: Sample, plan: Plan) -> tuple[Last, Delta]:
    """Both directions grew, or both began again."""
    reset = _fell(before, sample)
    delta = _difference(_zeroed(sample) if reset else before, sample, plan)
    if delta.received_bytes < 0 or delta.sent_bytes < 0:
        # Packets were counted before their bytes: at most a header's worth; the next reading makes it good.
        return Last(before, sample.final), Delta()
    return _judged(Last(sample, sample.final), before, replace(delta, reset=reset), plan)


def _one_direction_fell(last: Last, before: Sample, sample: Sample, plan: Plan) -> tuple[Last, Delta]:
    """No restart of the counters does that. A veth about to be deleted has lost its peer and reads 0 received: the
    direction that goes on is counted at once, the other keeps its old reading until the next one bears the fall out."""
    suspect = last.suspect
    if suspect is None or _fell(suspect, sample) or not _fell(before, suspect):
        merged = _not_below(sample, before)
        return _judged(Last(merged, suspect=sample), before, _difference(before, merged, plan), plan)
    if sample.received_bytes < before.received_bytes:
        packets = _packets_before(before.received_packets, sample.received_packets)
        zeroed = replace(before, received_bytes=0, received_packets=packets)
    else:
        packets = _packets_before(before.sent_packets, sample.sent_packets)
        zeroed = replace(before, sent_bytes=0, sent_packets=packets)
    delta = _difference(zeroed, sample, plan)
    delta = Delta(max(0, delta.received_bytes), max(0, delta.sent_bytes), reset=True)
    return _judged(Last(sample), before, delta, plan)


def _packets_before(before: int, after: int) -> int:
    """Where the count of packets began: bytes alone fell if that went on."""
    return before if after >= before else 0


def _judged(kept: Last, before: Sample, delta: Delta, plan: Plan) -> tuple[Last, Delta]:
    total, seconds = delta.received_bytes + delta.sent_bytes, kept.sample.boot_s - before.boot_s
    if total <= believable_bytes(seconds, plan):
        return kept, delta
    return Last(before, kept.closed, suspect=kept.sample), Delta(reset=delta.reset, refused_bytes=total)


def _confirmed(last: Last, sample: Sample, plan: Plan) -> tuple[Sample, Delta]:
    """The reading to count from, and what is booked of a suspect that this one bears out. A lone glitch is dropped."""
    before, suspect = last.sample, last.suspect
    if suspect is None or _fell(suspect, sample):
        return before, Delta()
    if not _fell(before, suspect):
        return suspect, _believable_part(before, suspect, plan)
    if _fell_whole(before, suspect) and _fell(before, sample):
        return suspect, Delta()  # began again at more than can have passed: the counter is another, nothing more
    return before, Delta()  # one direction, which is another matter, or a dip that came back


def _believable_part(before: Sample, suspect: Sample, plan: Plan) -> Delta:
    """Of a jump that stayed: the line is faster than `max_bps` says, unless no line can be so fast."""
    jump, seconds = _difference(before, suspect, plan), suspect.boot_s - before.boot_s
    total, part = jump.received_bytes + jump.sent_bytes, believable_bytes(seconds, plan)
    if total > possible_bytes(seconds):
        return Delta()
    received = jump.received_bytes * part // total
    return Delta(received, part - received, refused_bytes=-part)


def _sum(a: Delta, b: Delta) -> Delta:
    return Delta(
        a.received_bytes + b.received_bytes,
        a.sent_bytes + b.sent_bytes,
        a.reset or b.reset,
        a.refused_bytes + b.refused_bytes,
    )


def _difference(before: Sample, after: Sample, plan: Plan) -> Delta:
    """Below 0 where packets were counted before their bytes. The link's type holds from one reading to the next: the
    kernel tells when it changes (`raw_ip` of qmi_wwan), so that the link is read at that moment."""
    header = before.header_bytes if plan.count == "ip" else 0
    packets_received = max(0, after.received_packets - before.received_packets)
    packets_sent = max(0, after.sent_packets - before.sent_packets)
    return Delta(
        after.received_bytes - before.received_bytes - header * packets_received,
        after.sent_bytes - before.sent_bytes - header * packets_sent,
    )


def _zeroed(sample: Sample) -> Sample:
    return replace(sample, received_bytes=0, sent_bytes=0, received_packets=0, sent_packets=0)


def _fell(before: Sample, after: Sample) -> bool:
    return after.received_bytes < before.received_bytes or after.sent_bytes < before.sent_bytes


def _fell_whole(before: Sample, after: Sample) -> bool:
    """Both directions began again; one that had carried nothing cannot tell."""
    received = after.received_bytes < before.received_bytes or before.received_bytes == 0
    sent = after.sent_bytes < before.sent_bytes or before.sent_bytes == 0
    return received and sent


def _not_below(sample: Sample, before: Sample) -> Sample:
    """A direction that fell keeps its old reading. So counts a deleted link's last word (veth has lost its peer by
    then and reads 0 received)."""
    if sample.received_bytes < before.received_bytes:
        sample = replace(sample, received_bytes=before.received_bytes, received_packets=before.received_packets)
    if sample.sent_bytes < before.sent_bytes:
        sample = replace(sample, sent_bytes=before.sent_bytes, sent_packets=before.sent_packets)
    return sample


def _without_dips(before: Sample, sample: Sample) -> Sample:
    """No counter that began again at zero comes so close to where it was."""
    received_dipped = _dipped(before.received_bytes, sample.received_bytes)
    sent_dipped = _dipped(before.sent_bytes, sample.sent_bytes)
    if not (received_dipped or sent_dipped):
        return sample
    received = before if received_dipped else sample
    sent = before if sent_dipped else sample
    return replace(
        sample,
        received_bytes=received.received_bytes,
        received_packets=received.received_packets,
        sent_bytes=sent.sent_bytes,
        sent_packets=sent.sent_packets,
    )


def _dipped(before: int, after: int) -> bool:
    return 0 < before - after <= min(DIP_BYTES, after)


def _before_wrap(before: Sample, sample: Sample, plan: Plan) -> Sample:
    """The reading before, as far below zero as its counter was below 2^32 where it has wrapped since."""
    limit = believable_bytes(sample.boot_s - before.boot_s, plan)
    received_packets = sample.received_packets - before.received_packets
    if _wrapped(before.received_bytes, sample.received_bytes, received_packets, limit):
        before = replace(before, received_bytes=before.received_bytes - WRAP_BYTES)
    if _wrapped(before.sent_bytes, sample.sent_bytes, sample.sent_packets - before.sent_packets, limit):
        before = replace(before, sent_bytes=before.sent_bytes - WRAP_BYTES)
    return before


def _wrapped(before: int, after: int, packets: int, limit: int) -> bool:
    passed = after + WRAP_BYTES - before
    return after < before < WRAP_BYTES and passed <= min(limit, packets * DIP_BYTES)
