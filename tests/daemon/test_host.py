"""How the agent asks for a reboot that it has no right to make."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent.daemon import host


def test_a_service_makes_the_file_that_systemd_watches(tmp_path: Path) -> None:
    watcher, request = tmp_path / "modem-agent-reboot.path", tmp_path / "reboot"
    watcher.symlink_to("/lib/systemd/system/modem-agent-reboot.path")  # as `systemctl enable` marks it
    asyncio.run(host.reboot("test", watcher=str(watcher), request=str(request)))
    assert request.exists()


def test_the_file_is_the_one_that_the_unit_watches() -> None:
    unit = Path(__file__).parents[2] / "systemd/modem-agent-reboot.path"
    assert f"PathExists={host.REBOOT_REQUEST}" in unit.read_text().splitlines()
