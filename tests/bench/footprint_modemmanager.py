"""What watching the same module costs: the agent as its package installs it, then ModemManager, in one guest.

    python -m tests.bench.footprint_modemmanager [SECONDS]

The guest is the device of `modem-sim qemu`: systemd, the real unit, a true USB module (EC25). The agent also counts,
shapes and reports; ModemManager, connected and asked for the signal as often as its own default, only holds the modem.
Processor time is the guest's own account under TCG: good for comparing the two, not for a real board.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from simulator.qemu.device import Device
from simulator.qemu.errors import GuestError
from tests.bench.rows import Bench
from tests.qemu.waiting import wait_for

PATIENCE_S = 400.0
IDLE_S = 90.0
LOOK = "pid=$(systemctl show -P MainPID {unit}); grep ^Pss: /proc/$pid/smaps_rollup; cut -d' ' -f14,15 /proc/$pid/stat; getconf CLK_TCK; cut -d' ' -f1 /proc/uptime"  # noqa: E501


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a service's main process."""

    pss_mb: float
    cpu_s: float
    uptime_s: float


def look(device: Device, unit: str) -> Look:
    pss, ticks, hertz, uptime = device.shell(LOOK.format(unit=unit), timeout_s=60).splitlines()
    return Look(int(pss.split()[1]) / 1000, sum(map(int, ticks.split())) / int(hertz), float(uptime))


def cost(device: Device, unit: str, seconds: float) -> tuple[float, float]:
    """PSS in MB at the end of a quiet while, and percent of a core through it."""
    first = look(device, unit)
    time.sleep(seconds)
    last = look(device, unit)
    return last.pss_mb, 100 * (last.cpu_s - first.cpu_s) / (last.uptime_s - first.uptime_s)


def measure(bench: Bench, seconds: float) -> None:
    with Device() as device:
        device.power_on(PATIENCE_S)

        def says(*command: str, word: str) -> Callable[[], bool]:
            return lambda: word in device.run(*command, timeout_s=60, check=False).output

        wait_for("the agent has read the module", says("modem-agent", "status", "--json", word='"ready"'))
        time.sleep(20)  # the birth, the first reports and the proof of the line are over
        ours_mb, ours_cpu = cost(device, "modem-agent", seconds)
        device.run("dpkg", "--purge", "modem-agent", timeout_s=PATIENCE_S)  # its udev rules go too: the port is free
        device.run("systemctl", "start", "ModemManager", timeout_s=PATIENCE_S)
        wait_for("ModemManager has the module", says("mmcli", "-L", word="[Quectel] EC25"))
        device.run("mmcli", "-m", "any", "--simple-connect=apn=internet", timeout_s=PATIENCE_S)
        wait_for("ModemManager is connected", says("mmcli", "-m", "any", word="connected"))
        time.sleep(20)
        their_mb, their_cpu = cost(device, "ModemManager", seconds)
    where = "in the guest (Debian 12, systemd, USB module, TCG)"
    bench.row(f"memory (PSS) {where}", "", f"{ours_mb:.1f} MB", None, f"ModemManager {their_mb:.1f} MB")
    bench.row(f"processor, {seconds:.0f} s idle, {where}", "", f"{ours_cpu:.2f} % of a core", None,
              f"ModemManager {their_cpu:.2f} %")  # fmt: skip


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else IDLE_S
    bench = Bench("footprint_modemmanager", 9)
    try:
        measure(bench, seconds)
    except (GuestError, TimeoutError) as problem:
        bench.row("memory and processor beside ModemManager", "", f"not measured: {str(problem).splitlines()[0]}", None)
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
