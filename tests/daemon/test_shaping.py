"""Shaping as the daemon does it: whose names are management, and what they cost is entered as the device's."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.config import ShaperSettings
from agent.daemon.tasks.shaping import Shaping, upstream_name_servers
from agent.plan import Rates
from agent.traffic import Management, Shaper
from tests.netns import Wire
from tests.traffic.conftest import cable, kernel_in, question

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
    told: list[Management] = []

    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            shaping = Shaping(kernel, Shaper(kernel, ShaperSettings()), ["wan0"], lambda: Rates(rate_bps, rate_bps))
            shaping.on_names = told.append
            await shaping.reconcile()
            await shaping.count_names()
            await asyncio.to_thread(question, cable.far, cable.near, 53, 100)
            await asyncio.to_thread(question, cable.far, cable.near, 54, 100)
            await shaping.count_names()
            await shaping.count_names()

    asyncio.run(scenario())
    assert told == [Management(128, 128)]
