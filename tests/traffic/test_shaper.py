"""The shaper against a real kernel: what stands there afterwards, read back by `tc` and not by our own code."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Awaitable, Callable

import pytest

from agent.config import ShaperSettings
from agent.plan import Rates
from agent.traffic import Capabilities, Kernel, LinkEvent, Shaper, ShaperState
from agent.traffic.messages import Node
from agent.traffic.netlink import Route
from tests.netns import Wire
from tests.traffic.conftest import ManualSeconds, drop_net_admin, kernel_in, until

pytestmark = pytest.mark.root

SLOW = Rates(512_000, 512_000)
# The same 512 kbit/s of IP as tc shows it: cake reckons from the IP header on, tbf by 1514 bytes for 1500 of IP.
SHOWN = re.compile(r"qdisc cake .* bandwidth 512Kbit |rate 516776bit")


def play(cable: Wire, scenario: Callable[[Kernel, Shaper], Awaitable[None]], **settings: object) -> None:
    async def run() -> None:
        async with kernel_in(cable) as kernel:
            await scenario(kernel, Shaper(kernel, ShaperSettings(**settings)))  # type: ignore[arg-type]

    asyncio.run(run())


async def reconcile(kernel: Kernel, shaper: Shaper, rates: Rates) -> ShaperState:
    return await shaper.reconcile(await kernel.links(["wan*"]), rates)


def qdiscs(cable: Wire, device: str) -> str:
    """What tc shows, but for the packets that came before the classes did: those are counted as direct."""
    return re.sub(r"direct_packets_stat \d+", "", cable.near.tc("qdisc", "show", "dev", device))


def test_both_directions_are_shaped_and_twice_is_no_change(cable: Wire) -> None:
    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        first = await reconcile(kernel, shaper, SLOW)
        assert (first.state, first.rates, first.changed, first.reason) == ("enforced", SLOW, True, "")
        for device in ("wan0", "ifb4wan0"):
            assert "1fa0: root" in qdiscs(cable, device)
            assert SHOWN.search(qdiscs(cable, device))
        assert "ifb4wan0" in cable.near.tc("filter", "show", "dev", "wan0", "ingress")
        second = await reconcile(kernel, shaper, SLOW)
        assert (second.state, second.changed) == ("enforced", False)

    play(cable, scenario)


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
        await asyncio.to_thread(_send_super_packets, cable, 15)
        assert (await reconcile(kernel, shaper, SLOW)).changed
        (before,) = await kernel.samples(["wan0"])
        waiting = int(re.findall(r"backlog (\d+)b", cable.near.tc("-s", "qdisc", "show", "dev", "wan0"))[0])
        assert waiting > 30_000
        await asyncio.sleep(0.5)
        (after,) = await kernel.samples(["wan0"])
        assert after.sent_bytes - before.sent_bytes > 10_000  # of 32 000

    play(cable, scenario)


def _send_super_packets(cable: Wire, count: int) -> None:
    """Seven datagrams at a time, which stay one until a qdisc or a driver takes them apart (udp(7), UDP_SEGMENT)."""
    with cable.near.entered():
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sender:
        sender.setsockopt(socket.SOL_UDP, 103, 1_400)
        for _ in range(count):
            sender.sendto(bytes(7 * 1_400), (cable.far.address, 9))


def test_one_direction_alone(cable: Wire) -> None:
    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        await reconcile(kernel, shaper, Rates(None, 512_000))
        assert "1fa0:" in qdiscs(cable, "wan0")
        assert "ingress" not in qdiscs(cable, "wan0")
        await reconcile(kernel, shaper, Rates(512_000, None))
        assert "1fa0:" not in qdiscs(cable, "wan0")
        assert "ingress" in qdiscs(cable, "wan0")
        assert "1fa0:" in qdiscs(cable, "ifb4wan0")

    play(cable, scenario)


def test_removed_twice_leaves_nothing_behind(cable: Wire) -> None:
    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        before = qdiscs(cable, "wan0")
        await reconcile(kernel, shaper, SLOW)
        gone = await shaper.remove(await kernel.links(["wan*"]))
        assert (gone.state, gone.changed) == ("off", True)
        again = await shaper.remove(await kernel.links(["wan*"]))
        assert (again.state, again.changed) == ("off", False)
        assert qdiscs(cable, "wan0") == before
        assert cable.near.tc("filter", "show", "dev", "wan0", "ingress") == ""
        assert "ifb4" not in cable.near.run("ip", "link")

    play(cable, scenario)


@pytest.mark.parametrize(
    "damage",
    [
        ("tc", "qdisc", "del", "dev", "wan0", "root"),
        ("tc", "qdisc", "del", "dev", "wan0", "ingress"),
        ("tc", "qdisc", "del", "dev", "ifb4wan0", "root"),
        ("ip", "link", "del", "ifb4wan0"),
        ("ip", "link", "set", "ifb4wan0", "down"),
        (
            "tc",
            "qdisc",
            "change",
            "dev",
            "wan0",
            "handle",
            "1fa0:",
            "root",
            "tbf",
            "rate",
            "9mbit",
            "burst",
            "9k",
            "limit",
            "9k",
        ),
        ("tc", "filter", "del", "dev", "wan0", "ingress"),
    ],
    ids=lambda words: " ".join(words[1:5]),
)
def test_what_a_stranger_breaks_is_mended(cable: Wire, damage: tuple[str, ...]) -> None:
    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        await reconcile(kernel, shaper, SLOW)
        sound = [qdiscs(cable, device) for device in ("wan0", "ifb4wan0")]
        cable.near.run(*damage)
        state = await reconcile(kernel, shaper, SLOW)
        assert (state.state, state.changed) == ("enforced", True)
        assert [qdiscs(cable, device) for device in ("wan0", "ifb4wan0")] == sound
        assert "UP" in cable.near.run("ip", "link", "show", "ifb4wan0")
        assert not (await reconcile(kernel, shaper, SLOW)).changed

    play(cable, scenario, qdisc="tbf")


def test_a_recreated_link_is_shaped_again(cable: Wire) -> None:
    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        await reconcile(kernel, shaper, SLOW)
        await asyncio.to_thread(cable.recreate)
        assert "1fa0:" not in qdiscs(cable, "wan0")
        state = await reconcile(kernel, shaper, SLOW)
        assert (state.state, state.changed) == ("enforced", True)
        assert "1fa0:" in qdiscs(cable, "wan0")

    play(cable, scenario)


def test_a_renamed_link_gets_a_new_ifb_and_loses_the_old(cable: Wire) -> None:
    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        await reconcile(kernel, shaper, SLOW)
        cable.rename("wan7")
        assert (await reconcile(kernel, shaper, SLOW)).state == "enforced"
        links = cable.near.run("ip", "link")
        assert "ifb4wan7" in links
        assert "ifb4wan0" not in links

    play(cable, scenario)


def test_a_foreign_root_is_left_alone_and_named(cable: Wire) -> None:
    cable.near.tc(
        "qdisc", "add", "dev", "wan0", "root", "handle", "7:", "tbf", "rate", "1mbit", "burst", "2k", "limit", "9k"
    )

    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        state = await reconcile(kernel, shaper, SLOW)
        assert (state.state, state.qdisc) == ("foreign", "")
        assert "wan0: qdisc tbf 7:" in state.reason
        assert "shaper.replace_foreign" in state.advice
        assert "tbf 7: root" in qdiscs(cable, "wan0")
        assert (await reconcile(kernel, shaper, SLOW)).state == "foreign"  # still in the way: nothing is tried
        cable.near.tc("qdisc", "replace", "dev", "wan0", "root", "handle", "8:", "htb")
        assert "htb 8:" in (await reconcile(kernel, shaper, SLOW)).reason  # what changes is looked at at once
        assert (await shaper.remove(await kernel.links(["wan0"]))).state == "off"
        assert "htb 8: root" in qdiscs(cable, "wan0")

    play(cable, scenario)


def test_a_foreign_root_is_replaced_when_the_configuration_says_so(cable: Wire) -> None:
    cable.near.tc(
        "qdisc", "add", "dev", "wan0", "root", "handle", "7:", "tbf", "rate", "1mbit", "burst", "2k", "limit", "9k"
    )

    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        assert (await reconcile(kernel, shaper, SLOW)).state == "enforced"
        assert "1fa0: root" in qdiscs(cable, "wan0")

    play(cable, scenario, replace_foreign=True)


def test_a_foreign_redirect_is_left_alone_and_named(cable: Wire) -> None:
    cable.near.ip("link", "add", "ifb9", "type", "ifb")
    cable.near.tc("qdisc", "add", "dev", "wan0", "ingress")
    cable.near.tc(
        "filter", "add", "dev", "wan0", "ingress", "prio", "10", "u32", "match", "u32", "0", "0",
        "action", "mirred", "egress", "redirect", "dev", "ifb9",
    )  # fmt: skip

    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        state = await reconcile(kernel, shaper, SLOW)
        assert state.state == "foreign"
        assert "priority 10" in state.reason
        assert (await shaper.remove(await kernel.links(["wan0"]))).state == "off"
        assert "ifb9" in cable.near.tc("filter", "show", "dev", "wan0", "ingress")

    play(cable, scenario)


def test_no_interface_is_unenforced_and_not_an_error(cable: Wire) -> None:
    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        state = await shaper.reconcile([], SLOW)
        assert (state.state, state.reason) == ("unenforced", "no WAN interface is there")

    play(cable, scenario)


def test_a_kernel_that_tells_of_no_change_is_not_read_again(cable: Wire) -> None:
    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        await reconcile(kernel, shaper, SLOW)
        assert not (await reconcile(kernel, shaper, SLOW)).changed  # read back
        links = await kernel.links(["wan*"])
        before = await kernel.generation()
        reads: list[float] = []
        await kernel.call(lambda route: _count_reads(route, reads))
        for _ in range(5):
            await shaper.reconcile(links, SLOW)
        assert reads == []
        cable.near.tc("qdisc", "del", "dev", "ifb4wan0", "root")
        assert await kernel.generation() > before
        assert (await shaper.reconcile(links, SLOW)).changed
        assert reads

    play(cable, scenario)


def _count_reads(route: Route, reads: list[float]) -> None:
    read = route.qdiscs

    def counted() -> list[Node]:
        reads.append(time.monotonic())
        return read()

    route.qdiscs = counted  # type: ignore[method-assign]  # counts, and does the same


def test_a_stranger_s_tc_is_told_as_a_change_of_the_link(cable: Wire) -> None:
    events: list[LinkEvent] = []

    async def scenario() -> None:
        async with kernel_in(cable, events) as kernel:
            shaper = Shaper(kernel, ShaperSettings())
            await reconcile(kernel, shaper, SLOW)
            await reconcile(kernel, shaper, SLOW)
            events.clear()
            cable.near.tc("qdisc", "del", "dev", "ifb4wan0", "root")
            await until(lambda: bool(events))
            assert {(e.kind, e.link.ifname) for e in events} == {("changed", "wan0")}

    asyncio.run(scenario())


def test_without_privilege_it_says_so_pauses_and_goes_on(cable: Wire) -> None:
    clock = ManualSeconds()

    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            shaper = Shaper(kernel, ShaperSettings(), now=clock)
            await kernel.call(lambda route: drop_net_admin())
            first = await reconcile(kernel, shaper, SLOW)
            assert first.state == "unenforced"
            assert "not permitted" in first.reason
            assert "CAP_NET_ADMIN" in first.advice
            pauses = []
            for _ in range(4):
                started = clock()
                while await _attempts(kernel, shaper) == 0:
                    clock.seconds += 0.5
                pauses.append(clock() - started)
            assert pauses == [1.0, 2.0, 4.0, 8.0]
            assert [link.ifname for link in await kernel.links(["wan0"])] == ["wan0"]  # counting goes on

    asyncio.run(scenario())


async def _attempts(kernel: Kernel, shaper: Shaper) -> int:
    asked: list[int] = []
    await kernel.call(lambda route: _watch_ifb(route, asked))
    await reconcile(kernel, shaper, SLOW)
    await kernel.call(lambda route: route.__dict__.pop("add_ifb"))
    return len(asked)


def _watch_ifb(route: Route, asked: list[int]) -> None:
    real = type(route).add_ifb

    def watched(ifname: str) -> None:
        asked.append(1)
        real(route, ifname)

    route.add_ifb = watched  # type: ignore[method-assign]  # counts, and does the same


def test_a_step_between_known_rates_reads_nothing_and_is_verified_after(cable: Wire) -> None:
    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        full = Rates(5_000_000, 2_000_000)
        await reconcile(kernel, shaper, full)
        await reconcile(kernel, shaper, full)
        links, reads = await kernel.links(["wan*"]), list[float]()
        await kernel.call(lambda route: _count_reads(route, reads))
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


def test_a_link_that_is_down_or_in_a_bridge_is_shaped_all_the_same(cable: Wire) -> None:
    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        cable.near.ip("link", "set", "wan0", "down")
        assert (await reconcile(kernel, shaper, SLOW)).state == "enforced"
        assert "1fa0: root" in qdiscs(cable, "wan0")  # there is no gap when it comes up
        cable.near.ip("link", "add", "br0", "type", "bridge")
        cable.near.ip("link", "set", "wan0", "up", "master", "br0")
        (link,) = await kernel.links(["wan0"])
        assert link.master
        assert (await reconcile(kernel, shaper, SLOW)).state == "enforced"

    play(cable, scenario)


def test_a_link_deleted_in_mid_apply_is_unenforced_with_advice_until_it_is_back(cable: Wire) -> None:
    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        await kernel.call(lambda route: _delete_during(route, cable))
        state = await reconcile(kernel, shaper, SLOW)
        assert state.state == "unenforced"
        assert "No such device" in state.reason
        assert "as soon as it is back" in state.advice
        await kernel.call(lambda route: route.__dict__.pop("add_ifb"))
        await asyncio.to_thread(cable.connect)
        assert (await reconcile(kernel, shaper, SLOW)).state == "enforced"
        assert "1fa0: root" in qdiscs(cable, "wan0")

    play(cable, scenario)


def _delete_during(route: Route, cable: Wire) -> None:
    real = type(route).add_ifb

    def add_ifb(ifname: str) -> None:
        if ifname == "ifb4wan0":
            cable.near.ip("link", "del", "wan0")
        real(route, ifname)

    route.add_ifb = add_ifb  # type: ignore[method-assign]  # does the same, after the plug was pulled


def test_one_direction_that_is_taken_keeps_no_other_from_being_shaped(cable: Wire) -> None:
    cable.near.tc("qdisc", "add", "dev", "wan0", "root", "handle", "7:", "htb")

    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        state = await reconcile(kernel, shaper, SLOW)
        assert state.state == "foreign"
        assert "1fa0: root" in qdiscs(cable, "ifb4wan0")  # the download is slow all the same

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
    route._compiler.reset = lambda: (encoded.append("one"), reset())


def test_a_shaper_that_is_off_and_could_not_says_so(cable: Wire) -> None:
    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        shaper.expect([SLOW])
        shaper._capabilities = Capabilities(
            frozenset({"tbf"}), frozenset({"u32"}), ifb=False, ingress=True, mirred=True
        )
        state = await reconcile(kernel, shaper, Rates(None, None))
        assert (state.state, state.qdisc, state.reason) == ("off", "", "the kernel lacks ifb")
        assert "kmod-ifb" in state.advice

    play(cable, scenario)
