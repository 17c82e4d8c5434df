"""A line is never cut by what is left of ours: on any link, whatever was renamed, corrected or half removed."""

from __future__ import annotations

import asyncio

import pytest

from agent.config import ShaperSettings
from agent.daemon import unshape
from agent.daemon.tasks.shaping import Shaping
from agent.errors import KernelError
from agent.plan import Rates
from agent.traffic import Capabilities, Kernel, Link, LinkEvent, Shaper
from agent.traffic.netlink.route import Route
from tests.netns import Wire
from tests.traffic.conftest import SLOW, ManualSeconds, kernel_in, play, qdiscs, reconcile, until

pytestmark = pytest.mark.root

OFF = Rates(None, None)
LACKING = Capabilities(frozenset({"tbf"}), frozenset({"u32"}), ifb=False, ingress=True, mirred=True)
EVERYTHING = "u32 match u32 0 0"
DAMAGES = [
    "ip link del ifb4wan0",
    "ip link set ifb4wan0 down",
    "ip link set ifb4wan0 name ifb4other",
    "tc qdisc del dev ifb4wan0 root",
    "tc qdisc del dev wan0 root",
    "tc qdisc del dev wan0 ingress",
    "tc filter del dev wan0 ingress",
]


def ours(cable: Wire) -> list[str]:
    """What of ours stands in the namespace, as tc and ip show it."""
    links = cable.near.run("ip", "-o", "link", "show").splitlines()
    names = [line.split(": ")[1].partition("@")[0] for line in links]
    roots = [line for line in cable.near.tc("qdisc", "show").splitlines() if " 1fa" in line]
    filters = [f for name in names for f in cable.near.tc("filter", "show", "dev", name, "ingress").splitlines()]
    return [n for n in names if n.startswith("ifb4")] + roots + [f for f in filters if "pref 8096 " in f]


async def passes(cable: Wire, *addresses: str) -> bool:
    """A download and an upload each of a packet, over both families."""
    for address in addresses or (cable.far.address, cable.far.address6):
        reply = await asyncio.to_thread(cable.near.run, "ping", "-c1", "-W5", address, check=False)
        if "1 received" not in reply:
            return False
    return True


@pytest.mark.parametrize("rates", [OFF, SLOW], ids=["off", "slow"])
@pytest.mark.parametrize("named", ["lan0", "usb0"], ids=["another link is named", "nothing is named"])
def test_a_name_that_is_corrected_leaves_nothing_on_the_link_that_was_meant_before(
    cable: Wire, named: str, rates: Rates
) -> None:
    cable.near.ip("link", "add", "lan0", "type", "veth", "peer", "name", "lan1")

    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        await reconcile(kernel, shaper, SLOW)
        restarted = Shaper(kernel, ShaperSettings())
        state = await restarted.reconcile(await kernel.links([named]), rates)
        assert state.state == ("off" if rates == OFF else "enforced" if named == "lan0" else "unenforced")
        assert not [line for line in ours(cable) if "wan0" in line]
        assert await passes(cable)
        if state.state == "enforced":
            assert not (await restarted.reconcile(await kernel.links([named]), rates)).changed

    play(cable, scenario)


@pytest.mark.parametrize("rates", [OFF, SLOW], ids=["off", "slow"])
def test_a_throttled_link_that_is_renamed_is_free_where_it_is_not_meant_any_more(cable: Wire, rates: Rates) -> None:
    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        await reconcile(kernel, shaper, SLOW)
        cable.rename("eth7")
        await shaper.reconcile(await kernel.links(["wan0"]), rates)
        assert ours(cable) == []
        assert await passes(cable, cable.far.address)  # the other address went when the link was set down

    play(cable, scenario)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
def test_what_is_half_there_is_removed_when_nothing_is_wanted(cable: Wire, damage: str, restarted: bool) -> None:
    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        await reconcile(kernel, shaper, SLOW)
        cable.near.run(*damage.split())
        after = Shaper(kernel, ShaperSettings()) if restarted else shaper
        assert (await reconcile(kernel, after, OFF)).state == "off"
        left = [line for line in ours(cable) if not line.startswith("ifb4")]
        assert left == []  # a device without our qdisc and without our filter may be anybody's
        assert await passes(cable)
        assert not (await reconcile(kernel, after, OFF)).changed

    play(cable, scenario)


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_half_there_is_made_whole_when_it_is_wanted(cable: Wire, damage: str) -> None:
    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        await reconcile(kernel, shaper, SLOW)
        cable.near.run(*damage.split())
        assert (await reconcile(kernel, Shaper(kernel, ShaperSettings()), SLOW)).state == "enforced"
        assert "ifb4wan0" in cable.near.tc("filter", "show", "dev", "wan0", "ingress")
        assert "1fa0: root" in qdiscs(cable, "ifb4wan0")
        assert await passes(cable)

    play(cable, scenario)


