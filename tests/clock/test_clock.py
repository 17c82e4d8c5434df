from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from agent.clock import Clock, System, believable, boot_id, boot_s, disciplined
from agent.config import ClockSettings
from agent.plan.model import Trust
from tests.manual_clock import ManualClock

NOW = datetime(2026, 11, 10, 12, tzinfo=timezone.utc)
FLOOR = NOW - timedelta(days=2)


class Board(System):
    """A board whose clocks the test sets."""

    def __init__(self, wall: datetime = NOW, *, synced: bool = False) -> None:
        self.set_to, self.up_s, self.synced = wall, 50.0, synced

    def wall(self) -> datetime:
        return self.set_to

    def boot_s(self) -> float:
        return self.up_s

    def boot_id(self) -> str:
        return "boot-1"

    def disciplined(self) -> bool:
        return self.synced

    def pass_time(self, seconds: float) -> None:
        self.set_to += timedelta(seconds=seconds)
        self.up_s += seconds


def clock(board: Board, source: str = "auto", floor: datetime | None = FLOOR) -> Clock:
    return Clock(ClockSettings(source=source), floor=floor, system=board)


@pytest.mark.parametrize("wall", [datetime(y, 1, 6, tzinfo=timezone.utc) for y in (1970, 1980, 2004, 2080, 2106)])
def test_years_that_no_modem_lives_in(wall: datetime) -> None:
    board = Board(wall, synced=True)
    ours = clock(board)
    assert not believable(wall)
    assert ours.now().trust is Trust.STORED
    assert ours.now().wall == FLOOR
    assert not ours.offer_network_time(wall, board.up_s)
    assert clock(board, "system").now().trust is Trust.STORED


def test_nothing_known_at_all() -> None:
    assert clock(Board(), floor=None).now().trust is Trust.UNSYNC


def test_the_floor_holds_a_clock_that_woke_up_in_the_past() -> None:
    moment = clock(Board(NOW - timedelta(days=200))).now()
    assert (moment.wall, moment.trusted) == (FLOOR, False)


def test_ntp_is_believed_and_carried_on_when_it_is_lost() -> None:
    board = Board(synced=True)
    ours = clock(board)
    assert ours.now().trust is Trust.SYNC
    board.synced = False
    board.pass_time(9 * 3600)  # the kernel gives up on NTP after some nine hours without it
    assert ours.now().trust is Trust.SYNC


def test_a_clock_set_wrong_after_trust_was_won_is_not_followed() -> None:
    board = Board(synced=True)
    ours = clock(board)
    ours.now()
    board.synced = False
    board.pass_time(60)
    board.set_to = NOW + timedelta(days=40)
    assert ours.now().wall == NOW + timedelta(seconds=60)


def test_network_time_lends_trust_to_a_clock_that_agrees() -> None:
    board = Board()
    ours = clock(board)
    assert ours.offer_network_time(NOW + timedelta(seconds=2), board.up_s)
    moment = ours.now()
    assert (moment.wall, moment.trust) == (NOW, Trust.NITZ), "the system's clock is finer than whole seconds"


def test_network_time_replaces_a_clock_that_does_not_agree() -> None:
    board = Board(NOW - timedelta(days=3))
    ours = clock(board)
    ours.offer_network_time(NOW, board.up_s)
    board.pass_time(30)
    assert ours.now().wall == NOW + timedelta(seconds=30)


@pytest.mark.parametrize(
    ("source", "synced", "trust"),
    [
        ("auto", True, Trust.SYNC),
        ("auto", False, Trust.NITZ),
        ("ntp", True, Trust.SYNC),
        ("ntp", False, Trust.STORED),
        ("modem", True, Trust.NITZ),
        ("modem", False, Trust.NITZ),
        ("system", False, Trust.SYNC),
    ],
)
def test_which_source_is_believed(source: str, synced: bool, trust: Trust) -> None:
    board = Board(synced=synced)
    ours = clock(board, source)
    ours.offer_network_time(NOW, board.up_s)
    assert ours.now().trust is trust


def test_the_real_system_answers() -> None:
    assert boot_s() > 0
    assert len(boot_id()) == 36
    assert disciplined() in (True, False)
    moment = Clock(ClockSettings(), floor=None).now()
    assert abs((moment.wall - datetime.now(timezone.utc)).total_seconds()) < 5
    assert moment.boot_id == boot_id()


def test_a_manual_clock_only_moves_when_told() -> None:
    manual = ManualClock(NOW, boot_s=10)
    assert manual.now() == manual.now()
    later = manual.advance(5)
    assert (later.wall, later.boot_s) == (NOW + timedelta(seconds=5), 15)
    assert manual.set_wall(NOW, Trust.NITZ).boot_s == 15
    assert manual.reboot("boot-2").boot_id == "boot-2"
    assert not manual.now().trusted
    manual.offer_network_time(NOW, manual.boot_s)
    assert manual.now().trust is Trust.NITZ
