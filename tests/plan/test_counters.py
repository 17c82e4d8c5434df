from __future__ import annotations

from dataclasses import replace

import pytest

from agent.plan import Delta, Epoch, Plan, Sample
from agent.plan.counters import Last, advance, believable_bytes

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


def test_a_link_that_went_and_comes_back_with_its_counters_goes_on() -> None:
    """Moved to another network namespace and back: the kernel deletes no counter, and keeps the index."""
    steps = (reading(10, 900), reading(12, 1000, final=True), reading(60, 1000, appeared=True), reading(70, 1500))
    assert follow(*steps) == [Delta(100), Delta(), Delta(500)]
    assert follow(*steps[:2], steps[3]) == [Delta(100), Delta(500)], "its coming back went unheard"


def test_an_index_asked_for_again_after_deletion_is_another_link() -> None:
    steps = (reading(10, 900), reading(12, 70_000_000, final=True), reading(60, 0, appeared=True), reading(70, 1500))
    assert follow(*steps) == [Delta(69_999_100), Delta(), Delta(1500)]
    assert follow(*steps[:2], steps[3]) == [Delta(69_999_100), Delta(1500)], "its coming went unheard"


def test_an_impossible_jump_is_refused_and_forgotten_when_it_was_a_glitch() -> None:
    steps = (reading(10, 1000), reading(40, 2**64 - 5), reading(70, 3000))
    assert follow(*steps) == [Delta(refused_bytes=2**64 - 1005), Delta(2000)]


def test_a_jump_that_no_line_can_carry_is_left_out_for_good() -> None:
    high = 5 * 10**12
    steps = (reading(10, 1000), reading(40, high + 1000), reading(70, high + 1500), reading(100, high + 1600))
    assert follow(*steps) == [Delta(refused_bytes=high), Delta(500), Delta(100)]


def test_of_a_jump_that_stays_the_believable_part_is_booked() -> None:
    """5 GB in 30 s, four fifths of it received: a line of 1.3 Gbit/s. Once the next reading bears it out."""
    part = believable_bytes(30, PLAN)
    steps = (reading(10, 0, 0), reading(40, 4 * 10**9, 10**9), reading(70, 4 * 10**9 + 500, 10**9))
    held, booked = follow(*steps)
    assert held == Delta(refused_bytes=5 * 10**9)
    assert booked == Delta(part * 4 // 5 + 500, part - part * 4 // 5, refused_bytes=-part)


@pytest.mark.parametrize(("gbps", "counted"), [(0.3, 1.0), (1.0, 1.0), (3.0, 0.5), (8.0, 0.19)])
def test_a_line_faster_than_max_bps_is_never_counted_as_nothing(gbps: float, counted: float) -> None:
    rate = int(gbps * 10**9 / 8)
    deltas = follow(*(reading(10 + 2 * n, 2 * n * rate) for n in range(60)))
    booked = sum(d.received_bytes for d in deltas)
    held = sum(d.refused_bytes for d in deltas)
    assert counted * 58 * rate * 2 <= booked <= 59 * 2 * rate
    assert booked + held == 59 * 2 * rate, "what is not booked is reported"


def test_a_glitch_on_a_fast_line_books_nothing() -> None:
    """1 Gbit/s, and one reading of 30 GB more that comes back."""
    rate = 125_000_000
    steps = [reading(10 + 2 * n, 2 * n * rate + (30 * 10**9 if n == 5 else 0)) for n in range(10)]
    assert sum(d.received_bytes for d in follow(*steps)) == 18 * rate


@pytest.mark.parametrize("dip", [1, 60, 1500, 65_536])
@pytest.mark.parametrize("both", [True, False])
def test_a_dip_by_a_few_bytes_books_nothing_again(dip: int, both: bool) -> None:
    """Two readings in a row below the one before: no restart, which would begin at zero."""
    high = 5_000_000
    steps = (
        reading(10, high, high),
        reading(20, high - dip, high - dip if both else high + 40),
        reading(30, high - dip, high - dip if both else high + 50),
        reading(40, high + 700, high + 50),
    )
    deltas = follow(*steps)
    assert sum(d.received_bytes for d in deltas) == 700
    assert sum(d.sent_bytes for d in deltas) == 50
    assert not any(d.reset for d in deltas)


@pytest.mark.parametrize(("before", "after"), [(14, 0), (0, 14)])
def test_a_link_that_changes_its_type_goes_on(before: int, after: int) -> None:
    """`raw_ip` of qmi_wwan: 400 000 packets are on the counters when their header comes or goes."""
    steps = (
        reading(10, 40_000_000, received_packets=400_000, header_bytes=before),
        reading(20, 40_000_000, received_packets=400_000, header_bytes=after),  # the kernel tells, so it is read
        reading(30, 45_000_000, received_packets=450_000, header_bytes=after),
    )
    assert follow(*steps) == [Delta(), Delta(5_000_000 - after * 50_000)]
    late = replace(steps[1], received_bytes=41_000_000, received_packets=410_000)
    assert follow(steps[0], late) == [Delta(1_000_000 - before * 10_000)], "what came before the change had that header"


@pytest.mark.parametrize("header", [0, 14])
@pytest.mark.parametrize("every_s", [2, 15, 30])
def test_counters_of_32_bits_lose_nothing(header: int, every_s: int) -> None:
    """Ten times around at 60 Mbit/s down and 20 up; the packets go on, for they are fewer."""
    samples: list[Sample] = []
    at_s = 10
    while not samples or at_s * 7_500_000 < 10.5 * 2**32:
        received, sent = at_s * 7_500_000, at_s * 2_500_000
        samples.append(
            reading(
                at_s,
                received % 2**32,
                sent % 2**32,
                received_packets=received // 1_500,
                sent_packets=sent // 500,
                header_bytes=header,
            )
        )
        at_s += every_s
    passed_s = samples[-1].boot_s - samples[0].boot_s
    true = passed_s * (7_500_000 - header * 5_000 + 2_500_000 - header * 5_000)
    deltas = follow(*samples)
    assert sum(d.received_bytes + d.sent_bytes for d in deltas) == true
    assert not any(d.reset for d in deltas)


def test_bytes_that_begin_again_while_the_packets_go_on_are_counted_at_once() -> None:
    """A wrap unread for so long that nothing accounts for it: its headers are those of the packets since."""
    steps = (
        reading(10, 4_200_000_000, 500, received_packets=3_000_000, sent_packets=5, header_bytes=14),
        reading(40, 1_000_000, 600, received_packets=3_000_010, sent_packets=6, header_bytes=14),
        reading(70, 1_500_000, 600, received_packets=3_000_400, sent_packets=6, header_bytes=14),
    )
    assert follow(*steps) == [Delta(0, 86), Delta(1_500_000 - 14 * 400, 0, reset=True)]


def test_a_wrap_that_its_packets_do_not_account_for_is_none() -> None:
    """4.2 GB, then 1 GB, and ten packets between: the counter began again."""
    steps = (
        reading(10, 4_200_000_000, 500, received_packets=3_000_000, sent_packets=5),
        reading(40, 1_000_000_000, 600, received_packets=3_000_010, sent_packets=6),
        reading(70, 1_000_000_000, 600, received_packets=3_000_010, sent_packets=6),
    )
    assert sum(d.received_bytes for d in follow(*steps)) <= 1_000_000_000


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


def test_a_32_bit_wrap_is_never_believed_within_the_longest_interval() -> None:
    assert believable_bytes(30.0, PLAN) < 2**32