@pytest.mark.parametrize("damage", ["ip link del ifb4wan0", "ip link set ifb4wan0 down"])
def test_a_kernel_that_can_shape_no_more_leaves_a_line_that_passes(cable: Wire, damage: str) -> None:
    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        await reconcile(kernel, shaper, SLOW)
        cable.near.run(*damage.split())
        unable = Shaper(kernel, ShaperSettings())
        unable._capabilities = LACKING
        assert (await reconcile(kernel, unable, SLOW)).state == "unenforced"
        assert await passes(cable)

    play(cable, scenario)


@pytest.mark.parametrize("damage", ["ip link del ifb4wan0", "ip link set ifb4wan0 down"])
def test_what_breaks_while_shaping_waits_for_its_next_try_is_removed_at_once(cable: Wire, damage: str) -> None:
    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        await reconcile(kernel, shaper, SLOW)
        unable = Shaper(kernel, ShaperSettings(), now=ManualSeconds())  # the pause does not end
        unable._capabilities = LACKING
        assert (await reconcile(kernel, unable, SLOW)).state == "unenforced"
        assert "ifb4wan0" in cable.near.tc("filter", "show", "dev", "wan0", "ingress")  # what passes may stay
        cable.near.run(*damage.split())
        assert (await reconcile(kernel, unable, SLOW)).changed
        assert await passes(cable)
        for _ in range(2):
            assert not (await reconcile(kernel, unable, SLOW)).changed

    play(cable, scenario)


def test_a_link_that_went_takes_its_ifb_with_it(cable: Wire) -> None:
    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        await reconcile(kernel, shaper, SLOW)
        cable.near.ip("link", "del", "wan0")
        assert (await reconcile(kernel, shaper, SLOW)).reason == "no WAN interface is there"
        assert ours(cable) == []

    play(cable, scenario)


@pytest.mark.parametrize("damage", ["", "ip link del ifb4wan0", "ip link set wan0 down", "tc qdisc del dev wan0 root"])
def test_the_package_s_removal_leaves_a_line_that_passes(cable: Wire, damage: str) -> None:
    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        await reconcile(kernel, shaper, SLOW)

    play(cable, scenario)
    if damage:
        cable.near.run(*damage.split())
    with cable.near.entered():
        assert unshape.main() == 0
    cable.near.ip("link", "set", "wan0", "up")
    assert ours(cable) == []
    assert asyncio.run(passes(cable, cable.far.address))


def test_an_ifb_stays_while_a_filter_of_ours_cannot_be_removed(cable: Wire) -> None:
    def refuse(route: Route) -> None:
        def delete_filters(ifindex: int, parent: int, prio: int, protocol: int) -> None:
            """The kernel says EINVAL for a filter that it does not find where it was looked for."""

        route.delete_filters = delete_filters  # type: ignore[method-assign]  # counts as done, and does nothing

    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        await reconcile(kernel, shaper, SLOW)
        cable.near.tc("filter", "add", "dev", "wan0", "ingress", "prio", "9", *EVERYTHING.split(), "classid", ":1")
        await kernel.call(refuse)
        await reconcile(kernel, shaper, OFF)
        assert "ifb4wan0" in cable.near.run("ip", "link")
        assert "1fa0:" not in qdiscs(cable, "ifb4wan0")  # what is led to it passes at full speed
        await kernel.call(lambda route: route.__dict__.pop("delete_filters"))
        cable.near.tc("filter", "del", "dev", "wan0", "ingress", "prio", "9")
        assert await passes(cable)
        await reconcile(kernel, shaper, OFF)
        assert ours(cable) == []

    play(cable, scenario)


def test_an_ifb_to_which_a_stranger_leads_a_link_stays(cable: Wire) -> None:
    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        await reconcile(kernel, shaper, SLOW)
        cable.near.ip("link", "add", "lan0", "type", "veth", "peer", "name", "lan1")
        cable.near.tc("qdisc", "add", "dev", "lan0", "clsact")
        for side in ("ingress", "egress"):
            cable.near.tc(
                "filter", "replace", "dev", "lan0", side, "prio", "10", *EVERYTHING.split(),
                "action", "mirred", "egress", "redirect", "dev", "ifb4wan0",
            )  # fmt: skip
            await reconcile(kernel, shaper, OFF)
            assert "ifb4wan0" in cable.near.tc("filter", "show", "dev", "lan0", side)
            cable.near.tc("filter", "del", "dev", "lan0", side)
            await reconcile(kernel, shaper, SLOW)
        await reconcile(kernel, shaper, OFF)
        assert ours(cable) == []

    play(cable, scenario)


