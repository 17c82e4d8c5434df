"""Somebody else's qdiscs and filters: named, left alone, and replaced only if the configuration says so."""

from __future__ import annotations

import pytest

from agent.traffic import Kernel, Shaper
from tests.netns import Wire
from tests.traffic.conftest import SLOW, play, qdiscs, reconcile

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
