"""The kernel's tables of routes and sysfs, as recorded on Linux 6.18, and what is made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.net.routes import KernelRoute, NetDevice, ipv4_routes, ipv6_routes, read_devices, read_routes

HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
# ip route: default via 10.64.0.1 dev wwan0 metric 700; default dev ppp0; unreachable default metric 4278198272;
# 10.64.0.0/24 dev wwan0; 192.0.2.7 via 10.64.0.1 dev wwan0
IPV4 = HEAD + (
    "wwan0\t00000000\t0100400A\t0003\t0\t0\t700\t00000000\t0\t0\t0\n"
    "ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n"
    "*\t00000000\t00000000\t0200\t0\t0\t4278198272\t00000000\t0\t0\t0\n"
    "wwan0\t0000400A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    "wwan0\t070200C0\t0100400A\t0007\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n"
)
NONE = "0" * 32
GATEWAY = "fd000064" + "0" * 23 + "1"
IPV6 = "".join(
    f"{line}\n"
    for line in (
        f"{NONE} 00 {NONE} 00 {GATEWAY} 00000400 00000001 00000000 00000003     usb0",
        f"{NONE} 00 20010db8{'0' * 24} 38 {GATEWAY} 00000200 00000001 00000000 00000003   wwan0",  # from 2001:db8::/56
        f"{NONE} 00 {NONE} 00 {NONE} ffffffff 00000001 00000000 00200200       lo",
        f"fd00{'0' * 27}2 80 {NONE} 00 {NONE} 00000000 00000003 00000000 80200001     usb0",  # our own address
        f"20010db8{'0' * 23}9 80 {NONE} 00 {GATEWAY} 00000400 00000001 00000000 00000007     usb0",
    )
)


def test_ipv4_routes_that_lead_out() -> None:
    assert ipv4_routes(IPV4) == [
        KernelRoute(4, "wwan0", "10.64.0.1", 700, default=True),
        KernelRoute(4, "ppp0", "", 0, default=True),
        KernelRoute(4, "wwan0", "", 0, default=False),
        KernelRoute(4, "wwan0", "10.64.0.1", 0, default=False, host=True),
    ]


def test_ipv6_routes_that_lead_out() -> None:
    assert ipv6_routes(IPV6) == [
        KernelRoute(6, "usb0", "fd00:64::1", 1024, default=True),
        KernelRoute(6, "wwan0", "fd00:64::1", 512, default=True),
        KernelRoute(6, "usb0", "fd00:64::1", 1024, default=False, host=True),
    ]


@pytest.mark.parametrize("text", ["", "\n", "wwan0\n", "wwan0\t0\n"])
def test_a_table_without_routes_or_cut_off(text: str) -> None:
    assert ipv4_routes(HEAD + text) == ipv6_routes(text) == []


def test_a_kernel_without_one_family_or_both(tmp_path: Path) -> None:
    assert read_routes(tmp_path) is None
    (tmp_path / "route").write_text(IPV4)
    assert len(read_routes(tmp_path) or ()) == 4


def device(folder: Path, name: str, arphrd: int, *entries: str, uevent: str = "") -> None:
    link = folder / name
    link.mkdir(parents=True)
    (link / "type").write_text(f"{arphrd}\n")
    (link / "uevent").write_text(uevent)
    for entry in entries:
        (link / entry).mkdir()


def test_what_sysfs_says_of_links(tmp_path: Path) -> None:
    device(tmp_path, "wwan0", 65534, "device")  # a raw-IP module
    device(tmp_path, "qmimux0", 65534, "lower_wwan0")
    device(tmp_path, "br-lan", 1, "bridge", "lower_lan1", "lower_lan2")
    device(tmp_path, "ppp0", 512, uevent="DEVTYPE=ppp\nINTERFACE=ppp0\n")
    device(tmp_path, "wg0", 65534, uevent="DEVTYPE=wireguard\nINTERFACE=wg0\n")
    device(tmp_path, "tap0", 1, "tun_flags")
    device(tmp_path, "464-wwan", 65534)
    device(tmp_path, "6in4-he", 776)
    device(tmp_path, "eth0", 1, "device")
    (tmp_path / "bonding_masters").write_text("bond0\n")  # the one entry that is no link
    assert read_devices(tmp_path) == {
        d.ifname: d
        for d in (
            NetDevice("wwan0"),
            NetDevice("qmimux0", lowers=("wwan0",)),
            NetDevice("br-lan", lowers=("lan1", "lan2"), bridge=True),
            NetDevice("ppp0"),
            NetDevice("wg0", tunnel=True),
            NetDevice("tap0", tunnel=True),
            NetDevice("464-wwan", tunnel=True),
            NetDevice("6in4-he", tunnel=True),
            NetDevice("eth0"),
        )
    }
