"""Each kind of tree on a kernel that has it: made, shown by tc, changed in place, exchanged for another, removed."""

from __future__ import annotations

import asyncio
import re

import pytest

from agent.config import ShaperSettings
from agent.plan import Rates
from agent.traffic import Shaper
from agent.traffic.tree import KINDS
from tests.netns import Wire
from tests.traffic.conftest import kernel_in, needs

pytestmark = pytest.mark.root

FULL, SLOW = Rates(5_000_000, 2_000_000), Rates(512_000, 512_000)
SHOWN = {  # 512 kbit/s of IP bytes: tbf and htb reckon with the Ethernet header of 14 bytes in 1514, cake need not
    "cake": r"qdisc cake 1fa0: root .*bandwidth 512Kbit besteffort SHARED nat nowash THINNED split-gso .* overhead 0",
    "tbf+fq_codel": r"qdisc tbf 1fa0: root .*rate 516776bit[\s\S]*qdisc fq_codel 1fa1: parent 1fa0:1 .*target 27\.3ms",
    "htb+fq_codel": r"qdisc htb 1fa0: root [\s\S]*qdisc fq_codel 1fa1: parent 1fa0:10 .*target 27\.3ms",
    "tbf": r"qdisc tbf 1fa0: root .*rate 516776bit[\s\S]*qdisc htb 1fa1: parent 1fa0:1 ",
}


def _pattern(kind: str, thinned: str) -> str:
    shared = "dual-srchost" if thinned == "ack-filter" else "dual-dsthost"
    return SHOWN[kind].replace("THINNED", thinned).replace("SHARED", shared)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_as_tc_shows_it(cable: Wire, kind: str) -> None:
    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            await needs(kernel, kind)
            shaper = Shaper(kernel, ShaperSettings(qdisc=kind))
            links = await kernel.links(["wan0"])
            assert (await shaper.reconcile(links, FULL)).qdisc == kind
            assert not (await shaper.reconcile(links, FULL)).changed
            assert (await shaper.reconcile(links, SLOW)).changed
            assert not (await shaper.reconcile(links, SLOW)).changed
            for device, thinned in (("wan0", "ack-filter"), ("ifb4wan0", "no-ack-filter")):
                shown = cable.near.tc("qdisc", "show", "dev", device)
                assert re.search(_pattern(kind, thinned), shown), shown
            segments = "gso_max_segs 1 " in cable.near.run("ip", "-d", "link", "show", "wan0")
            assert segments == (kind == "htb+fq_codel")
            await shaper.remove(links)
            assert "1fa" not in cable.near.tc("qdisc", "show")
            assert "gso_max_segs 1 " not in cable.near.run("ip", "-d", "link", "show", "wan0")

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "tbf"])
def test_every_kind_takes_the_place_of_another(cable: Wire, kind: str) -> None:
    """As when the missing module was installed: the better qdisc replaces the poorer, and the other way round."""

    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            await needs(kernel, kind)
            links = await kernel.links(["wan0"])
            for chosen in ("tbf", kind, "tbf"):
                state = await Shaper(kernel, ShaperSettings(qdisc=chosen)).reconcile(links, SLOW)
                assert (state.state, state.changed) == ("enforced", True)
                assert re.search(_pattern(chosen, "ack-filter"), cable.near.tc("qdisc", "show", "dev", "wan0"))
                assert not (await Shaper(kernel, ShaperSettings(qdisc=chosen)).reconcile(links, SLOW)).changed

    asyncio.run(scenario())
