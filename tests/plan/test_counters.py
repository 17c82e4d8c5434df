from __future__ import annotations

import pytest

from agent.plan import Delta, Epoch, Plan, Sample
from agent.plan.counters import BELIEVABLE_FLOOR_BYTES, Last, advance, believable_bytes

PLAN = Plan()
EPOCH = Epoch("boot-1", 3, "wwan0")


def reading(boot_s: float, received: int, sent: int = 0, **more: object) -> Sample:
    return Sample(EPOCH, boot_s, received, sent, **more)  # type: ignore[arg-type]


def follow(*samples: Sample, plan: Plan = PLAN) -> list[Delta]:
    """The deltas after the first reading, which is the baseline."""
    last, deltas = Last(samples[0]), []
    for sample in samples[1:]:
        last, delta = advance(last, sample, plan)
        deltas.append(delta)
    return deltas


def test_what_passed_between_two_readings() -> None:
    assert follow(reading(10, 1000, 50), reading(20, 1500, 80)) == [Delta(500, 30)]


def test_an_interface_never_seen_counts_from_zero() -> None:
    assert advance(None, reading(10, 700, 7), PLAN)[1] == Delta(700, 7)


def test_a_counter_that_falls_begins_again_and_is_no_wrap() -> None:
    """0.2 s of flap with 2.31 GB on the counter: vnStat 2.14 books 4.29 GB in each direction here."""
    deltas = follow(reading(10, 2_310_000_000, 1_200_000), reading(10.2, 1_100, 1_000))
    assert deltas == [Delta(1_100, 1_000, reset=True)]


@pytest.mark.parametrize("sent_after", [100, 130])
def test_one_direction_that_reads_zero_once_is_no_restart(sent_after: int) -> None:
    """What a veth tells just before it is deleted: found on the line, where it booked the sent bytes twice."""
    steps = (reading(10, 5000, 100), reading(20, 0, sent_after), reading(20.1, 0, sent_after, final=True))
    assert follow(*steps) == [Delta(0, sent_after - 100), Delta()]
    back = (reading(10, 5000, 100), reading(20, 0, sent_after), reading(30, 5600, sent_after))
    assert follow(*back) == [Delta(0, sent_after - 100), Delta(600, 0)]


def test_one_direction_that_stays_down_began_again() -> None:
    steps = (reading(10, 5000, 10), reading(20, 100, 60), reading(30, 150, 70), reading(40, 200, 70))
    assert follow(*steps) == [Delta(0, 50), Delta(150, 10, reset=True), Delta(50)]


def test_a_restart_of_a_link_that_only_received() -> None:
    assert follow(reading(10, 5000), reading(20, 100, 7)) == [Delta(100, 7, reset=True)]


def test_ip_bytes_are_link_bytes_less_the_header_of_each_packet() -> None:
    first = reading(10, 1514, 0, received_packets=1, header_bytes=14)
    second = reading(20, 1514 * 3, 60, received_packets=3, sent_packets=1, header_bytes=14)
    assert follow(first, second) == [Delta(3000, 46)]
    assert follow(first, second, plan=Plan(count="link")) == [Delta(3028, 60)]


def test_a_packet_counted_before_its_bytes_does_not_count_backwards() -> None:
    steps = (
        reading(10, 1514, received_packets=1, header_bytes=14),
        reading(11, 1514, received_packets=2, header_bytes=14),
        reading(12, 3028, received_packets=2, header_bytes=14),
    )
    assert follow(*steps) == [Delta(), Delta(1500)]


def test_the_last_word_of_a_deleted_link_counts_per_direction() -> None:
    """veth has lost its peer when it is deleted: received reads 0, sent is exact."""
    assert follow(reading(10, 900, 100), reading(11, 0, 150, final=True)) == [Delta(0, 50)]


def test_a_poll_overtaken_by_the_last_word_counts_nothing() -> None:
    deltas = follow(reading(10, 900), reading(12, 1000, final=True), reading(11, 950), reading(12.5, 1000))
    assert deltas == [Delta(100), Delta(), Delta()]


def test_an_index_given_out_again_after_deletion_is_another_link() -> None:
    assert follow(reading(10, 900), reading(12, 1000, final=True), reading(60, 1500)) == [Delta(100), Delta(1500)]


def test_an_impossible_jump_is_refused_and_forgotten_when_it_was_a_glitch() -> None:
    steps = (reading(10, 1000), reading(40, 2**64 - 5), reading(70, 3000))
    assert follow(*steps) == [Delta(refused_bytes=2**64 - 1005), Delta(2000)]


def test_a_jump_that_stays_is_left_out_for_good() -> None:
    steps = (reading(10, 1000), reading(40, 5_000_001_000), reading(70, 5_000_001_500), reading(100, 5_000_001_600))
    assert follow(*steps) == [Delta(refused_bytes=5_000_000_000), Delta(500), Delta(100)]


def test_a_dip_of_a_full_counter_books_nothing() -> None:
    """A driver that reads 0 once, then its 40 GB again: neither may be counted anew."""
    steps = (reading(10, 40 * 10**9), reading(40, 39 * 10**9), reading(70, 40 * 10**9 + 700))
    assert follow(*steps) == [Delta(reset=True, refused_bytes=39 * 10**9), Delta(700)]


def test_a_first_reading_beyond_what_fits_into_the_uptime_is_refused() -> None:
    last, delta = advance(None, reading(10, 10**12), PLAN)
    assert delta.refused_bytes == 10**12
    assert advance(last, reading(40, 10**12 + 5), PLAN)[1] == Delta(5)


@pytest.mark.parametrize("seconds", [0.0, 0.25, 30.0, 3600.0])
def test_the_fastest_radio_is_always_believed(seconds: float) -> None:
    assert believable_bytes(seconds, PLAN) > PLAN.max_bps / 8 * seconds
    assert believable_bytes(seconds, PLAN) >= BELIEVABLE_FLOOR_BYTES


def test_a_32_bit_wrap_is_never_believed_within_the_longest_interval() -> None:
    assert believable_bytes(30.0, PLAN) < 2**32
