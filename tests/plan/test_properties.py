"""Any sequence of traffic, flaps, renames, moves, dips, jumps, kills, reboots, lying clocks: every byte is counted
once, in one period, or is refused and reported."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent.plan import Ledger, Trust, settle
from agent.plan.counters import DIP_BYTES, POSSIBLE_BPS, believable_bytes
from tests.plan.conftest import Household

SHARES = st.floats(0, 0.5)  # of what is believable, in each direction
SECONDS = st.floats(0.1, 4 * 3600)
IP_PACKET_BYTES = 1_000
TRUSTS = st.sampled_from(list(Trust))


class AnyMonths(RuleBasedStateMachine):
    """`expected` is what every reader of the counters must have found, whatever happened in between."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Household()
        self.home.look()
        self.expected = 0
        self.glitched = 0  # refused of what never passed
        self.unread = (0, 0)
        self._save()
        self.boots = 1

    def _save(self) -> None:
        self.saved, self.saved_glitched = Ledger.from_dict(self.home.ledger.to_dict()), self.glitched

    @rule(received=SHARES, sent=SHARES, seconds=SECONDS)
    def traffic(self, received: float, sent: float, seconds: float) -> None:
        believable = min(60_000_000, believable_bytes(seconds, self.home.plan) - 4 * IP_PACKET_BYTES)
        self._pass(int(received * believable), int(sent * believable), seconds)

    @rule(gbps=st.floats(1.1, 15), seconds=st.floats(1, 60))
    def traffic_of_a_fast_line(self, gbps: float, seconds: float) -> None:
        assert gbps * 1e9 < POSSIBLE_BPS
        self._pass(int(gbps * 1e9 / 8 * seconds), 0, seconds)
        self.home.look()
        self.home.clock.advance(1)

    def _pass(self, received: int, sent: int, seconds: float) -> None:
        self.home.clock.advance(seconds)
        passed = self.home.carry(received // IP_PACKET_BYTES, sent // IP_PACKET_BYTES, IP_PACKET_BYTES)
        self.unread = (self.unread[0] + passed[0], self.unread[1] + passed[1])

    @rule()
    def read(self) -> None:
        self.home.look()
        self._all_read()

    def _all_read(self) -> None:
        self.expected += sum(self.unread)
        self.unread = (0, 0)

    @rule(last_word=st.sampled_from(["both", "sent", "none"]))
    def recreate(self, last_word: str) -> None:
        """The kernel tells both counters, only those sent (veth), or nothing (the event was missed)."""
        if last_word == "both":
            self.home.look(final=True)
            self._all_read()
        elif last_word == "sent":
            self.home.look(final=True, received_bytes=0)
            self.expected += self.unread[1]
        self.unread = (0, 0)
        self.home.recreate()

    @rule(header_bytes=st.sampled_from([0, 14]))
    def change_type(self, header_bytes: int) -> None:
        """The kernel tells of the change at once."""
        self.home.header_bytes = header_bytes
        self.home.tell()
        self._save()  # as the daemon does at once

    @rule(dip=st.integers(1, DIP_BYTES), both=st.booleans())
    def dip(self, dip: int, both: bool) -> None:
        if min(self.home.received, self.home.sent) < 2 * DIP_BYTES:
            return
        self.home.tell(received_bytes=self.home.received - dip, sent_bytes=self.home.sent - dip * both)

    @rule()
    def glitch(self) -> None:
        before = self.home.ledger.refused_bytes
        self.home.tell(received_bytes=self.home.received + 2**50)
        self.glitched += self.home.ledger.refused_bytes - before

    @rule(away_s=SECONDS, elsewhere=st.integers(0, 60_000), heard=st.booleans(), number=st.integers(0, 1))
    def move(self, away_s: float, elsewhere: int, heard: bool, number: int) -> None:
        """To another network namespace and back, where its number may be taken meanwhile."""
        self.home.tell(final=True)
        self.home.clock.advance(away_s)
        self.home.look_without()
        passed = self.home.carry(elsewhere // IP_PACKET_BYTES, 0, IP_PACKET_BYTES)
        self.home.ifindex += number
        if number == 0:
            self.expected += sum(passed)  # the same run of counters
        if heard or number:
            self.home.tell(appeared=True)

    @rule(bytes_=st.integers(0, 10**12), seconds=SECONDS, told=st.booleans())
    def run_without(self, bytes_: int, seconds: float, told: bool) -> None:
        """The configuration means another link for a while."""
        self.home.look_without()
        self.home.clock.advance(seconds)
        self.home.carry(bytes_ // IP_PACKET_BYTES, 0, IP_PACKET_BYTES)
        if told:
            self.home.look_without()
        self.home.look()
        self._save()  # the first commit after the start

    @rule(bytes_=st.integers(0, 10**9), seconds=SECONDS)
    def carried(self, bytes_: int, seconds: float) -> None:
        """It is part of another link that counts, for a while."""
        self.home.tell(carried=True)
        self.home.clock.advance(seconds)
        self.home.carry(bytes_ // IP_PACKET_BYTES, 0, IP_PACKET_BYTES)
        self.home.tell()
        self._save()

    @rule(name=st.sampled_from(["wwan0", "wan", "usb0"]))
    def rename(self, name: str) -> None:
        self.home.ifname = name

    @rule()
    def commit(self) -> None:
        self._save()

    @precondition(lambda self: not self.home.ledger.links[-1].closed)
    @rule()
    def kill(self) -> None:
        """kill -9: memory is gone, the counters of this boot are not."""
        links = {link.sample.epoch.ifindex for link in self.saved.links}
        if self.saved.links and self.saved.links[0].sample.epoch.boot_id != self.home.clock.boot_id:
            return
        if self.home.ifindex not in links or len(links) != len(self.home.ledger.links):
            return  # a link that came and went unsaved is a loss of another kind
        self.home.ledger, self.glitched = self.saved, self.saved_glitched

    @rule(off=st.timedeltas(timedelta(0), timedelta(days=70)), trust=TRUSTS)
    def reboot(self, off: timedelta, trust: Trust) -> None:
        self.home.look()
        self._all_read()
        self.boots += 1
        self.home.reboot(f"boot-{self.boots}", off_s=off.total_seconds(), trust=trust)
        self._save()

    @rule(trust=TRUSTS)
    def trust(self, trust: Trust) -> None:
        self.home.clock.set_trust(trust)

    @rule(jump=st.timedeltas(timedelta(days=-40), timedelta(days=40)))
    def jump(self, jump: timedelta) -> None:
        self.home.clock.set_wall(self.home.clock.wall + jump)

    @rule()
    def settle(self) -> None:
        self.home.ledger = settle(self.home.ledger, self.home.clock.now(), self.home.plan)

    @invariant()
    def every_byte_is_counted_once(self) -> None:
        ledger = self.home.ledger
        self.home.look()
        self.home.look()  # which settles what the first one did not believe
        self._all_read()
        total = self.home.ledger.total_received_bytes + self.home.ledger.total_sent_bytes
        assert total + self.home.ledger.refused_bytes - self.glitched == self.expected
        if not self.home.clock.now().trusted:
            assert self.home.ledger.period == ledger.period, "an untrusted clock moves nothing"

    @invariant()
    def every_byte_is_in_one_period(self) -> None:
        ledger = self.home.ledger
        placed = sum(h.received_bytes + h.sent_bytes for h in ledger.hours)
        pending = sum(s.received_bytes + s.sent_bytes for s in ledger.pending)
        assert placed + pending == ledger.total_received_bytes + ledger.total_sent_bytes
        own = sum(h.received_bytes + h.sent_bytes for h in ledger.hours if h.period == ledger.period.label)
        assert own == ledger.received_bytes + ledger.sent_bytes


AnyMonths.TestCase.settings = hypothesis_settings(max_examples=120, stateful_step_count=40, deadline=None)
TestAnyMonths = AnyMonths.TestCase
