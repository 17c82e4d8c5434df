"""The Raspberry Pi's stand-in: ARM's virt board, Debian's arm64 kernel and programs, the agent and a USB module."""

from __future__ import annotations

import json
import time

import pytest

from simulator.qemu import GuestUnavailable
from simulator.qemu.device import Device, Wiring

pytestmark = [pytest.mark.qemu, pytest.mark.usefixtures("qemu"), pytest.mark.timeout(1500)]
PATIENCE_S = 600


def test_the_agent_runs_and_reads_its_module() -> None:
    try:
        built = Device(Wiring(arch="aarch64"))
    except GuestUnavailable as reason:
        pytest.skip(f"aarch64: {reason}")
    with built as device:
        up_s = device.power_on(PATIENCE_S)
        assert device.run("uname", "-m").output == "aarch64\n"
        limit = time.monotonic() + PATIENCE_S
        while True:
            said = device.run("modem-agent", "status", "--json", timeout_s=PATIENCE_S, check=False).output
            lines = [line for line in said.splitlines() if line.startswith("{")]
            status = json.loads(lines[-1]) if lines else {}
            if status.get("modem", {}).get("state") == "ready" and status.get("links"):
                break
            assert time.monotonic() < limit, said + device.shell("journalctl --no-pager -u modem-agent", check=False)
            time.sleep(2)
        print(f"up after {up_s:.0f} s, module read after {time.monotonic() - device.powered_on_s:.0f} s")
        assert status["store"] == "ok"
