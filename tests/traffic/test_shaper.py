"""The shaper against a real kernel: what stands there afterwards, read back by `tc` and not by our own code."""

from __future__ import annotations

import asyncio

import pytest

from agent.config import ShaperSettings
from agent.plan import Rates
from agent.traffic import Kernel, LinkEvent, Shaper
from tests.netns import Wire
from tests.traffic.conftest import SHOWN, SLOW, count_reads, kernel_in, play, qdiscs, reconcile, until

pytestmark = pytest.mark.root


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


def test_a_kernel_that_tells_of_no_change_is_not_read_again(cable: Wire) -> None:
    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        await reconcile(kernel, shaper, SLOW)
        assert not (await reconcile(kernel, shaper, SLOW)).changed  # read back
        links = await kernel.links(["wan*"])
        before = await kernel.generation()
        reads: list[float] = []
        await kernel.call(lambda route: count_reads(route, reads))
        for _ in range(5):
            await shaper.reconcile(links, SLOW)
        assert reads == []
        cable.near.tc("qdisc", "del", "dev", "ifb4wan0", "root")
        assert await kernel.generation() > before
        assert (await shaper.reconcile(links, SLOW)).changed
        assert reads

    play(cable, scenario)


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
