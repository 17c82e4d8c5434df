"""ModemManager, a real client: it must take the simulated module for the Quectel that it plays, read it and connect.

In a whole device, with udev, the kernel's own drivers and the module as a USB gadget. The agent and its udev rules,
which keep one port from ModemManager, are out of the way."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from simulator.qemu import GuestUnavailable
from simulator.qemu.device import Device, Wiring

pytestmark = [pytest.mark.qemu, pytest.mark.usefixtures("qemu"), pytest.mark.timeout(1500)]
PATIENCE_S = 480
RULES = "/lib/udev/rules.d/70-modem-agent.rules"


@pytest.fixture(scope="module")
def device() -> Iterator[Device]:
    try:
        built = Device(Wiring(append="systemd.mask=modem-agent.service"))
    except GuestUnavailable as reason:
        pytest.skip(f"mmdebstrap: {reason}")
    with built as device:
        device.power_on(PATIENCE_S)
        wait_for("the module", lambda: "ttyUSB2" in device.shell("ls /dev"))
        device.shell(f"rm {RULES} && udevadm control --reload", timeout_s=PATIENCE_S)
        device.unplug()
        wait_for("the module gone", lambda: "ttyUSB2" not in device.shell("ls /dev"))
        device.plug()
        device.run("systemctl", "start", "ModemManager", timeout_s=PATIENCE_S)
        yield device


def wait_for(what: str, look: Callable[[], Any]) -> Any:
    limit = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < limit, f"not within {PATIENCE_S} s: {what}"
        time.sleep(0.5)
    return found


def mmcli(device: Device, *words: str) -> dict[str, Any]:
    """What mmcli says; empty while it has nothing to say."""
    said = device.run("mmcli", "--output-json", *words, timeout_s=PATIENCE_S, check=False).output
    return dict(json.loads(said)) if said.startswith("{") else {}


def state(device: Device) -> str:
    return str(mmcli(device, "-m", "any").get("modem", {}).get("generic", {}).get("state", ""))


def test_it_recognises_the_module_and_reads_it(device: Device) -> None:
    wait_for("the modem registered", lambda: state(device) in ("registered", "connected"))
    modem = mmcli(device, "-m", "any")["modem"]
    assert modem["generic"]["manufacturer"] == "Quectel"
    assert modem["generic"]["model"] == "EC25"
    assert modem["generic"]["plugin"] == "quectel"
    assert "ttyUSB2 (at)" in modem["generic"]["ports"]
    assert int(modem["generic"]["signal-quality"]["value"]) > 0
    assert modem["3gpp"]["operator-name"] == "Proximus"
    assert modem["3gpp"]["operator-code"] == "20601"
    assert modem["3gpp"]["registration-state"] == "home"
    assert len(modem["3gpp"]["imei"]) == 15
    sim = mmcli(device, "-i", modem["generic"]["sim"])["sim"]["properties"]
    assert sim["imsi"].startswith("20601")
    assert sim["iccid"].startswith("89")


def test_it_connects_and_disconnects(device: Device) -> None:
    wait_for("the modem registered", lambda: state(device) in ("registered", "connected"))
    device.run("mmcli", "-m", "any", "--simple-connect=apn=internet", timeout_s=PATIENCE_S)
    assert state(device) == "connected"
    device.run("mmcli", "-m", "any", "--simple-disconnect", timeout_s=PATIENCE_S)
    wait_for("the modem disconnected", lambda: state(device) == "registered")
