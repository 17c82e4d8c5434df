"""The device guest: how long its image takes to be built from nothing, and how long it takes from power-on to the first
report at the operator's broker.

.venv/bin/python -m tests.bench.simulator_guest [--warm]     --warm: the image from the cache
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time

from simulator.qemu.device import Device
from simulator.qemu.image import base_root, device_disk
from simulator.qemu.kernel import find_kernel
from tests.bench.rows import Bench

IMAGE_WITHIN_S, REPORT_WITHIN_S = 240.0, 60.0
LISTEN = (
    "until ip netns exec operator mosquitto_sub -h 127.0.0.1 -t 'modem-agent/v1/+/m/#' -C 1 -F %t 2>/dev/null;"
    " do sleep 0.2; done"
)


def build(bench: Bench, warm: bool) -> None:
    """Each part by itself, as a guest asks for them."""
    took = {}
    for name, part in (("kernel", find_kernel), ("root", base_root), ("agent and disk", device_disk)):
        began = time.monotonic()
        part()
        took[name] = time.monotonic() - began
    parts = ", ".join(f"{name} {seconds:.0f}" for name, seconds in took.items())
    whole_s = sum(took.values())
    bench.row(
        "image of the device guest, " + ("cached" if warm else "from nothing, packages fetched"),
        f"under {IMAGE_WITHIN_S:.0f} s cold",
        f"{whole_s:.0f} s ({parts})",
        None if warm else whole_s < IMAGE_WITHIN_S,
    )


def report(bench: Bench) -> None:
    with Device() as device:
        up_s = device.power_on(300)
        topic = device.shell(LISTEN, timeout_s=300).strip()
        first_s = time.monotonic() - device.powered_on_s
        state = device.run("modem-agent", "status", "--json", timeout_s=60, check=False).exit_code
    bench.row(
        "from power-on to the first report at the broker: systemd, USB module, agent (TCG, two cores)",
        f"under {REPORT_WITHIN_S:.0f} s",
        f"{first_s:.1f} s ({topic.rsplit('/', 2)[-2]}/{topic.rsplit('/', 1)[-1]}; the guest's hand after {up_s:.1f} s)",
        first_s < REPORT_WITHIN_S and state == 0,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--warm", action="store_true")
    options = parser.parse_args()
    bench = Bench("simulator_guest", issue=8)
    with tempfile.TemporaryDirectory(prefix="modem-agent-cache-") as cache:
        if not options.warm:
            os.environ["MODEM_AGENT_CACHE"] = cache
        build(bench, options.warm)
        report(bench)
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
