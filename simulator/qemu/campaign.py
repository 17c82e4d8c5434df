"""Power cuts and unplugs by the dozen; `make campaign-power` and tests/bench/simulator_power.py start them.

Each cut kills a running guest at a random moment under traffic and powers it on again with the same disk. What the
agent's ledger then holds is compared with what the guest's kernel had counted. One line each goes to `tell`.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.qemu.device import layer_over
from simulator.qemu.errors import GuestError, GuestHung
from simulator.qemu.events import LAB_MODULES, follow
from simulator.qemu.frozen import freeze, port, thaw
from simulator.qemu.guest import Guest
from simulator.qemu.image import device_disk
from simulator.qemu.initramfs import boot_archive
from simulator.qemu.kernel import find_kernel
from simulator.qemu.machine import Hardware

PROJECT = Path(__file__).parents[2]
MAY_LOSE_BYTES = 40_000_000
SHAPED_WITHIN_S = 5.0
USED_BEFORE_BYTES = 41_000_000_000
_PATIENCE_S = 420.0
_STEP_S = 240.0  # from one unplug to the next, which takes 3 s; the boot before the first takes 25
_MAY_HANG = 1  # guests of an unplug campaign: seen once in some dozens, on a busy machine; said in the row
_SHORTEST_S, _LONGEST_S = 0.1, 6.0  # how long traffic runs before the cut
_COLD_EVERY = 10  # so many power-ons start the agent as its unit does; the others fork it, which saves most of the time

_MODULES = ("virtio_pci", "virtio_blk", "virtio_console", "crc32c_generic", "ext4", "overlay")
# The device's own disk, read-only under an overlay in memory; the program is the first one, there is no systemd.
_INIT = """#!/bin/busybox sh
b=/bin/busybox
fail() { echo "guest: $*"; $b poweroff -f; }
$b mkdir -p /proc /sys /dev /disk /memory /new
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
while read -r module; do $b insmod "$module" || fail "insmod $module"; done < /boot-modules
$b mount -t ext4 -o ro,noatime /dev/vda /disk || fail "no disk"
$b mount -t tmpfs -o mode=755 memory /memory
$b mkdir /memory/upper /memory/work
$b mount -t overlay -o lowerdir=/disk,upperdir=/memory/upper,workdir=/memory/work overlay /new || fail overlay
$b mount --move /proc /new/proc
$b mount --move /sys /new/sys
$b mount --move /dev /new/dev
$b mount -t tmpfs -o mode=755 run /new/run
exec $b switch_root /new /usr/bin/python3 -I /usr/lib/guest/simulator/qemu/inside/power.py
"""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Bounds:
    """The least and the most that a counter can have stood at when the power went."""

    least: int
    most: int


@dataclass
class Tally:
    """What came of a campaign. `shaped_s`: from a start of the agent, as its unit does it, to the shaped line."""

    cuts: int = 0
    unplugs: int = 0
    carried_bytes: int = 0
    worst_lost_bytes: int = 0
    worst_ahead_bytes: int = 0
    phantom_bytes: int = 0
    hung: int = 0
    shaped_s: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def new_disk(folder: Path) -> Path:
    disk = folder / "state.img"
    with disk.open("wb") as file:
        file.truncate(32 << 20)
    return disk


def cut_power(count: int, seed: int, tally: Tally, tell: Tell) -> None:
    """`count` power cuts of one device, and one more power-on to see what the last left."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="modem-agent-campaign-") as folder:
        bench = _Bench(Path(folder), tally, tell)
        expected = Bounds(USED_BEFORE_BYTES, USED_BEFORE_BYTES)
        for number in range(count + 1):
            pause_s = chance.uniform(_SHORTEST_S, _LONGEST_S) if number < count else None
            expected = bench.power_on(number, expected, pause_s)


