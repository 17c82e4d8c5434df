"""A link that carries the traffic uncounted is reported once it has lasted, and no longer than it lasts."""

from __future__ import annotations

from agent.daemon.tasks.uplink import HELD_S, LOOK_S, Uplink
from agent.events import Occurrence, UplinkJudged
from agent.traffic.uplink import Mismatch

USB = Mismatch("other-link", ("usb0",), ("wwan0",))


class Watched:
    """An uplink whose clock and routes the test turns."""

    def __init__(self) -> None:
        self.seen: Mismatch | None = None
        self.now_s = 0.0
        self.told: list[tuple[float, Mismatch | None]] = []
        self.uplink = Uplink(lambda: self.seen, lambda: self.now_s, self.hear)

    def hear(self, event: Occurrence) -> None:
        assert isinstance(event, UplinkJudged)
        self.told.append((self.now_s, event.mismatch))

    def watch(self, seconds: float) -> None:
        until = self.now_s + seconds
        while self.now_s < until:
            self.uplink.look()
            self.now_s += LOOK_S


def test_it_is_raised_within_two_minutes_and_withdrawn_at_the_next_look() -> None:
    watched = Watched()
    watched.watch(300)
    watched.seen, began_s = USB, watched.now_s
    watched.watch(300)
    watched.seen, ended_s = None, watched.now_s
    watched.watch(300)
    assert [mismatch for _, mismatch in watched.told] == [USB, None]
    assert HELD_S <= watched.told[0][0] - began_s <= 120 - LOOK_S
    assert watched.told[1][0] == ended_s


def test_a_connection_that_is_made_anew_again_and_again_raises_nothing() -> None:
    watched = Watched()
    for _ in range(20):
        watched.seen = USB
        watched.watch(HELD_S)
        watched.seen = None
        watched.watch(LOOK_S)
    assert watched.told == []


def test_another_link_is_reported_in_its_place() -> None:
    watched = Watched()
    watched.seen = USB
    watched.watch(120)
    watched.seen = other = Mismatch("other-link", ("eth0",), ("wwan0",))
    watched.watch(LOOK_S)
    assert [mismatch for _, mismatch in watched.told] == [USB, other]
