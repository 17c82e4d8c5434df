"""The whole device under systemd: the package's real unit, its udev rules, an upgrade, a purge while throttled.

One device is powered on once and goes through it all in order; what a test needs of the one before it says so.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.qemu import GuestUnavailable
from simulator.qemu.device import Device, Wiring
from simulator.qemu.image import build_package
from simulator.qemu.inside.lab import counted_bytes
from tests.qemu.waiting import PATIENCE_S, wait_for

pytestmark = [pytest.mark.qemu, pytest.mark.usefixtures("qemu"), pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def device() -> Iterator[Device]:
    try:
        built = Device()
    except GuestUnavailable as reason:  # no Debian archive, or no root: there is nothing to build a guest from
        pytest.skip(f"mmdebstrap: {reason}")
    with built as device:
        device.power_on(PATIENCE_S)
        # The first report that the operator's broker sees, with the time since power-on; again until there is a broker.
        listen = "ip netns exec operator mosquitto_sub -h 127.0.0.1 -t '#' -C 1 -F '%t' 2>/dev/null"
        device.shell(f'setsid sh -c "until {listen}; do sleep 1; done; cat /proc/uptime" >/run/first 2>&1 &')
        yield device


def status(device: Device) -> dict[str, Any]:
    """What the CLI says; it ends with another status than 0 while the modem is absent or the agent still starts."""
    result = device.run("modem-agent", "status", "--json", timeout_s=PATIENCE_S, check=False)
    lines = [line for line in result.output.splitlines() if line.startswith("{")]
    return dict(json.loads(lines[-1])) if lines else {}


def active(device: Device) -> bool:
    return device.run("systemctl", "is-active", "modem-agent", check=False).output.strip() == "active"


def shown(device: Device, *names: str) -> dict[str, str]:
    """What systemd says of the service."""
    output = device.run("systemctl", "show", "modem-agent", *(f"--property={name}" for name in names)).output
    return dict(line.split("=", 1) for line in output.splitlines() if "=" in line)


def watched(device: Device) -> None:
    """The service is up, as its own user, and feeds its watchdog: systemd hears from it again and again."""
    wait_for("modem-agent active", lambda: active(device))
    values = shown(device, "WatchdogUSec", "NRestarts", "User", "WatchdogTimestampMonotonic")
    last = int(values.pop("WatchdogTimestampMonotonic"))
    assert values == {"WatchdogUSec": "1min", "NRestarts": "0", "User": "modem-agent"}
    wait_for("the watchdog fed", lambda: int(shown(device, "WatchdogTimestampMonotonic").popitem()[1]) > last)


def test_the_service_becomes_active_and_feeds_its_watchdog(device: Device) -> None:
    watched(device)


def test_the_kernel_and_udev_take_the_gadget_for_the_module(device: Device) -> None:
    wait_for("the link", lambda: "wwan0" in device.run("ls", "/sys/class/net").output.split())
    assert device.run("readlink", "/dev/modem-agent/at").output.strip() == "../ttyUSB2"
    properties = device.run("udevadm", "info", "/dev/ttyUSB2").output
    assert "ID_MM_PORT_IGNORE=1" in properties
    assert "ID_VENDOR_ID=2c7c" in properties
    assert "ID_MM_PORT_IGNORE" not in device.run("udevadm", "info", "/dev/ttyUSB1").output


def test_the_agent_reads_the_module_and_reports_within_a_minute(device: Device) -> None:
    wait_for("the module read", lambda: status(device).get("modem", {}).get("state") == "ready")
    said = wait_for(
        "the first report", lambda: len(words := device.run("cat", "/run/first").output.split()) > 1 and words
    )
    topic, uptime = said[0], said[1]
    assert topic.startswith("modem-agent/v1/")
    print(f"first report {float(uptime):.0f} s after power-on")


def counted(device: Device) -> int:
    """All that was counted: what is charged falls when the agent's own traffic is taken off it."""
    return counted_bytes(wait_for("the usage", lambda: "usage" in (seen := status(device)) and seen))


def version(device: Device) -> str:
    asked = ("dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", "modem-agent")
    return device.run(*asked).output.strip()


