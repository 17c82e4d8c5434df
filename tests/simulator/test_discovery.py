"""The device tree that the simulator shows, looked through by the agent's own discovery and opened by its Modem."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import simulator
from agent.config import ModemSettings
from agent.errors import PortAbsent
from agent.modem import Modem
from agent.modem.discovery import candidates
from simulator.modem import load, names
from simulator.ports import SysfsTree


@pytest.mark.parametrize("name", [n for n in names() if load(n).usb.vendor])
def test_the_agent_finds_the_at_port_of_every_module(name: str, tmp_path: Path) -> None:
    profile = load(name)
    tree = SysfsTree(tmp_path, profile, "0123456789", first=3)
    tree.appear({})
    found = [Path(c.device).name for c in candidates(tmp_path / "sys", tmp_path / "dev")]
    assert tree.nodes[profile.primary.interface] in found
    tree.vanish()
    assert candidates(tmp_path / "sys", tmp_path / "dev") == []


@pytest.mark.parametrize("name", ["quectel-ec25", "simcom-a7670"])
def test_the_modem_is_found_again_under_another_name(name: str, tmp_path: Path) -> None:
    """The place stays, the name of the port does not."""

    async def story() -> None:
        modem = Modem(
            ModemSettings(),
            sysfs=tmp_path / "sys",
            dev=tmp_path / "dev",
            lock_directory=tmp_path,
        )
        try:
            await modem.open()
            before = modem.where
            assert (await modem.poll()).signal.rsrp_dbm == -95
            running.unplug()
            with pytest.raises(PortAbsent):
                await modem.execute("AT")
            modem.close()
            with pytest.raises(PortAbsent):
                await modem.open()
            running.plug()
            await modem.open()
            assert modem.where != before
            assert (await modem.poll()).identity.imei == running.modem.state.imei
        finally:
            modem.close()

    with simulator.serve(name, every_port=True, sysfs=str(tmp_path), pace=0.01) as running:
        asyncio.run(story())
