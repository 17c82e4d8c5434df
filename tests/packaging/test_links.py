"""The links of logical networks: named while a network is down, and the same over its ups and downs."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import config

from .conftest import OPENWRT
from .router import Router

GOOD = (OPENWRT / "modem-agent.config").read_text()
MODULE = "sys/devices/platform/usb1/1-1"
# Where the kernel's `device` of a port leads: usb-serial has a device of its own below the interface, cdc_acm none.
PORTS = {"ttyUSB3": f"{MODULE}/1-1:1.3/ttyUSB3", "ttyACM0": f"{MODULE}/1-1:1.2"}


@pytest.fixture
def router(tmp_path: Path, busybox: str) -> Router:
    made = Router(tmp_path, busybox).with_uci()
    made.uci(GOOD)
    return made


def network(router: Router, device: str = "", proto: str = "qmi") -> None:
    option = f"\toption device '{device}'\n" if device else ""
    base = "config interface 'base'\n\toption proto 'qmi'\n\toption device '/dev/cdc-wdm0'\n"
    router.uci(f"config interface 'wan'\n\toption proto '{proto}'\n{option}{base}", "network")


def links(router: Router) -> tuple[str, ...]:
    return config.load(router.conf).wan.interfaces


def test_the_devices_of_logical_networks_are_looked_up(router: Router) -> None:
    """Three networks: one up, one with a device in its section, one cellular and not yet up."""
    router.uci(GOOD.replace("list network 'wan'", "list network 'up'\n\tlist network 'fixed'\n\tlist network 'cell'"))
    router.uci(
        "config interface 'fixed'\n\toption device usb0\nconfig interface cell\n\toption device /dev/cdc-wdm0\n",
        "network",
    )
    router.up("up", "wwan1")
    assert router.call("start").returncode == 0
    assert links(router) == ("wwan1", "usb0", "wwan0")
    triggers = router.call("service_triggers").stdout
    assert [line.split()[2] for line in triggers.splitlines() if line.startswith("trigger")] == ["up", "fixed", "cell"]


@pytest.mark.parametrize(
    ("device", "link"),
    [
        ("/dev/cdc-wdm0", "wwan1"), ("/dev/ttyUSB3", "usb0"), ("/dev/ttyUSB3", "3g-wan"), ("eth1", "pppoe-wan"),
        ("/sys/devices/platform/usb1/1-1", "wwan0qmi0"), ("", "wwan3"), ("@lan", "wwan4"), ("usb0", "usb0"),
    ],
)  # fmt: skip
def test_a_network_that_goes_up_and_down_restarts_and_writes_nothing(router: Router, device: str, link: str) -> None:
    network(router, device)
    router.up("wan", link)
    running, written = router.instance("start"), router.conf.stat()
    folder = router.conf.parent.stat().st_mtime_ns
    for _ in range(3):
        router.down("wan")
        assert router.instance("reload_service") == running
        router.up("wan", link)
        assert router.instance("reload_service") == running
    assert (router.conf.stat().st_ino, router.conf.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    assert router.conf.parent.stat().st_mtime_ns == folder, "not even a file for a moment"
    assert links(router) == (link,)


def test_the_link_is_known_at_the_next_boot_before_the_network_is_up(router: Router) -> None:
    network(router, "/dev/cdc-wdm0")
    router.up("wan", "wwan1")
    running = router.instance("start")
    router.down("wan")
    assert router.instance("start") == running


def test_another_link_or_another_device_is_taken_up(router: Router) -> None:
    network(router, "/dev/cdc-wdm0")
    router.up("wan", "wwan1")
    router.call("start")
    router.up("wan", "wwan2")
    router.call("reload_service")
    assert links(router) == ("wwan2",)
    router.down("wan")
    network(router, "usb0", "dhcp")
    router.call("reload_service")
    assert links(router) == ("usb0",)


@pytest.mark.parametrize(
    ("device", "proto", "there", "expected"),
    [
        ("/dev/cdc-wdm0", "qmi", "sys/class/usbmisc/cdc-wdm0/device/net/wwan1", "wwan1"),
        ("/dev/ttyUSB3", "ncm", f"{MODULE}/1-1:1.0/net/usb0", "usb0"),
        ("/dev/ttyACM0", "ncm", f"{MODULE}/1-1:1.6/net/wwan2", "wwan2"),
        ("/sys/devices/platform/usb1/1-1", "modemmanager", "sys/devices/platform/usb1/1-1/1-1:1.4/net/wwan1", "wwan1"),
        ("/sys/devices/platform/usb1/1-1", "modemmanager", "", "wwan0"),
        ("/dev/cdc-wdm0", "qmi", "", "wwan0"),
        ("/dev/ttyUSB3", "3g", "", "3g-wan"),
        ("/dev/ttyUSB3", "ppp", "", "ppp-wan"),
        ("@base", "dhcpv6", "sys/class/usbmisc/cdc-wdm0/device/net/wwan1", "wwan1"),
        ("@wan", "dhcpv6", "", "wwan0"),
        ("@missing", "dhcp", "", "wwan0"),
        ("a-name-far-too-long", "dhcp", "", "wwan0"),
        ("", "qmi", "", "wwan0"),
    ],
)
def test_a_network_that_was_never_up_starts_with_the_likely_link(
    router: Router, device: str, proto: str, there: str, expected: str
) -> None:
    if there:
        (router.root / there).mkdir(parents=True)
    for port, place in PORTS.items():
        (router.root / place).mkdir(parents=True)
        (router.root / "sys/class/tty" / port).mkdir(parents=True)
        (router.root / "sys/class/tty" / port / "device").symlink_to(router.root / place)
    network(router, device, proto)
    assert router.call("start").returncode == 0
    assert links(router) == (expected,)