def test_an_upgrade_and_a_downgrade_keep_the_ledger_and_the_service(device: Device, tmp_path: Path) -> None:
    device.shell("ip netns exec operator ping -q -c 20 -i 0.05 -s 1400 10.64.0.2", check=False)
    before = counted(device)
    assert before > 20 * 1400
    for number in ("0.1.1~next", "0.1.0~older"):
        shutil.copy(build_package(tmp_path, number), device.share / "other.deb")
        device.run("dpkg", "-i", "/mnt/guest/other.deb", timeout_s=PATIENCE_S)
        wait_for("modem-agent active again", lambda: active(device))
        assert version(device) == f"installed {number}"
        after = counted(device)
        assert before <= after < before + 1_000_000
        before = after


def test_an_upgrade_cut_short_by_power_is_finished_after_it(device: Device, tmp_path: Path) -> None:
    """The worst moment: all of the new one is there and none of it has been told. The line is shaped and counted on."""
    before = counted(device)
    device.run("systemctl", "restart", "modem-agent", timeout_s=PATIENCE_S)  # its end writes what was counted
    shutil.copy(build_package(tmp_path, "0.1.2~cut"), device.share / "cut.deb")
    device.run("dpkg", "--unpack", "/mnt/guest/cut.deb", timeout_s=PATIENCE_S)
    assert active(device), "nothing stops before the new one is whole"
    device.run("sync")
    device.power_cut()
    device.power_on(PATIENCE_S)
    wait_for("modem-agent active after the cut", lambda: active(device))
    assert version(device) == "unpacked 0.1.2~cut"
    device.run("dpkg", "--configure", "-a", timeout_s=PATIENCE_S)
    assert version(device) == "installed 0.1.2~cut"
    wait_for("modem-agent active again", lambda: active(device))
    assert counted(device) >= before


def test_a_purge_while_throttled_leaves_the_line_free_and_nothing_behind(device: Device) -> None:
    device.run("modem-agent", "throttle", "force", "--reason", "test", timeout_s=PATIENCE_S)
    wait_for("the shaping", lambda: "cake 1fa0:" in device.run("tc", "qdisc", "show", "dev", "wwan0").output)
    said = device.run("dpkg", "--purge", "modem-agent", timeout_s=PATIENCE_S).output
    assert "1fa0" not in device.run("tc", "qdisc").output, said
    assert "ifb4" not in device.run("ip", "-br", "link").output
    left = "ls -A /var/lib/modem-agent /etc/modem-agent /usr/lib/modem-agent 2>/dev/null | grep -v :"
    assert device.shell(left, check=False).split() == []
    assert not active(device)


def test_modemmanager_then_takes_the_module_for_a_quectel_and_connects(device: Device) -> None:
    """After the purge the rules are gone and the port is ModemManager's: a real client for the simulated module."""
    device.run("dpkg", "--purge", "modem-agent", timeout_s=PATIENCE_S, check=False)  # should this test run by itself
    device.run("systemctl", "start", "ModemManager", timeout_s=PATIENCE_S)
    wait_for("ModemManager's modem", lambda: "[Quectel] EC25" in device.run("mmcli", "-L", check=False).output)
    device.run("mmcli", "-m", "any", "--simple-connect=apn=internet", timeout_s=PATIENCE_S)
    seen = json.loads(device.run("mmcli", "-m", "any", "--output-json").output)["modem"]
    assert seen["generic"]["plugin"] == "quectel"
    assert seen["generic"]["state"] == "connected"
    assert "ttyUSB2 (at)" in seen["generic"]["ports"]
    assert int(seen["generic"]["signal-quality"]["value"]) > 0
    assert seen["3gpp"]["operator-name"] == "Proximus"
    assert seen["3gpp"]["registration-state"] == "home"
    sim = json.loads(device.run("mmcli", "-i", "any", "--output-json", check=False).output or "{}")
    assert sim.get("sim", {}).get("properties", {}).get("imsi", "").startswith("20601")


def test_on_trixie_the_package_s_service_becomes_active_with_its_watchdog_fed() -> None:
    """Debian 13 with its own Python, pyroute2 and paho; the kernel is the guests' own (bookworm's)."""
    try:
        built = Device(Wiring(suite="trixie"))
    except GuestUnavailable as reason:  # no Debian archive, or no root: there is nothing to build a guest from
        pytest.skip(f"mmdebstrap: {reason}")
    with built as trixie:
        trixie.power_on(PATIENCE_S)
        watched(trixie)
        wait_for("the module read", lambda: status(trixie).get("modem", {}).get("state") == "ready")
        print(trixie.run("python3", "--version").output)
