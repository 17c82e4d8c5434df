"""What keeps a line from being shaped: said with a reason and advice, tried again, and everything else goes on."""

from __future__ import annotations

import asyncio

import pytest

from agent.config import ShaperSettings
from agent.plan import Rates
from agent.traffic import Capabilities, Kernel, Shaper
from agent.traffic.netlink.route import Route
from tests.netns import Wire
from tests.traffic.conftest import SLOW, ManualSeconds, drop_net_admin, kernel_in, play, qdiscs, reconcile

pytestmark = pytest.mark.root


def test_no_interface_is_unenforced_and_not_an_error(cable: Wire) -> None:
    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        state = await shaper.reconcile([], SLOW)
        assert (state.state, state.reason) == ("unenforced", "no WAN interface is there")

    play(cable, scenario)


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
