"""Whether the WAN line lives, judged by the bytes that came in over it. Pure: counters and time are arguments.

What still stands (a link, a registration, an address, a TCP connection) proves nothing. A look asks for a probe only
when there is a doubt, since a probe costs the household bytes; README.md says which doubts there are and what each
costs a day. A doubt that probes have answered waits for longer and longer; a dead line is probed again after short
pauses, and at once when anything comes in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from agent.backoff import doubled_s
from agent.plan import Sample
from agent.plan.counters import Epoch

# In one look of 30 s: 5 kbit/s. A line that is merely full carries more in one direction; a module that answers for a
# dead network (ARP, ICMP unreachable, limited by Linux to one a second and host, icmp(7) icmp_ratelimit) stays below.
BUSY_BYTES = 20_000
# An upload that is acknowledged: TCP acknowledges every second full segment (RFC 1122, 4.2.3.2), and stops sending when
# nothing does. What is sent into a dead network is small (SYN, DNS), or has few answers.
FULL_PACKET_BYTES, ACKNOWLEDGED = 500, 4
# ARP 28, ICMP unreachable 56 to 88 with a SYN in it (RFC 792), TCP acknowledgement 40 to 72: none of them carries data.
TINY_PACKET_BYTES = 100
SILENT_S = 60.0  # something was sent, and for so long nothing came back
TINY_S = 120.0  # only packets without data came
CONTRADICTED_S = 25.0  # an address and a session often come by themselves: at the start, after a step of recovery
IDLE_S = 3_600.0  # nothing was sent and nothing came: with a broker its beat asks sooner
FIRST_PATIENCE_S = 60.0  # after a probe that was answered; doubled each time the same doubt comes again, up to:
LONGEST_PATIENCE_S = {"silent": 600.0, "contradicted": 3_600.0, "tiny": 3_600.0, "idle": 3_600.0}
DEAD_PATIENCE_S = (15.0, 120.0)  # doubled from the first to the last while probes fail


class Verdict(Enum):
    """ALIVE: shown by the line itself. PROBE: ask. WAIT: what was found last still holds."""

    ALIVE = "alive"
    PROBE = "probe"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Moved:
    """What all WAN links carried between two looks."""

    received_bytes: int = 0
    received_packets: int = 0
    sent_bytes: int = 0
    sent_packets: int = 0

    @property
    def busy(self) -> bool:
        """Whether so much passes that nobody need be asked."""
        uploaded = self.sent_bytes >= max(BUSY_BYTES, FULL_PACKET_BYTES * self.sent_packets)
        return self.received_bytes >= BUSY_BYTES or (
            uploaded and self.received_packets * ACKNOWLEDGED >= self.sent_packets
        )

    @property
    def data(self) -> bool:
        """Whether packets came that carry something."""
        return self.received_bytes > TINY_PACKET_BYTES * self.received_packets


class Liveness:
    """Remembers what was seen of one device's WAN links. `dead`: it was dead when the agent ended."""

    def __init__(self, now_s: float, *, dead: bool = False) -> None:
        self._counters: dict[Epoch, Sample] = {}
        self._looked_s = self._proved_s = now_s
        self._probed_s = float("-inf")
        self._unanswered_s: float | None = None  # since when something sent has had no answer
        self._contradicted_s: float | None = None
        self._tiny = False  # packets without data came since the last proof
        self._failures = int(dead)
        self._patience_s: dict[str, float] = {}

    def look(
        self, now_s: float, samples: Iterable[Sample], *, heard_s: float | None = None, contradicted: bool = False
    ) -> Verdict:
        """`heard_s`: when the broker's last bytes came. `contradicted`: something that should stand does not."""
        moved, before_s, self._looked_s = self._moved(samples), self._looked_s, now_s
        if moved.busy or (heard_s is not None and heard_s > before_s):
            return self._prove(now_s)
        if self._failures and moved.received_packets:
            return Verdict.PROBE
        self._note(moved, before_s)
        if not contradicted:
            self._contradicted_s = None
            self._forget("contradicted")
        elif self._contradicted_s is None:
            self._contradicted_s = now_s
        if moved.data and not contradicted and not self._failures:
            return self._prove(now_s)
        doubts = self._doubts(now_s)
        due = any(now_s - self._probed_s >= self._patience(doubt) for doubt in doubts)
        return Verdict.PROBE if due else Verdict.WAIT

    def probed(self, now_s: float, answered: bool) -> None:
        """What the probe that was asked for has found."""
        self._probed_s = now_s
        if not answered:
            self._failures += 1
            self._patience_s.clear()
            return
        for doubt in self._doubts(now_s) - {"dead"}:
            self._patience_s[doubt] = min(max(FIRST_PATIENCE_S, 2 * self._patience(doubt)), LONGEST_PATIENCE_S[doubt])
        self._prove(now_s)

    def rest(self, now_s: float, samples: Iterable[Sample]) -> None:
        """The line is away on purpose: what was sent meanwhile asks for nothing."""
        self._moved(samples)
        self._looked_s = self._proved_s = now_s
        self._unanswered_s, self._tiny = None, False

    @property
    def dead(self) -> bool:
        """Whether the last probe failed and nothing has come since."""
        return self._failures > 0

    @property
    def silent_since_s(self) -> float | None:
        """Since when what was sent has had no answer."""
        return self._unanswered_s

    def _prove(self, now_s: float) -> Verdict:
        self._proved_s, self._unanswered_s, self._tiny, self._failures = now_s, None, False, 0
        return Verdict.ALIVE

    def _note(self, moved: Moved, before_s: float) -> None:
        if moved.received_packets:
            self._unanswered_s = None
            if self._probed_s < before_s:  # otherwise it may be the probe's own answer
                self._tiny = True
                self._forget("silent")
        elif moved.sent_packets and self._unanswered_s is None:
            self._unanswered_s = before_s

    def _doubts(self, now_s: float) -> set[str]:
        """Every reason to ask."""
        if self.dead:
            return {"dead"}
        quiet_s = now_s - self._proved_s
        unanswered_s = 0.0 if self._unanswered_s is None else now_s - self._unanswered_s
        reasons = {
            "silent": unanswered_s >= SILENT_S,
            "contradicted": self._contradicted_s is not None and now_s - self._contradicted_s >= CONTRADICTED_S,
            "tiny": self._tiny and quiet_s >= TINY_S,
            "idle": quiet_s >= IDLE_S,
        }
        return {reason for reason, holds in reasons.items() if holds}

    def _patience(self, doubt: str) -> float:
        if doubt == "dead":
            first_s, longest_s = DEAD_PATIENCE_S
            return doubled_s(first_s, longest_s, self._failures - 1)
        return self._patience_s.get(doubt, 0.0)

    def _forget(self, *doubts: str) -> None:
        for doubt in doubts:
            self._patience_s.pop(doubt, None)

    def _moved(self, samples: Iterable[Sample]) -> Moved:
        """A link that is new gives a baseline; one whose counters fell has begun again."""
        found = {sample.epoch: sample for sample in samples}
        pairs = [(self._counters[epoch], sample) for epoch, sample in found.items() if epoch in self._counters]
        self._counters = found
        grown = [
            (old, new)
            for old, new in pairs
            if new.received_bytes >= old.received_bytes and new.sent_bytes >= old.sent_bytes
        ]
        received_packets = sum(new.received_packets - old.received_packets for old, new in grown)
        headers = sum(new.header_bytes * (new.received_packets - old.received_packets) for old, new in grown)
        return Moved(
            sum(new.received_bytes - old.received_bytes for old, new in grown) - headers,
            received_packets,
            sum(new.sent_bytes - old.sent_bytes for old, new in grown),
            sum(new.sent_packets - old.sent_packets for old, new in grown),
        )
