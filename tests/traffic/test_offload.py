"""The offload guard against a device's commands, played by scripts; nothing is mocked in between."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.traffic.offload import OPTION, OffloadGuard, get_gro, set_gro
from tests.netns import Wire

UCI = """#!/bin/sh
# uci -q get OPTION | uci set OPTION=VALUE, kept in a file
state="{root}/option"
case "$1 $2" in
  "-q get") cat "$state" ;;
  set\\ *) echo "${{2#*=}}" > "$state"; echo "$2" >> "{root}/log" ;;
esac
"""
FIREWALL = """#!/bin/sh
echo "firewall $1" >> "{root}/log"
exit {code}
"""


def device(root: Path, *, hardware: str = "1", modules: str = "", firewall_exit: int = 0) -> Path:
    """A root file system as far as the guard looks at it."""
    for path, text in (
        ("sbin/uci", UCI.format(root=root)),
        ("etc/init.d/firewall", FIREWALL.format(root=root, code=firewall_exit)),
        ("proc/modules", modules),
        ("option", hardware + "\n"),
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
        (root / path).chmod(0o755)
    return root


def log(root: Path) -> list[str]:
    return (root / "log").read_text().splitlines() if (root / "log").exists() else []


def test_hardware_offload_is_switched_off_once_and_put_back(tmp_path: Path) -> None:
    root = device(tmp_path / "device")

    async def scenario() -> None:
        guard = OffloadGuard(tmp_path / "run" / "offload", root=root)
        for _ in range(3):
            offload = await guard.engage()
        assert offload.switched_off == ("hardware flow offload",)
        assert offload.warning == ""
        assert log(root) == [f"{OPTION}=0", "firewall reload"]
        # The agent crashed meanwhile; another one puts it back.
        assert await OffloadGuard(tmp_path / "run" / "offload", root=root).release()
        assert log(root)[2:] == [f"{OPTION}=1", "firewall reload"]
        assert not await guard.release()

    asyncio.run(scenario())


def test_what_was_off_stays_off(tmp_path: Path) -> None:
    root = device(tmp_path / "device", hardware="0")

    async def scenario() -> None:
        guard = OffloadGuard(tmp_path / "offload", root=root)
        assert (await guard.engage()).switched_off == ()
        assert not await guard.release()
        assert log(root) == []

    asyncio.run(scenario())


@pytest.mark.parametrize(("may_act", "firewall_exit"), [(False, 0), (True, 1)], ids=["not allowed", "fails"])
def test_what_cannot_be_switched_off_is_told(tmp_path: Path, may_act: bool, firewall_exit: int) -> None:
    root = device(tmp_path / "device", firewall_exit=firewall_exit)

    async def scenario() -> None:
        offload = await OffloadGuard(tmp_path / "offload", root=root, may_act=may_act).engage()
        assert offload.left == ("hardware flow offload",)
        assert "around the shaper" in offload.warning

    asyncio.run(scenario())


def test_vendors_fast_paths_are_named(tmp_path: Path) -> None:
    root = device(tmp_path / "device", hardware="0", modules="shortcut_fe 1 0 - Live\nhw_nat 1 0 - Live\nxhci 2 0\n")

    async def scenario() -> None:
        assert (await OffloadGuard(tmp_path / "offload", root=root).engage()).left == ("Qualcomm SFE", "MediaTek HNAT")

    asyncio.run(scenario())


def test_a_machine_without_uci_has_nothing_to_switch_off(tmp_path: Path) -> None:
    async def scenario() -> None:
        guard = OffloadGuard(tmp_path / "offload", root=tmp_path)
        assert (await guard.engage()).warning == ""
        assert not await guard.release()

    asyncio.run(scenario())


@pytest.mark.root
def test_gro_is_read_and_set(cable: Wire) -> None:
    with cable.near.entered():
        before = get_gro("wan0")
        assert set_gro("wan0", not before)
        assert get_gro("wan0") is (not before)
        assert set_gro("wan0", bool(before))
        assert get_gro("wan0") is before
        assert get_gro("absent0") is None
        assert not set_gro("absent0", True)