class _Bench:
    """A device that is frozen before it has seen the disk, and thawed for each power-on."""

    def __init__(self, folder: Path, tally: Tally, tell: Tell) -> None:
        self.tally, self.tell = tally, tell
        self._line, self._image = folder / "line", folder / "frozen"
        self._boots: set[str] = set()
        kernel = find_kernel()
        self._hardware = Hardware(
            kernel=kernel.image,
            initramfs=[boot_archive(kernel, _INIT, _MODULES)],
            memory_mb=384,
            cpus=2,
            disks=[layer_over(device_disk(), folder / "disk.qcow2"), new_disk(folder)],
            extra=port(self._line),
        )
        began_s = time.monotonic()
        freeze(self._hardware, self._line, self._image, _PATIENCE_S)
        size_mb = self._image.stat().st_size >> 20
        tell(f"booted and frozen in {time.monotonic() - began_s:.0f} s, {size_mb} MB")

    def power_on(self, number: int, expected: Bounds, pause_s: float | None) -> Bounds:
        """Power on, compare, carry traffic for `pause_s`, cut. Returns what the ledger should hold had nothing been
        lost since; it may never hold more than `most`, whatever was written at the last moment."""
        began_s = time.monotonic()
        machine, line = thaw(self._hardware, self._line, self._image, _PATIENCE_S)
        with machine:
            cold = number % _COLD_EVERY == 0
            order = {"wall_s": time.time(), "seed": os.urandom(64).hex(), "used_bytes": USED_BEFORE_BYTES}
            line.tell(cold=cold, **order)
            found = line.wait("found", _PATIENCE_S)
            used = int(found["used_bytes"])
            self._note(number, used, expected, found, cold)
            words = f"power-on {number}: {(expected.most - used) / 1e6:.2f} MB lost, "
            words += f"shaped {found['shaped_s']:.1f} s after the {'start' if cold else 'fork'} of the agent"
            if pause_s is None:
                self.tell(words)
                return expected
            time.sleep(pause_s)
            machine.power_cut()
            last = line.end()
        self.tally.cuts += 1
        self.tally.carried_bytes += last["least"]
        self.tell(f"{words}; cut after {last['least'] / 1e6:.1f} MB, {time.monotonic() - began_s:.1f} s in all")
        return Bounds(used + last["least"], used + last["most"])

    def _note(self, number: int, used: int, expected: Bounds, found: dict[str, Any], cold: bool) -> None:
        tally, lost = self.tally, expected.most - used
        tally.faults += judge(number, used, expected, found["store"], found["qdisc"])
        if found["boot"] in self._boots:
            tally.faults.append(f"power-on {number}: the boot id is an earlier one's")
        self._boots.add(found["boot"])
        if cold:
            tally.shaped_s.append(float(found["shaped_s"]))
        tally.worst_lost_bytes = max(tally.worst_lost_bytes, lost)
        tally.worst_ahead_bytes = max(tally.worst_ahead_bytes, -lost)


def judge(number: int, used: int, expected: Bounds, store: str, qdisc: str) -> list[str]:
    """What is wrong with what a power-on found; nothing, if all is well."""
    wrong = {
        f"{expected.most - used} bytes lost, more than {MAY_LOSE_BYTES}": expected.most - used > MAY_LOSE_BYTES,
        f"the ledger is {used - expected.most} bytes above the truth": used > expected.most,
        f"the store is {store}": store != "ok",
        f"shaped by {qdisc!r}": "cake 1fa0:" not in qdisc or "512Kbit" not in qdisc,
    }
    return [f"power-on {number}: {text}" for text, bad in wrong.items() if bad]


def pull_cable(count: int, tally: Tally, tell: Tell) -> None:
    """`count` unplugs of the USB module under traffic, in one guest; in a second one what the first hung before."""
    while tally.unplugs < count:
        try:
            _pull_in_one_guest(count - tally.unplugs, tally, tell)
        except GuestHung as error:
            tally.hung += 1
            tell(f"a guest hung after {tally.unplugs} unplugs in all\n{error}")
            if tally.hung > _MAY_HANG:
                raise
    if tally.phantom_bytes:
        tally.faults.append(f"{tally.phantom_bytes} phantom bytes in {count} unplugs")


def _pull_in_one_guest(count: int, tally: Tally, tell: Tell) -> None:
    with tempfile.TemporaryDirectory(prefix="modem-agent-campaign-") as folder:
        disk = new_disk(Path(folder))
        command = [sys.executable, "-m", "simulator.qemu.inside.campaign", str(count)]
        with Guest(command, modules=LAB_MODULES, folder=PROJECT, disks=[disk], cpus=2) as guest:
            before, carried = 0, 0  # the guest tells all since its first
            for event in follow(guest, _STEP_S):
                if event["event"] != "unplugged":
                    continue
                tally.unplugs += 1
                phantom, truth = int(event["phantom_bytes"]), int(event["truth_bytes"])
                tally.phantom_bytes += abs(phantom - before)
                tally.carried_bytes += truth - carried
                before, carried = phantom, truth
                tell(f"unplug {tally.unplugs}: {phantom} phantom bytes, {tally.carried_bytes / 1e6:.1f} MB so far")
            result = guest.wait(_STEP_S)
        if result.exit_code != 0:
            raise GuestError(f"the unplug campaign ended after {tally.unplugs} of {count}\n{result.output[-3000:]}")
