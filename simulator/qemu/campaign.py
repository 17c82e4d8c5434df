"""Power cuts and unplugs by the dozen, as `make campaign-power` starts them: --cuts 100 --unplugs 50.

Each cut kills a running guest at a random moment under traffic and powers it on again with the same disk. What the
agent's ledger then holds is compared with what the guest's kernel had counted. Prints one line each and a verdict.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from simulator.qemu.errors import GuestError
from simulator.qemu.events import LAB_MODULES, events, wait_event
from simulator.qemu.guest import Guest

PROJECT = Path(__file__).parents[2]
MAY_LOSE_BYTES = 40_000_000
# The truth is written every 20 ms; a commit may fall between its last word and the cut.
LAG_BYTES = 2_000_000
USED_BEFORE_BYTES = 41_000_000_000
_PATIENCE_S = 420.0


@dataclass
class Tally:
    """What came of a campaign."""

    cuts: int = 0
    unplugs: int = 0
    worst_lost_bytes: int = 0
    worst_ahead_bytes: int = 0
    phantom_bytes: int = 0
    slowest_shaping_s: float = 0.0
    faults: list[str] = field(default_factory=list)


def new_disk(folder: Path) -> Path:
    disk = folder / "state.img"
    with disk.open("wb") as file:
        file.truncate(32 << 20)
    return disk


def cut_power(count: int, seed: int, tally: Tally) -> None:
    """`count` power cuts of one device, and one more power-on to see what the last left."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="modem-agent-campaign-") as folder:
        disk = new_disk(Path(folder))
        expected = USED_BEFORE_BYTES
        for number in range(count + 1):
            expected = _one_power_on(disk, number, count, expected, chance, tally)


def _one_power_on(disk: Path, number: int, count: int, expected: int, chance: random.Random, tally: Tally) -> int:
    """Power on, compare, carry traffic, cut. Returns what the ledger would hold had nothing been lost since."""
    script = str(PROJECT / "simulator/qemu/inside/power.py")
    command = [sys.executable, "-I", script, sys.executable, str(PROJECT), str(USED_BEFORE_BYTES)]
    with Guest(command, modules=("virtio_blk", "ext4"), folder=PROJECT, disks=[disk], cpus=2) as guest:
        found = wait_event(guest, "found", _PATIENCE_S)
        shaped = wait_event(guest, "shaped", _PATIENCE_S)
        lost = expected - int(found["used_bytes"])
        _judge(number, lost, found["store"], shaped["qdisc"], tally)
        tally.slowest_shaping_s = max(tally.slowest_shaping_s, float(shaped["after_s"]))
        line = f"power-on {number}: {lost / 1e6:+.2f} MB lost, shaped {shaped['after_s']} s after the agent answered"
        if number == count:
            print(line, flush=True)
            return expected
        wait_event(guest, "running", _PATIENCE_S)
        time.sleep(chance.uniform(0.1, 6.0))
        guest.machine.power_cut()
        carried = int((guest.share / "truth").read_text().split()[0])
        tally.cuts += 1
        print(f"{line}; cut after {carried / 1e6:.1f} MB", flush=True)
        return int(found["used_bytes"]) + carried


def _judge(number: int, lost: int, store: str, qdisc: str, tally: Tally) -> None:
    if number > 0:
        tally.worst_lost_bytes = max(tally.worst_lost_bytes, lost)
        tally.worst_ahead_bytes = max(tally.worst_ahead_bytes, -lost)
    if lost > MAY_LOSE_BYTES:
        tally.faults.append(f"cut {number}: {lost} bytes lost, more than {MAY_LOSE_BYTES}")
    if lost < -LAG_BYTES:
        tally.faults.append(f"cut {number}: the ledger is {-lost} bytes above the truth")
    if store != "ok":
        tally.faults.append(f"cut {number}: the store is {store}")
    if "cake 1fa0:" not in qdisc or "512Kbit" not in qdisc:
        tally.faults.append(f"cut {number}: shaped by {qdisc!r}")


def pull_cable(count: int, tally: Tally) -> None:
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
                print(f"unplug {event['number']}: {event['phantom_bytes']} phantom bytes", flush=True)
        if result.exit_code != 0 or tally.unplugs != count:
            raise GuestError(f"the unplug campaign ended after {tally.unplugs} of {count}\n{result.output[-3000:]}")
    if tally.phantom_bytes:
        tally.faults.append(f"{tally.phantom_bytes} phantom bytes in {count} unplugs")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--unplugs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    tally = Tally()
    try:
        if options.unplugs:
            pull_cable(options.unplugs, tally)
        if options.cuts:
            cut_power(options.cuts, options.seed, tally)
    except GuestError as error:
        tally.faults.append(str(error))
    print(
        f"{tally.cuts} power cuts: at most {tally.worst_lost_bytes / 1e6:.2f} MB lost, "
        f"{tally.worst_ahead_bytes / 1e6:.3f} MB ahead, shaping within {tally.slowest_shaping_s:g} s of the agent; "
        f"{tally.unplugs} unplugs: {tally.phantom_bytes} phantom bytes"
    )
    for fault in tally.faults:
        print(f"FAULT {fault}")
    return int(bool(tally.faults))


if __name__ == "__main__":
    sys.exit(main())
