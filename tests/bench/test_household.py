"""The frozen pages, and what the browser's bench makes of packets and accounts."""

from __future__ import annotations

import re
import socket
import struct

import pytest

from tests.bench import household_browser as browser
from tests.bench.household_browser import End, Held, Loaded
from tests.bench.household_call import OPUS, Seen, one_way_ms
from tests.bench.household_pages import PAGES, files
from tests.netns import Namespace


@pytest.mark.parametrize("name", PAGES)
def test_a_page_weighs_what_it_says_and_names_all_its_parts(name: str) -> None:
    made = dict(files(name))
    assert sum(map(len, made.values())) == PAGES[name].total_bytes
    document = made[f"{name}.html"].decode()
    assert sorted(re.findall(r'(?:href|src)="([^"]+)"', document)) == sorted(set(made) - {f"{name}.html"})
    assert made == dict(files(name))


def test_the_pages_are_those_that_were_asked_for() -> None:
    assert {name: page.total_bytes for name, page in PAGES.items()} == {
        "form": 150_000, "news": 2_500_000, "school": 1_000_000,
    }  # fmt: skip


HOME, AWAY = "192.168.1.2", "10.99.0.1"


def packet(
    sender: str = AWAY, *, number: int = 1, kind: int = OPUS, first: int = 0x90, protocol: int = 17, options: int = 0
) -> bytes:
    """IPv4 (RFC 791), UDP and the beginning of RTP (RFC 3550, 5.1)."""
    addresses = socket.inet_aton(sender) + socket.inet_aton(HOME)
    header = struct.pack(">BBHHHBBH", 0x45 + options, 0, 100, 0, 0, 64, protocol, 0) + addresses + bytes(4 * options)
    return header + bytes(8) + struct.pack(">BBHII", first, kind, number, 0, 7) + bytes(60)


@pytest.mark.parametrize(
    ("seen", "is_sound"),
    [
        (packet(), True),
        (packet(kind=0x80 | OPUS), True),  # the marker bit, after a silence
        (packet(options=1), True),
        (packet(kind=96), False),  # the picture
        (packet(kind=200), False),  # RTCP's sender report (RFC 5761, 4)
        (packet(first=0x16), False),  # DTLS
        (packet(first=0x00), False),  # STUN
        (packet(protocol=6), False),
        (packet()[:30], False),
        (b"\x60" + packet()[1:], False),  # IPv6
    ],
)
def test_sound_is_told_from_all_else(seen: bytes, is_sound: bool) -> None:
    place = Seen()
    place.look(seen, 5)
    assert len(place.at_ns) == is_sound


def test_one_way_is_that_of_each_packet_of_one_sender_that_arrived() -> None:
    left, arrived = Seen(), Seen()
    for number, (sender, sent_ms, came_ms) in enumerate(
        [(AWAY, 0, 20), (AWAY, 20, 70), (AWAY, 40, None), (HOME, 9, 3)]
    ):
        left.look(packet(sender, number=number), sent_ms * 1_000_000)
        if came_ms is not None:
            arrived.look(packet(sender, number=number), came_ms * 1_000_000)
    assert one_way_ms(Namespace("", AWAY), left, arrived) == [20, 50]


GOOD = End(lost_percent=2.0, concealed_percent=9.0, one_way_ms=(30.0, 150.0), frames_per_s=15.0, frozen_s=0.0)
LOSSY = End(lost_percent=2.1, concealed_percent=0.0, one_way_ms=(30.0, 40.0), frames_per_s=15.0, frozen_s=0.0)
LATE = End(lost_percent=0.0, concealed_percent=0.0, one_way_ms=(30.0, 151.0), frames_per_s=15.0, frozen_s=0.0)


@pytest.mark.parametrize(
    ("what", "load", "outcome", "kept"),
    [
        ("form", "update on the same host", Loaded(6.0, 1.0), True),
        ("form", "update on another host", Loaded(6.1, 1.0), False),
        ("form", "update on another host", "not in 44 s", False),
        ("form", "alone", Loaded(9.0, 1.0), None),
        ("news", "update on another host", Loaded(90.0, 1.0), None),
        ("form", "update on another host", browser.TIME_OUT, None),
        (browser.CALL, "alone", Held(GOOD, GOOD), True),
        (browser.CALL, "alone", Held(LOSSY, GOOD), False),
        (browser.CALL, "alone", Held(GOOD, LATE), False),
        (browser.CALL, "alone", "home: no call", False),
    ],
)
def test_what_is_kept(what: str, load: str, outcome: browser.Outcome, kept: bool | None) -> None:
    assert browser.judged(what, load, outcome)[2] is kept
