"""What a configuration pushed from afar makes the device ask: the internet, as with a diagnosis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.commands.standin import StandIn
from tests.commands.test_runner import Channel, tell


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"probe.hosts": ["192.168.1.10:22"]}, 7006),
        ({"probe.hosts": ["1.1.1.1:443", "[::ffff:127.0.0.1]:80"]}, 7006),
        ({"probe.hosts": ["nas.evil.example:22"]}, 7006),
        ({"probe.name_servers": ["192.168.1.1"]}, 7006),
        ({"probe.hosts": ["1.1.1.1:443", "[2606:4700:4700::1111]:443"], "probe.name_servers": ["9.9.9.9"]}, 0),
        ({"probe.hosts": None}, 0),
    ],
)
def test_what_is_pushed_makes_the_device_ask_nothing_of_the_home(
    changes: dict[str, Any], code: int, tmp_path: Path
) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        await channel.send("config.set", "c", {"changes": changes, "confirm_s": 10})
        if code:
            await channel.until(lambda: not agent.runner._tasks)
            assert (await channel.answers("c"))[-1]["code"] == code
        else:
            await channel.until(lambda: "restart" in agent.asked)

    tell(tmp_path, story)
