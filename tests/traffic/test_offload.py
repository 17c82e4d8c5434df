"""The offload guard against a device's commands, played by scripts; nothing is mocked in between."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from agent.traffic.offload import OPTION, OffloadGuard, _ethtool, set_gro
from tests.netns import Wire

ETHTOOL_GGRO = 0x2B  # include/uapi/linux/ethtool.h

# uci as its own programs have it: what is set is staged in memory and seen by everybody who reads; `revert` drops it,
# `commit` writes it to the file. Not imitated: sections, other options, locking, the form of `changes` beyond its name.
UCI = """#!/bin/sh
committed="{root}/etc/config/firewall" staged="{root}/tmp/.uci/firewall"
[ "$1" = -q ] && shift
echo "uci $*" >> "{root}/log"
case $1 in
  get) cat "$staged" 2>/dev/null || cat "$committed" ;;
  set) mkdir -p "{root}/tmp/.uci"; echo "${{2#*]*=}}" > "$staged" ;;
  revert) rm -f "$staged" ;;
  changes) [ ! -e "$staged" ] || echo "firewall.cfg01e63d.flow_offloading_hw='$(cat "$staged")'" ;;
  commit) [ ! -e "$staged" ] || mv "$staged" "$committed" ;;
esac
"""
# The firewall reads what is staged too, and leaves its state file. `loaded` is what the kernel would have.
FIREWALL = """#!/bin/sh
[ {code} = 0 ] || exit {code}
"{root}/sbin/uci" -q get x > "{root}/loaded"
echo "$1" >> "{root}/loads"
cp "{root}/loads" "{root}/var/run/fw4.state"
{meanwhile}
"""


class Device:
    """A root file system as far as the guard looks at it."""

    def __init__(
        self, root: Path, *, hardware: str = "1", modules: str = "", firewall_exit: int = 0, meanwhile: str = ""
    ) -> None:
        self.root, self.marker = root, root / "var/run/modem-agent/offload"
        (root / "var/run").mkdir(parents=True)
        for path, text in (
            ("sbin/uci", UCI.format(root=root)),
            ("etc/init.d/firewall", FIREWALL.format(root=root, code=firewall_exit, meanwhile=meanwhile)),
            ("etc/config/firewall", hardware + "\n"),
            ("proc/modules", modules),
        ):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
            (root / path).chmod(0o755)

    def guard(self, *, may_act: bool = True) -> OffloadGuard:
        return OffloadGuard(self.marker, root=self.root, may_act=may_act)

    def uci(self, *words: str) -> None:
        subprocess.run([self.root / "sbin/uci", *words], check=True, capture_output=True)

    def reload(self) -> None:
        subprocess.run([self.root / "etc/init.d/firewall", "reload"], check=True)

    def _said(self, path: str) -> str | None:
        file = self.root / path
        return file.read_text().strip() if file.exists() else None

    @property
    def committed(self) -> str | None:
        return self._said("etc/config/firewall")

    @property
    def staged(self) -> str | None:
        return self._said("tmp/.uci/firewall")

    @property
    def loaded(self) -> str | None:
        return self._said("loaded")

    @property
    def loads(self) -> int:
        return len((self._said("loads") or "").split())


@pytest.mark.parametrize("hardware", ["1", "on", "true", "yes"])
def test_hardware_offload_is_off_while_throttled_and_as_configured_after(tmp_path: Path, hardware: str) -> None:
    device = Device(tmp_path, hardware=hardware)

    async def scenario() -> None:
        guard = device.guard()
        for _ in range(3):
            offload = await guard.engage()
        assert offload.switched_off == ("hardware flow offload",)
        assert offload.warning == ""
        assert (device.loaded, device.staged, device.committed, device.loads) == ("0", None, hardware, 1)
        assert await guard.release()
        assert (device.loaded, device.staged, device.committed, device.loads) == (hardware, None, hardware, 2)
        assert not await guard.release()

    asyncio.run(scenario())


@pytest.mark.parametrize("hardware", ["0", "off", "false", "no", "", "enabled"])
def test_what_the_firewall_takes_for_off_stays_as_it_is(tmp_path: Path, hardware: str) -> None:
    device = Device(tmp_path, hardware=hardware)

    async def scenario() -> None:
        assert (await device.guard().engage()).switched_off == ()
        assert not await device.guard().release()
        assert device.loads == 0

    asyncio.run(scenario())


def test_a_restarted_agent_knows_that_it_is_off_and_puts_it_back(tmp_path: Path) -> None:
    device = Device(tmp_path)

    async def scenario() -> None:
        await device.guard().engage()
        assert (await device.guard().engage()).switched_off == ("hardware flow offload",)
        assert device.loads == 1
        assert await device.guard().release()
        assert device.loaded == "1"

    asyncio.run(scenario())


def test_a_commit_without_a_name_keeps_nothing_of_ours(tmp_path: Path) -> None:
    device = Device(tmp_path)

    async def scenario() -> None:
        await device.guard().engage()
        device.uci("commit")
        device.marker.unlink()  # a reboot: what is in memory is gone
        assert not await device.guard().release()
        assert device.committed == "1"

    asyncio.run(scenario())


def test_a_commit_while_the_firewall_loads_is_put_right(tmp_path: Path) -> None:
    device = Device(tmp_path, hardware="on", meanwhile=f"{tmp_path}/sbin/uci commit")

    async def scenario() -> None:
        assert (await device.guard().engage()).switched_off
        assert (device.loaded, device.staged, device.committed) == ("0", None, "on")

    asyncio.run(scenario())


@pytest.mark.parametrize("mark", ["staged 1", OPTION], ids=["in between", "by an agent that left it staged"])
@pytest.mark.parametrize("committed", [False, True])
def test_a_value_that_an_agent_left_behind_is_taken_back(tmp_path: Path, mark: str, committed: bool) -> None:
    device = Device(tmp_path)
    device.uci("set", f"{OPTION}=0")
    if committed:
        device.uci("commit")
    device.marker.parent.mkdir()
    device.marker.write_text(mark + "\n")

    async def scenario() -> None:
        assert (await device.guard().engage()).switched_off == ("hardware flow offload",)
        assert (device.loaded, device.staged, device.committed) == ("0", None, "1")
        assert await device.guard().release()
        assert (device.loaded, device.committed) == ("1", "1")

    asyncio.run(scenario())


def test_what_the_owner_commits_meanwhile_stands_after_the_release(tmp_path: Path) -> None:
    device = Device(tmp_path)

    async def scenario() -> None:
        guard = device.guard()
        await guard.engage()
        device.uci("set", f"{OPTION}=0")
        device.uci("commit", "firewall")
        assert await guard.release()
        assert (device.loaded, device.committed) == ("0", "0")

    asyncio.run(scenario())


def test_what_somebody_else_has_staged_is_left_staged(tmp_path: Path) -> None:
    device = Device(tmp_path, hardware="0")
    device.uci("set", f"{OPTION}=1")

    async def scenario() -> None:
        await device.guard().engage()
        assert (device.loaded, device.staged, device.committed) == ("0", "1", "0")

    asyncio.run(scenario())


def test_a_reload_by_somebody_else_is_noticed(tmp_path: Path) -> None:
    """`uci revert firewall`, a page's button, an interface that comes up: each has the firewall read its file again."""
    device = Device(tmp_path)

    async def scenario() -> None:
        guard = device.guard()
        await guard.engage()
        assert not guard.overtaken
        device.reload()
        assert device.loaded == "1"
        assert guard.overtaken
        assert (await guard.engage()).switched_off == ("hardware flow offload",)
        assert (device.loaded, guard.overtaken) == ("0", False)

    asyncio.run(scenario())


