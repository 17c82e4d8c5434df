"""What device.erase leaves on the raw image: of the household nothing, on a PC's disk and on a router's flash.

The file systems of flash compress what they are given, which would hide it from the test: here they do not. The agent
is root on a router and an account of its own on a Pi, which may not discard.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from simulator.qemu import Guest
from simulator.qemu.device import STATES, new_state, with_state
from simulator.qemu.image import PROJECT
from simulator.qemu.machine import Hardware
from tests.store.used_device import SECRETS

pytestmark = [pytest.mark.qemu, pytest.mark.usefixtures("qemu"), pytest.mark.timeout(600)]
PATIENCE_S = 240
STATE, RUN = "/var/lib/modem-agent", "/run/modem-agent"
PROGRAM = f"{sys.executable} -m tests.store.used_device"
ACCOUNT = "setpriv --reuid 65534 --regid 65534 --clear-groups"
STORY = f"""set -e
mkdir {RUN}
sh {PROJECT}/simulator/qemu/inside/state.sh $0
case $0 in ext4) chown 65534:65534 {STATE} {RUN}; as="{ACCOUNT}" ;; *) mount -o remount,compr=none {STATE} ;; esac
$as {PROGRAM} use {STATE} {RUN}
sync
echo used
until [ -e /run/guest/seen ]; do sleep 1; done
$as {PROGRAM} erase {STATE} {RUN}
umount {STATE}
"""


def left(place: Path) -> dict[str, int]:
    """How often what is the household's stands anywhere on the medium."""
    raw = place.read_bytes()
    return {secret.decode(): count for secret in SECRETS if (count := raw.count(secret))}


@pytest.mark.parametrize("state", STATES)
def test_nothing_of_the_household_is_left_on_the_medium(state: str, tmp_path: Path) -> None:
    # The first disk stands for the device's root: the script takes the second, or the flash.
    root, place = new_state(tmp_path / "root.img", "ext4"), new_state(tmp_path / "state.img", state)
    given = with_state(Hardware(kernel=None, disks=[root]), place, state)
    modules = ("virtio_blk", "ext4", "crc32c_generic")
    with Guest(
        ["sh", "-c", STORY, state], modules=modules, folder=PROJECT, disks=given.disks, extra=given.extra
    ) as guest:
        limit_s = time.monotonic() + PATIENCE_S
        while "used" not in guest.output.split():
            assert guest.machine.running, guest.output + guest.machine.last_lines()
            assert time.monotonic() < limit_s, guest.output + guest.machine.last_lines()
            time.sleep(0.2)
        assert len(left(place)) == len(SECRETS)
        (guest.share / "seen").touch()
        ended = guest.wait(PATIENCE_S)
    assert ended.exit_code == 0, ended.output + ended.console[-2000:]
    assert left(place) == {}
