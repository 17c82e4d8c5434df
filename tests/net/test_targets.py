"""What a diagnosis from afar may reach: the internet, and nothing that is the household's, however it is written."""

from __future__ import annotations

import pytest

from agent.net.routes import ipv4_routes, ipv6_routes
from agent.net.targets import is_own, problem

# /proc/net/route and /proc/net/ipv6_route of an OpenWrt router: a LAN with a private and a global network.
ROUTES = [
    *ipv4_routes(
        "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
        "wwan0 00000000 00000000 0001 0 0 0 00000000 0 0 0\n"
        "br-lan 0001A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n"
        "br-lan 00010151 00000000 0001 0 0 0 00FFFFFF 0 0 0\n"  # 81.1.1.0/24
    ),
    *ipv6_routes(
        "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
        "00000000000000000000000000000000 00000400 00000001 00000000 00000001 wwan0\n"
        "2a021810000100000000000000000000 40 00000000000000000000000000000000 00 "
        "00000000000000000000000000000000 00000400 00000001 00000000 00000001 br-lan\n"
    ),
]


def reached(address: str, *allowed: str) -> bool:
    return not problem(address, allowed, ROUTES, ("wwan*",))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "81.1.2.1", "2606:4700:4700::1111", "2a02:1810:2::1", "64:ff9b::101:101"]
)
def test_the_internet(address: str) -> None:
    assert reached(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.10", "169.254.1.1", "100.64.0.1",
        "224.0.0.251", "239.255.255.250", "255.255.255.255", "240.0.0.1", "198.18.0.1",
        "81.1.1.7",  # global, and the household's
        "::", "::1", "fe80::1", "fe80::1%br-lan", "fd12::1", "ff02::1", "ff0e::1", "2001:db8::1",
        "2a02:1810:1::99",  # global, and the household's
        "::ffff:127.0.0.1", "::ffff:192.168.1.10", "::127.0.0.1", "::c0a8:10a", "2002:c0a8:010a::1",
        "64:ff9b::c0a8:10a", "64:ff9b::7f00:1", "localhost", "1.2", "",
    ],
)  # fmt: skip
def test_what_is_the_households_or_nowhere(address: str) -> None:
    assert not reached(address)


def test_what_the_configuration_allows() -> None:
    assert reached("192.168.1.10", "192.168.1.0/24")
    assert reached("fd12::1", "192.168.1.0/24", "fd00::/8")
    assert not reached("192.168.2.10", "192.168.1.0/24")
    assert reached("81.1.1.7", "81.1.1.7")


def test_a_link_that_the_configuration_takes_for_the_way_out_and_the_kernel_does_not() -> None:
    assert problem("2a02:1810:1::99", (), ROUTES, ("*",)) == "2a02:1810:1::99 is in the household's network (br-lan)"
    assert not problem("2606:4700:4700::1111", (), ROUTES, ("*",))


def test_this_devices_own_address() -> None:
    assert is_own("127.0.0.1")
    assert not is_own("192.0.2.1")  # TEST-NET-1 (RFC 5737)
