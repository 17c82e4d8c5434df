"""The state directory on a PC's disk and on a router's flash: mounted as the device does, kept through power."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from simulator.qemu import Guest, run
from simulator.qemu.device import STATES, new_state, with_state
from simulator.qemu.image import PROJECT
from simulator.qemu.machine import Hardware

pytestmark = [pytest.mark.qemu, pytest.mark.usefixtures("qemu"), pytest.mark.timeout(600)]
PATIENCE_S = 240
MODULES = ("virtio_blk", "ext4", "crc32c_generic")
OPEN = """
import sys
from pathlib import Path
from agent.store import Database
database = Database.open(Path("/var/lib/modem-agent/agent.db"))
"""
KEEP = OPEN + 'with database.transaction():\n    database.meta.set("mark", "kept")\nprint("committed", flush=True)\n'
READ = OPEN + 'print(database.meta.get("mark"), flush=True)\n'


def command(state: str, program: str) -> list[str]:
    mount = f"sh {PROJECT / 'simulator/qemu/inside/state.sh'} {state}"
    shown = "grep ' /var/lib/modem-agent ' /proc/mounts"
    # What UBI's flash is made of here writes behind (inside/state.sh); a chip would not.
    settle = "sync" if state == "ubifs" else "true"
    return [
        "sh",
        "-c",
        f'{mount} && {shown} && "$0" -c "$1" && {settle} && echo settled && sleep 600',
        sys.executable,
        program,
    ]


@pytest.mark.parametrize("state", STATES)
def test_what_was_committed_outlives_the_power(state: str, tmp_path: Path) -> None:
    # The first disk stands for the device's root: the script takes the second, or the flash.
    root, place = new_state(tmp_path / "root.img", "ext4"), new_state(tmp_path / "state.img", state)
    given = with_state(Hardware(kernel=None, disks=[root]), place, state)
    with Guest(command(state, KEEP), modules=MODULES, folder=PROJECT, disks=given.disks, extra=given.extra) as guest:
        limit = time.monotonic() + PATIENCE_S
        while "settled" not in guest.output:
            assert guest.machine.running, guest.output + guest.machine.last_lines()
            assert time.monotonic() < limit, guest.output + guest.machine.last_lines()
            time.sleep(0.05)
        assert f" {state} " in guest.output
        guest.machine.power_cut()
    again = command(state, READ)
    again[2] = again[2].replace(" && sleep 600", "")
    result = run(again, timeout_s=PATIENCE_S, modules=MODULES, folder=PROJECT, disks=given.disks, extra=given.extra)
    assert result.exit_code == 0, result.output
    assert "kept" in result.output.split()