def test_the_ifb_devices_of_others_are_never_touched(cable: Wire) -> None:
    """sqm-scripts names its devices as we do; and whoever has made an ifb may have it down, or without a qdisc yet."""
    for name, root in (("ifb4wwan0", "handle 7: htb"), ("ifb4usb0", ""), ("ifb0", ""), ("ifb9", "handle 1: htb")):
        cable.near.ip("link", "add", name, "type", "ifb")
        if root:
            cable.near.tc("qdisc", "add", "dev", name, "root", *root.split())
    cable.near.tc("qdisc", "add", "dev", "ifb4usb0", "clsact")
    cable.near.ip("link", "add", "ifb4lan0", "type", "veth", "peer", "name", "lan1")  # no ifb at all

    def theirs() -> str:
        shown = cable.near.run("ip", "-o", "link", "show").splitlines() + cable.near.tc("qdisc", "show").splitlines()
        names = ("ifb4wwan0", "ifb4usb0", "ifb4lan0", "ifb0", "ifb9", "lan1")
        return "\n".join(line for line in shown if any(name in line for name in names))

    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        before = theirs()
        for rates in (OFF, SLOW, OFF):
            await reconcile(kernel, shaper, rates)
            assert theirs() == before

    play(cable, scenario)


def test_a_device_of_another_name_stays_when_what_is_ours_goes_from_it(cable: Wire) -> None:
    """Our handles on a device that we have not made: whoever has copied what tc shows."""
    near = cable.near
    near.ip("link", "add", "ifb9", "up", "type", "ifb")
    near.tc("qdisc", "add", "dev", "ifb9", "root", "handle", "1fa0:", "htb")
    near.tc("qdisc", "add", "dev", "wan0", "ingress")
    near.tc(
        "filter", "add", "dev", "wan0", "ingress", "prio", "8096", *EVERYTHING.split(),
        "action", "mirred", "egress", "redirect", "dev", "ifb9",
    )  # fmt: skip

    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        assert (await reconcile(kernel, shaper, OFF)).changed
        assert ours(cable) == []
        assert "ifb9" in near.run("ip", "link")
        assert await passes(cable)

    play(cable, scenario)


def test_a_device_of_that_name_with_a_stranger_s_qdisc_is_named_and_not_even_switched_on(cable: Wire) -> None:
    cable.near.ip("link", "add", "ifb4wan0", "type", "ifb")
    cable.near.tc("qdisc", "add", "dev", "ifb4wan0", "root", "handle", "7:", "htb")

    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        state = await reconcile(kernel, shaper, SLOW)
        assert (state.state, state.reason) == ("foreign", "ifb4wan0: qdisc htb 7: is not ours")
        assert "DOWN" in cable.near.run("ip", "link", "show", "ifb4wan0")
        assert cable.near.tc("filter", "show", "dev", "wan0", "ingress") == ""
        assert await passes(cable)

    play(cable, scenario)


def test_a_stranger_s_own_filters_and_links_that_cannot_be_read_keep_nothing_from_being_removed(cable: Wire) -> None:
    def unreadable(route: Route) -> None:
        real = type(route).filters

        def filters(ifindex: int, parent: int) -> list[object]:
            if ifindex != wan[0].ifindex:
                raise KernelError("reading the filters", None, "a filter of a kind that nobody knows")
            return list(real(route, ifindex, parent))

        route.filters = filters  # type: ignore[method-assign,assignment]

    wan: list[Link] = []
    cable.near.ip("link", "add", "lan0", "type", "veth", "peer", "name", "lan1")
    cable.near.tc("qdisc", "add", "dev", "lan0", "clsact")

    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        await reconcile(kernel, shaper, SLOW)
        wan.extend(await kernel.links(["wan0"]))
        await kernel.call(unreadable)
        assert (await reconcile(kernel, shaper, OFF)).state == "off"
        assert [line for line in ours(cable) if not line.startswith("ifb4")] == []
        assert await passes(cable)
        assert not (await reconcile(kernel, shaper, OFF)).changed

    play(cable, scenario)


@pytest.mark.parametrize("named", ["wan0", "usb0"], ids=["the link is meant", "nothing is meant"])
def test_what_a_stranger_leaves_behind_is_found_by_the_daemon_without_a_tick(cable: Wire, named: str) -> None:
    """Nothing is to be shaped, and something with our handle appears that cuts the line."""

    async def scenario() -> None:
        events: list[LinkEvent] = []
        async with kernel_in(cable, events) as kernel:
            shaping = Shaping(kernel, Shaper(kernel, ShaperSettings()), [named], OFF)
            running = asyncio.ensure_future(shaping.run())
            try:
                await until(lambda: shaping.state.state == "off" and not shaping.state.changed)
                cable.near.ip("link", "add", "ifb4gone", "type", "ifb")
                cable.near.tc("qdisc", "add", "dev", "wan0", "ingress")
                cable.near.tc(
                    "filter", "add", "dev", "wan0", "ingress", "prio", "8096", *EVERYTHING.split(),
                    "action", "mirred", "egress", "redirect", "dev", "ifb4gone",
                )  # fmt: skip
                cable.near.ip("link", "del", "ifb4gone")
                await until(lambda: bool(events))
                shaping.wake.set()  # as the daemon does at each event
                while ours(cable):
                    await asyncio.sleep(0.01)
                    shaping.wake.set()
                assert await passes(cable)
            finally:
                running.cancel()

    asyncio.run(asyncio.wait_for(scenario(), 20))
