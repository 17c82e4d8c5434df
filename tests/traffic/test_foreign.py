"""Somebody else's qdiscs and filters: named, left alone, and replaced only if the configuration says so."""

from __future__ import annotations

import pytest

from agent.traffic import Kernel, Shaper
from tests.netns import Wire
from tests.traffic.conftest import SHOWN, SLOW, play, qdiscs, reconcile

pytestmark = pytest.mark.root


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


def test_one_direction_that_is_taken_keeps_no_other_from_being_shaped(cable: Wire) -> None:
    cable.near.tc("qdisc", "add", "dev", "wan0", "root", "handle", "7:", "htb")

    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        state = await reconcile(kernel, shaper, SLOW)
        assert state.state == "foreign"
        assert "1fa0: root" in qdiscs(cable, "ifb4wan0")  # the download is slow all the same

    play(cable, scenario)


# -- clsact --------------------------------------------------------------------------------------------------------

THEIRS = (  # of a program that marks or counts: what it does to a packet ends nothing
    "ingress prio 10 u32 match ip protocol 41 0xff classid :7",
    "egress prio 10 u32 match ip protocol 41 0xff classid :7",
)


def _with_clsact(cable: Wire) -> str:
    """A clsact with a filter on each side; what tc shows of it."""
    cable.near.tc("qdisc", "add", "dev", "wan0", "clsact")
    for words in THEIRS:
        cable.near.tc("filter", "add", "dev", "wan0", *words.split())
    return _theirs(cable)


def _theirs(cable: Wire) -> str:
    shown = "".join(cable.near.tc("filter", "show", "dev", "wan0", side) for side in ("ingress", "egress"))
    return "\n".join(line for line in shown.splitlines() if "pref 10 " in line)


def _led(cable: Wire) -> bool:
    return "ifb4wan0" in cable.near.tc("filter", "show", "dev", "wan0", "ingress")


def test_a_clsact_takes_our_filter_on_its_ingress_side_and_keeps_all_that_is_its_own(cable: Wire) -> None:
    before = _with_clsact(cable)

    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        assert (await reconcile(kernel, shaper, SLOW)).state == "enforced"
        assert not (await reconcile(kernel, shaper, SLOW)).changed
        assert _led(cable)
        assert SHOWN.search(qdiscs(cable, "wan0"))
        assert SHOWN.search(qdiscs(cable, "ifb4wan0"))
        assert (await shaper.remove(await kernel.links(["wan0"]))).state == "off"
        assert not _led(cable)
        assert "clsact" in qdiscs(cable, "wan0")
        assert _theirs(cable) == before
        assert "ifb4" not in cable.near.run("ip", "link")

    play(cable, scenario)


def test_a_clsact_that_takes_the_place_of_our_ingress_and_goes_again_is_followed(cable: Wire) -> None:
    """The kernel has one of the two on a link: whoever wants a clsact there removes our ingress first."""

    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        async def followed() -> None:
            assert not _led(cable)
            assert (await reconcile(kernel, shaper, SLOW)).state == "enforced"
            assert _led(cable)
            assert not (await reconcile(kernel, shaper, SLOW)).changed

        await reconcile(kernel, shaper, SLOW)
        cable.near.tc("qdisc", "del", "dev", "wan0", "ingress")
        cable.near.tc("qdisc", "add", "dev", "wan0", "clsact")
        await followed()
        cable.near.tc("qdisc", "del", "dev", "wan0", "clsact")
        await followed()
        cable.near.tc("qdisc", "del", "dev", "wan0", "ingress")
        theirs = _with_clsact(cable)
        await followed()
        await shaper.remove(await kernel.links(["wan0"]))
        assert "clsact" in qdiscs(cable, "wan0")
        assert _theirs(cable) == theirs
        assert not _led(cable)

    play(cable, scenario)


def test_a_redirect_on_a_clsact_is_left_alone_and_named(cable: Wire) -> None:
    cable.near.ip("link", "add", "ifb9", "up", "type", "ifb")
    cable.near.tc("qdisc", "add", "dev", "wan0", "clsact")
    cable.near.tc(
        "filter", "add", "dev", "wan0", "ingress", "prio", "10", "u32", "match", "u32", "0", "0",
        "action", "mirred", "egress", "redirect", "dev", "ifb9",
    )  # fmt: skip

    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        state = await reconcile(kernel, shaper, SLOW)
        assert (state.state, state.reason) == ("foreign", "wan0: redirect of clsact at priority 10 is not ours")
        await shaper.remove(await kernel.links(["wan0"]))
        assert "ifb9" in cable.near.tc("filter", "show", "dev", "wan0", "ingress")

    play(cable, scenario)


def test_a_redirect_on_a_clsact_is_replaced_when_the_configuration_says_so(cable: Wire) -> None:
    cable.near.ip("link", "add", "ifb9", "up", "type", "ifb")
    _with_clsact(cable)
    cable.near.tc(
        "filter", "add", "dev", "wan0", "ingress", "prio", "11", "u32", "match", "u32", "0", "0",
        "action", "mirred", "egress", "redirect", "dev", "ifb9",
    )  # fmt: skip

    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        theirs = _theirs(cable)
        assert (await reconcile(kernel, shaper, SLOW)).state == "enforced"
        assert "ifb9" not in cable.near.tc("filter", "show", "dev", "wan0", "ingress")
        assert _led(cable)
        assert _theirs(cable) == theirs

    play(cable, scenario, replace_foreign=True)
