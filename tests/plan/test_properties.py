"""Any sequence of traffic, flaps, renames, kills, reboots, lying clocks: every byte is counted once, in one period."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent.plan import Ledger, Trust, settle
from tests.plan.conftest import Household

BYTES = st.integers(0, 60_000_000)
SECONDS = st.floats(0.1, 4 * 3600)
TRUSTS = st.sampled_from(list(Trust))


class AnyMonths(RuleBasedStateMachine):
    """`expected` is what every reader of the counters must have found, whatever happened in between."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Household()
        self.home.look()
        self.expected = 0
        self.unread = (0, 0)
        self.saved = self.home.ledger
        self.boots = 1

    @rule(received=BYTES, sent=BYTES, seconds=SECONDS)
    def traffic(self, received: int, sent: int, seconds: float) -> None:
        self.home.clock.advance(seconds)
        self.home.received += received
        self.home.sent += sent
        self.unread = (self.unread[0] + received, self.unread[1] + sent)

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

    @rule(name=st.sampled_from(["wwan0", "wan", "usb0"]))
    def rename(self, name: str) -> None:
        self.home.ifname = name

    @rule()
    def commit(self) -> None:
        self.saved = Ledger.from_dict(self.home.ledger.to_dict())
        self.saved_expected = self.expected

    @precondition(lambda self: not self.home.ledger.links[-1].closed)
    @rule()
    def kill(self) -> None:
        """kill -9: memory is gone, the counters of this boot are not."""
        links = {link.sample.epoch.ifindex for link in self.saved.links}
        if self.saved.links and self.saved.links[0].sample.epoch.boot_id != self.home.clock.boot_id:
            return
        if self.home.ifindex not in links or len(links) != len(self.home.ledger.links):
            return  # a link that came and went unsaved is a loss of another kind
        self.home.ledger = self.saved

    @rule(off=st.timedeltas(timedelta(0), timedelta(days=70)), trust=TRUSTS)
    def reboot(self, off: timedelta, trust: Trust) -> None:
        self.home.look()
        self._all_read()
        self.boots += 1
        self.home.reboot(f"boot-{self.boots}", off_s=off.total_seconds(), trust=trust)
        self.saved = self.home.ledger

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
        self._all_read()
        total = self.home.ledger.total_received_bytes + self.home.ledger.total_sent_bytes
        assert total == self.expected
        assert ledger.refused_readings == 0
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
