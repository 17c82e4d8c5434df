"""Whether a line lives, as stories of counters and time: what is asked when, and what is never asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from agent.daemon.liveness import DEAD_PATIENCE_S, IDLE_S, Liveness, Verdict
from agent.daemon.tasks.recovery import LOOK_S
from agent.plan import Epoch, Sample

WAN = Epoch("b", 5, "wwan0")
HOUR_S, DAY_S = 3_600.0, 86_400.0


@dataclass
class Line:
    """One link: `load` gives (packets, bytes) received and packets sent in a look; `answers`: what probes find."""

    sent_packet_bytes: int = field(default=60, kw_only=True)

    load: Callable[[float], tuple[int, int, int]]
    answers: Callable[[float], bool] = lambda now_s: True
    heard: Callable[[float], float | None] = lambda now_s: None
    contradicted: bool = False
    asked_s: list[float] = field(default_factory=list)
    dead_s: list[float] = field(default_factory=list)  # looks after which it was held for dead

    def live(self, seconds: float) -> Line:
        liveness, sums = Liveness(0.0), [0, 0, 0]
        for number in range(int(seconds / LOOK_S) + 1):
            now_s = number * LOOK_S
            sums = [old + new for old, new in zip(sums, self.load(now_s), strict=True)]
            sample = Sample(WAN, now_s, sums[1] + 14 * sums[0], self.sent_packet_bytes * sums[2], sums[0], sums[2], 14)
            verdict = liveness.look(now_s, [sample], heard_s=self.heard(now_s), contradicted=self.contradicted)
            if verdict is Verdict.PROBE:
                self.asked_s.append(now_s)
                answered = self.answers(now_s)
                liveness.probed(now_s, answered)
                if answered:  # by this very line: 3 packets of 40 to 120 bytes
                    sums = [sums[0] + 3, sums[1] + 200, sums[2] + 6]
            if liveness.dead:
                self.dead_s.append(now_s)
        return self


def beats(every_s: float) -> Callable[[float], float | None]:
    """A broker that acknowledges a beat."""
    return lambda now_s: now_s // every_s * every_s if now_s >= every_s else None


HEALTHY = {
    "browsing": lambda now_s: (900, 1_200_000, 500),
    "a message now and then": lambda now_s: (6, 4_000, 6),
    "throttled and full": lambda now_s: (1_300, 1_900_000, 700),
    "upload only, slow and full: acknowledgements come in": lambda now_s: (640, 640 * 52, 1_280),
}


@pytest.mark.parametrize("load", HEALTHY.values(), ids=list(HEALTHY))
def test_a_healthy_line_is_never_probed(load: Callable[[float], tuple[int, int, int]]) -> None:
    assert Line(load).live(DAY_S).asked_s == []


def test_a_slow_upload_that_is_acknowledged_is_not_asked_about() -> None:
    """128 kbit/s full: probes would not come through in time, and a step of recovery would cut it."""
    assert Line(lambda now_s: (160, 160 * 52, 320), sent_packet_bytes=1_500).live(DAY_S).asked_s == []


def test_what_is_sent_in_full_packets_into_a_dead_network_is_no_upload() -> None:
    """A video call goes on sending; the module answers one packet a second with ICMP unreachable."""
    line = Line(lambda now_s: (30, 30 * 88, 3_000), answers=lambda now_s: False, sent_packet_bytes=1_200).live(600)
    assert line.dead_s[0] <= 150


def test_a_night_without_traffic_is_not_probed_where_the_broker_answers_its_beats() -> None:
    idle = Line(lambda now_s: (2, 180, 2) if now_s % 1_500 == 0 else (0, 0, 0), heard=beats(1_500.0))
    assert idle.live(DAY_S).asked_s == []


def test_a_line_that_nobody_uses_is_probed_once_an_hour_at_most() -> None:
    asked_s = Line(lambda now_s: (0, 0, 0)).live(DAY_S).asked_s
    assert asked_s[0] == IDLE_S
    assert len(asked_s) <= 24


def test_small_packets_alone_are_asked_about_less_and_less() -> None:
    """A household that pings, or keeps a connection open, on a healthy line."""
    assert len(Line(lambda now_s: (30, 30 * 84, 30)).live(DAY_S).asked_s) <= 30


def test_what_is_sent_to_nobody_on_a_healthy_line_is_bounded() -> None:
    assert len(Line(lambda now_s: (0, 0, 3)).live(DAY_S).asked_s) <= 150


BROKER_AWAY = {
    "browsing": (lambda now_s: (900, 1_200_000, 500), 1),  # at the start
    "idle": (lambda now_s: (0, 0, 0), 32),
    "little": (lambda now_s: (6, 4_000, 6), 32),
}


@pytest.mark.parametrize(("load", "most"), BROKER_AWAY.values(), ids=list(BROKER_AWAY))
def test_a_broker_that_is_away_on_a_healthy_line_costs_little_and_is_no_dead_line(
    load: Callable[[float], tuple[int, int, int]], most: int
) -> None:
    line = Line(load, contradicted=True).live(DAY_S)
    assert len(line.asked_s) <= most
    assert line.dead_s == []


DEAD_AT_S = 1_010.0  # between two looks
DYING = {
    "silent under use": lambda now_s: (0, 0, 40),
    "a module that answers for the network: ICMP unreachable": lambda now_s: (30, 30 * 88, 60),
    "a module that answers ARP": lambda now_s: (1, 28, 20),
    "one packet a minute": lambda now_s: (0, 0, 1) if now_s % 60 == 0 else (0, 0, 0),
}


@pytest.mark.parametrize("load", DYING.values(), ids=list(DYING))
def test_a_line_that_dies_is_asked_and_held_for_dead_within_three_minutes(
    load: Callable[[float], tuple[int, int, int]],
) -> None:
    line = Line(
        lambda now_s: load(now_s) if now_s > DEAD_AT_S else (900, 1_200_000, 500), answers=lambda now_s: False
    ).live(DEAD_AT_S + HOUR_S)
    assert line.dead_s[0] - DEAD_AT_S + 8 <= 180  # 8 s: the longest probe
    assert all(now_s > DEAD_AT_S for now_s in line.asked_s)


def test_a_broker_that_falls_silent_on_an_idle_line_is_asked_about_at_once() -> None:
    """The beat leaves and nothing comes back."""
    line = Line(lambda now_s: (0, 0, 2) if 900 <= now_s < 1_000 else (0, 0, 0), answers=lambda now_s: False).live(1_200)
    assert line.asked_s[0] <= 990


def test_a_broker_outage_does_not_hide_a_line_that_dies_later() -> None:
    line = Line(
        lambda now_s: (6, 4_000, 6) if now_s < DAY_S / 2 else (0, 0, 6),
        answers=lambda now_s: now_s < DAY_S / 2,
        contradicted=True,
    ).live(DAY_S / 2 + HOUR_S)
    assert DAY_S / 2 < line.dead_s[0] <= DAY_S / 2 + 172


def test_a_dead_line_is_probed_at_growing_pauses_and_lives_at_the_first_answer() -> None:
    line = Line(lambda now_s: (0, 0, 9), answers=lambda now_s: now_s >= HOUR_S).live(HOUR_S + 300)
    assert len([now_s for now_s in line.asked_s if now_s < HOUR_S]) <= 4 + HOUR_S / DEAD_PATIENCE_S[1]
    assert line.dead_s[-1] <= HOUR_S + DEAD_PATIENCE_S[1]


def test_a_dead_line_is_asked_at_once_when_something_comes_in() -> None:
    line = Line(lambda now_s: (1, 60, 9) if now_s == 1_650 else (0, 0, 9), answers=lambda now_s: now_s >= 1_650).live(
        1_800
    )
    assert 1_650 in line.asked_s
    assert line.dead_s[-1] < 1_650


def test_a_line_that_was_dead_before_a_restart_is_asked_at_the_first_look() -> None:
    assert Liveness(0.0, dead=True).look(LOOK_S, []) is Verdict.PROBE


def test_a_link_that_is_new_or_begins_again_is_no_sign_of_life() -> None:
    liveness = Liveness(0.0)
    big = Sample(WAN, 30.0, 10**9, 10**9, 10**6, 10**6)
    assert liveness.look(30.0, [big]) is Verdict.WAIT
    assert liveness.look(60.0, [Sample(WAN, 60.0, 10, 10, 1, 10**6 + 5)]) is Verdict.WAIT


def test_a_scan_that_took_the_line_away_leaves_no_doubt_behind() -> None:
    liveness = Liveness(0.0)
    liveness.look(30.0, [Sample(WAN, 30.0, 0, 0)])
    liveness.look(60.0, [Sample(WAN, 60.0, 0, 0, 0, 5)])
    liveness.rest(180.0, [Sample(WAN, 180.0, 0, 0, 0, 50)])
    assert liveness.look(210.0, [Sample(WAN, 210.0, 0, 0, 0, 55)]) is Verdict.WAIT
