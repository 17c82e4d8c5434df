"""Power cuts and unplugs by the dozen; `make campaign-power` and tests/bench/simulator_power.py start them.

Each cut kills a running guest at a random moment under traffic and powers it on again with the same disk. What the
agent's ledger then holds is compared with what the guest's kernel had counted. One line each goes to `tell`.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from simulator.qemu.errors import GuestError
from simulator.qemu.events import LAB_MODULES, events, wait_event
from simulator.qemu.guest import Guest

PROJECT = Path(__file__).parents[2]
MAY_LOSE_BYTES = 40_000_000
SHAPED_WITHIN_S = 5.0
USED_BEFORE_BYTES = 41_000_000_000
_PATIENCE_S = 420.0
_SHORTEST_S, _LONGEST_S = 0.1, 6.0  # how long traffic runs before the cut

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Bounds:
    """The least and the most that a counter can have stood at when the power went."""

    least: int
    most: int


@dataclass
class Tally:
    """What came of a campaign. `shaped_s` has the seconds from each start of the agent to the shaped line."""

    cuts: int = 0
    unplugs: int = 0
    carried_bytes: int = 0
    worst_lost_bytes: int = 0
    worst_ahead_bytes: int = 0
    phantom_bytes: int = 0
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
        disk = new_disk(Path(folder))
        expected = Bounds(USED_BEFORE_BYTES, USED_BEFORE_BYTES)
        for number in range(count + 1):
            pause_s = chance.uniform(_SHORTEST_S, _LONGEST_S) if number < count else None
            expected = _one_power_on(disk, number, expected, pause_s, tally, tell)


def _one_power_on(disk: Path, number: int, expected: Bounds, pause_s: float | None, tally: Tally, tell: Tell) -> Bounds:
    """Power on, compare, carry traffic for `pause_s`, cut. Returns what the ledger should hold had nothing been lost;
    never more than `most`, whatever was written at the last moment."""
    script = str(PROJECT / "simulator/qemu/inside/power.py")
    command = [sys.executable, "-I", script, sys.executable, str(PROJECT), str(USED_BEFORE_BYTES)]
    began_s = time.monotonic()
    with Guest(command, modules=("virtio_blk", "ext4"), folder=PROJECT, disks=[disk], cpus=2) as guest:
        shaped = wait_event(guest, "shaped", _PATIENCE_S)
        found = wait_event(guest, "found", _PATIENCE_S)
        used = int(found["used_bytes"])
        lost = expected.most - used
        faults = judge(number, used, expected, found["store"], shaped["qdisc"])
        tally.faults += faults
        tally.shaped_s.append(float(shaped["after_s"]))
        tally.worst_lost_bytes = max(tally.worst_lost_bytes, lost)
        tally.worst_ahead_bytes = max(tally.worst_ahead_bytes, -lost)
        line = f"power-on {number}: {lost / 1e6:.2f} MB lost, shaped {shaped['after_s']} s after the agent's start"
        if pause_s is None:
            tell(line)
            return expected
        wait_event(guest, "running", _PATIENCE_S)
        time.sleep(pause_s)
        guest.machine.power_cut()
        least, most = (int(word) for word in (guest.share / "truth").read_text().split())
        tally.cuts += 1
        tally.carried_bytes += least
        tell(f"{line}; cut after {least / 1e6:.1f} MB, {time.monotonic() - began_s:.0f} s in all")
        return Bounds(used + least, used + most)


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
    """`count` unplugs of the USB module under traffic, in one guest."""
    with tempfile.TemporaryDirectory(prefix="modem-agent-campaign-") as folder:
        disk = new_disk(Path(folder))
        command = [sys.executable, "-m", "simulator.qemu.inside.campaign", str(count)]
        with Guest(command, modules=LAB_MODULES, folder=PROJECT, disks=[disk], cpus=2) as guest:
            result = guest.wait(_PATIENCE_S + 30.0 * count)
        for event in events(result.output):
            if event["event"] == "unplugged":
                tally.unplugs += 1
                tally.phantom_bytes += abs(int(event["phantom_bytes"]))
                carried = int(event["truth_bytes"])
                tally.carried_bytes = carried  # all since the first
                tell(f"unplug {event['number']}: {event['phantom_bytes']} phantom bytes, {carried / 1e6:.1f} MB so far")
        if result.exit_code != 0 or tally.unplugs != count:
            raise GuestError(f"the unplug campaign ended after {tally.unplugs} of {count}\n{result.output[-3000:]}")
    if tally.phantom_bytes:
        tally.faults.append(f"{tally.phantom_bytes} phantom bytes in {count} unplugs")