@pytest.mark.parametrize(("may_act", "firewall_exit"), [(False, 0), (True, 1)], ids=["not allowed", "fails"])
def test_what_cannot_be_switched_off_is_reported(tmp_path: Path, may_act: bool, firewall_exit: int) -> None:
    device = Device(tmp_path, firewall_exit=firewall_exit)

    async def scenario() -> None:
        offload = await device.guard(may_act=may_act).engage()
        assert offload.left == ("hardware flow offload",)
        assert "around the shaper" in offload.warning
        assert (device.staged, device.committed) == (None, "1")

    asyncio.run(scenario())


def test_vendors_fast_paths_are_named(tmp_path: Path) -> None:
    device = Device(tmp_path, hardware="0", modules="shortcut_fe 1 0 - Live\nhw_nat 1 0 - Live\nxhci 2 0\n")

    async def scenario() -> None:
        assert (await device.guard().engage()).left == ("Qualcomm SFE", "MediaTek HNAT")

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
        before = _ethtool("wan0", ETHTOOL_GGRO, 0)
        assert set_gro("wan0", not before)
        assert _ethtool("wan0", ETHTOOL_GGRO, 0) == (not before)
        assert set_gro("wan0", bool(before))
        assert _ethtool("wan0", ETHTOOL_GGRO, 0) == before
        assert _ethtool("absent0", ETHTOOL_GGRO, 0) is None
        assert not set_gro("absent0", True)
