"""From one rate to another: in place, at once, and with what it takes made ready before."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from agent.config import ShaperSettings
from agent.plan import Rates
from agent.traffic import Kernel, Shaper
from agent.traffic.netlink.route import Route
from tests.netns import Wire
from tests.traffic.conftest import SHOWN, SLOW, count_reads, play, qdiscs, reconcile

pytestmark = pytest.mark.root


def test_a_step_changes_the_rate_in_place(cable: Wire) -> None:
    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        await reconcile(kernel, shaper, Rates(5_000_000, 2_000_000))
        before = cable.near.tc("-s", "qdisc", "show", "dev", "wan0")
        await asyncio.to_thread(cable.near.run, "ping", "-c3", "-i0.01", cable.far.address)
        state = await reconcile(kernel, shaper, SLOW)
        assert state.changed
        after = cable.near.tc("-s", "qdisc", "show", "dev", "wan0")
        assert "rate 2018Kbit" in before
        assert SHOWN.search(after)
        assert "Sent 0 bytes" not in after.splitlines()[1]  # a new qdisc would begin at zero

    play(cable, scenario)


def test_a_full_queue_of_super_packets_goes_on_after_a_step_down(cable: Wire) -> None:
    """What stands in the queue when the line is throttled must fit through the slower one: it does not stall."""

    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        await reconcile(kernel, shaper, Rates(5_000_000, 5_000_000))
        await reconcile(kernel, shaper, Rates(5_000_000, 5_000_000))
        with _super_packets(cable):
            assert (await reconcile(kernel, shaper, SLOW)).changed
            (before,) = await kernel.samples(["wan0"])
            waiting = int(re.findall(r"backlog (\d+)b", cable.near.tc("-s", "qdisc", "show", "dev", "wan0"))[0])
            assert waiting > 20_000  # full all the while, from before the line was throttled
            limit = time.monotonic() + 10
            while (await kernel.samples(["wan0"]))[0].sent_bytes - before.sent_bytes <= 64_000:  # twice what stood
                assert time.monotonic() < limit, "the queue stands still"
                await asyncio.sleep(0.05)

    play(cable, scenario)


@contextlib.contextmanager
def _super_packets(cable: Wire) -> Iterator[None]:
    """As many as the queue takes, all the while, from when it is full on. Each is seven datagrams, which stay one until
    a qdisc or a driver takes them apart (udp(7), UDP_SEGMENT)."""
    with cable.near.entered():
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(socket.SOL_UDP, 103, 1_400)
    full, enough = threading.Event(), threading.Event()

    def send() -> None:
        for sent in itertools.count(1):
            if enough.wait(0.001):
                return
            with contextlib.suppress(BlockingIOError):
                sender.sendto(bytes(7 * 1_400), socket.MSG_DONTWAIT, (cable.far.address, 9))
            if sent == 15:
                full.set()

    thread = threading.Thread(target=send)
    thread.start()
    try:
        assert full.wait(10)
        yield
    finally:
        enough.set()
        thread.join()
        sender.close()


def test_a_step_between_known_rates_reads_nothing_and_is_verified_after(cable: Wire) -> None:
    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        full = Rates(5_000_000, 2_000_000)
        await reconcile(kernel, shaper, full)
        await reconcile(kernel, shaper, full)
        links, reads = await kernel.links(["wan*"]), list[float]()
        await kernel.call(lambda route: count_reads(route, reads))
        state = await shaper.reconcile(links, SLOW)
        assert (state.state, state.changed, reads) == ("enforced", True, [])
        assert SHOWN.search(qdiscs(cable, "wan0"))
        assert SHOWN.search(qdiscs(cable, "ifb4wan0"))
        assert not (await shaper.reconcile(links, SLOW)).changed
        assert len(reads) == 1

    play(cable, scenario)


def test_a_step_on_what_no_longer_stands_mends_it(cable: Wire) -> None:
    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        full = Rates(5_000_000, 2_000_000)
        await reconcile(kernel, shaper, full)
        await reconcile(kernel, shaper, full)
        cable.near.ip("link", "del", "ifb4wan0")
        assert (await reconcile(kernel, shaper, SLOW)).state == "enforced"
        assert SHOWN.search(qdiscs(cable, "ifb4wan0"))

    play(cable, scenario)


def test_a_shaper_that_is_off_says_with_what_it_would_shape_and_has_it_ready(cable: Wire) -> None:
    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        shaper.expect([Rates(None, None), SLOW])
        for _ in range(2):
            state = await reconcile(kernel, shaper, Rates(None, None))
        assert (state.state, state.changed, state.reason) == ("off", False, "")
        assert state.qdisc == (await Shaper(kernel, ShaperSettings()).reconcile([], SLOW)).qdisc != ""
        assert "1fa" not in cable.near.tc("qdisc", "show")  # ready, and nothing of it there
        assert "ifb4" not in cable.near.run("ip", "link")
        encoded: list[str] = []
        await kernel.call(lambda route: _note_encodings(route, encoded))
        assert (await reconcile(kernel, shaper, SLOW)).state == "enforced"
        # What was not known before: the number of the ifb, which the redirect leads to, and that it is to be up.
        assert len(encoded) <= 2, encoded

    play(cable, scenario)


def _note_encodings(route: Route, encoded: list[str]) -> None:
    reset = route._compiler.reset

    def noted() -> None:
        encoded.append("one")
        reset()

    route._compiler.reset = noted
