"""Shaping as the daemon does it: whose names are management, and what they cost is entered as the device's."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.config import ShaperSettings
from agent.daemon.tasks.shaping import Shaping, upstream_name_servers
from agent.events import Charged, Occurrence
from agent.plan import Rates
from agent.traffic import LinkEvent, Shaper
from tests.netns import Wire
from tests.traffic.conftest import cable, kernel_in, question, until

__all__ = ["cable"]


def test_the_servers_beyond_the_device_are_those_that_count(tmp_path: Path) -> None:
    own, upstream = tmp_path / "resolv.conf", tmp_path / "resolv.conf.auto"
    own.write_text("search lan\nnameserver 127.0.0.1\nnameserver ::1\n")
    assert upstream_name_servers([upstream, own]) == ()
    upstream.write_text("# wan\nnameserver 192.0.2.53\nnameserver 2001:db8::53\nnameserver nonsense\n")
    assert upstream_name_servers([upstream, own]) == ("192.0.2.53", "2001:db8::53")
    assert upstream_name_servers([own, upstream]) == ("192.0.2.53", "2001:db8::53")


@pytest.mark.root
@pytest.mark.parametrize("rate_bps", [512_000, None], ids=["slow", "not shaped"])
def test_what_the_device_s_names_cost_is_told_once(cable: Wire, rate_bps: int | None) -> None:
    told: list[Occurrence] = []

    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            shaping = Shaping(
                kernel, Shaper(kernel, ShaperSettings()), ["wan0"], Rates(rate_bps, rate_bps), told.append
            )
            await shaping.reconcile()
            await shaping.count_names()
            await asyncio.to_thread(question, cable.far, cable.near, 53, 100)
            await asyncio.to_thread(question, cable.far, cable.near, 54, 100)
            await shaping.count_names()
            await shaping.count_names()

    asyncio.run(scenario())
    assert [event for event in told if isinstance(event, Charged)] == [Charged(128, 128)]


@pytest.mark.root
def test_only_what_may_concern_the_wan_has_the_kernel_looked_at_at_once(cable: Wire) -> None:
    """Other links may flap all day: each look costs more than the event."""
    woken: list[tuple[str, str, bool]] = []

    async def scenario() -> None:
        heard: list[LinkEvent] = []
        async with kernel_in(cable, heard) as kernel:
            shaping = Shaping(kernel, Shaper(kernel, ShaperSettings()), ["wan0"], Rates(None, None))
            await shaping.reconcile()

            async def do(*command: str) -> None:
                await shaping.wake.wait(0)
                heard.clear()
                await asyncio.to_thread(cable.near.run, *command)
                await kernel.links(["*"])  # after it, all has been told
                await until(lambda: bool(heard))
                for event in heard:
                    shaping.link_event(event)
                woken.append((" ".join(command[:3]), command[-1], await shaping.wake.wait(0)))

            await do("ip", "link", "add", "lan0", "type", "veth", "peer", "name", "lan1")
            await do("ip", "link", "set", "lan0", "up")
            await do("tc", "qdisc", "add", "dev", "lan0", "root", "handle", "5:", "pfifo")
            await do("tc", "qdisc", "replace", "dev", "lan0", "root", "handle", "1fa0:", "pfifo")
            await do("tc", "qdisc", "add", "dev", "wan0", "root", "handle", "5:", "pfifo")
            await do("ip", "link", "add", "ifb4wan0", "type", "ifb")
            await do("ip", "link", "set", "wan0", "down")
            await do("ip", "link", "set", "wan0", "name", "wwan1")

    asyncio.run(scenario())
    assert [yes for _, _, yes in woken] == [False, False, False, True, True, True, True, True], woken
