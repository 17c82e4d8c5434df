"""Which link carries the household's traffic, and whether it is one that counts."""

from __future__ import annotations

import sys

import pytest

from agent.net.routes import KernelRoute, NetDevice
from agent.traffic.uplink import Mismatch, judge
from tests.netns import needs_namespaces, wire

LINKS = (
    NetDevice("lo"),
    NetDevice("wwan0"),
    NetDevice("usb0"),
    NetDevice("eth0"),
    NetDevice("ppp0"),
    NetDevice("br-lan", lowers=("eth0",), bridge=True),
    NetDevice("br-wan", lowers=("wwan0",), bridge=True),
    NetDevice("wwan0.7", lowers=("wwan0",)),
    NetDevice("wg0", tunnel=True),
    NetDevice("464-wwan", tunnel=True),
)
DEVICES = {link.ifname: link for link in LINKS}


def route(ifname: str, metric: int = 0, family: int = 4) -> KernelRoute:
    return KernelRoute(family, ifname, "", metric, default=True)


def host(ifname: str, family: int = 4) -> KernelRoute:
    return KernelRoute(family, ifname, "10.0.0.1", 0, default=False, host=True)


def found(
    *routes: KernelRoute, patterns: tuple[str, ...] = ("wwan*",), without: tuple[str, ...] = ()
) -> Mismatch | None:
    return judge(routes, {n: d for n, d in DEVICES.items() if n not in without}, patterns)


def elsewhere(mismatch: Mismatch | None) -> tuple[str, ...]:
    return () if mismatch is None else mismatch.links


NO_WWAN = ("wwan0", "wwan0.7", "br-wan")


def test_the_configured_link_carries_it() -> None:
    assert found(route("wwan0")) is None
    assert found(route("wwan0"), route("wwan0", 1024, 6)) is None


def test_another_link_carries_it() -> None:
    mismatch = found(route("usb0"))
    assert mismatch == Mismatch("other-link", ("usb0",), ("wwan*",))
    assert "usb0" in mismatch.text
    assert "wwan*" in mismatch.text
    assert "put it into wan.interfaces" in mismatch.advice


def test_there_is_no_configured_link_and_another_carries_it() -> None:
    mismatch = found(route("usb0"), without=NO_WWAN)
    assert mismatch == Mismatch("no-link", ("usb0",), ("wwan*",))
    assert "there is no interface wwan*" in mismatch.text


def test_each_family_is_judged_by_itself() -> None:
    assert elsewhere(found(route("wwan0"), route("usb0", 1024, 6))) == ("usb0",)
    assert elsewhere(found(route("usb0"), route("wwan0", 1024, 6))) == ("usb0",)
    assert elsewhere(found(route("usb0"), route("eth0", 1024, 6))) == ("eth0", "usb0")


def test_no_default_route_is_a_line_that_is_down() -> None:
    assert found() is None
    assert found(without=NO_WWAN) is None, "the module is absent"
    assert found(KernelRoute(4, "br-lan", "", 0, default=False), host("usb0")) is None


def test_the_lowest_metric_counts() -> None:
    assert found(route("wwan0", 100), route("eth0", 700)) is None
    assert elsewhere(found(route("wwan0", 700), route("eth0", 100))) == ("eth0",)
    assert found(route("wwan0", 1024, 6), route("eth0", 1024, 6)) is None, "of equal ones either may carry it"


def test_what_lies_over_a_link_that_counts_is_carried_by_it() -> None:
    assert found(route("br-wan")) is None
    assert found(route("wwan0.7"), patterns=("wwan0",)) is None
    assert elsewhere(found(route("br-lan"))) == ("br-lan",)
    assert elsewhere(found(route("wwan0"), patterns=("wwan0.7",))) == ("wwan0",), "the child carries a part alone"


def test_a_tunnel_is_judged_by_the_link_that_carries_its_packets() -> None:
    assert found(route("wg0"), route("wwan0", 100)) is None
    assert elsewhere(found(route("wg0"), route("usb0", 100))) == ("usb0",)
    assert found(route("wg0"), host("wwan0")) is None, "its far end has a route of its own"
    assert elsewhere(found(route("wg0"), host("usb0"))) == ("usb0",)
    assert found(route("464-wwan"), route("wwan0", 256, 6)) is None, "IPv4 over a network that has IPv6 alone"
    assert elsewhere(found(route("464-wwan"), route("usb0", 256, 6))) == ("usb0",)


def test_a_tunnel_of_which_no_route_tells_more() -> None:
    assert found(route("wg0")) is None
    assert elsewhere(found(route("wg0"), without=NO_WWAN)) == ("wg0",), "on nothing that counts it can ride"
    assert found(route("wg0"), patterns=("wg0",)) is None


def test_a_call_over_ppp_is_a_line_of_its_own() -> None:
    assert elsewhere(found(route("ppp0"))) == ("ppp0",)
    assert found(route("ppp0"), patterns=("ppp*",)) is None


def test_a_pattern_that_takes_in_the_lan_bridge() -> None:
    mismatch = found(route("wwan0"), patterns=("wwan0", "br*"))
    assert mismatch == Mismatch("lan-bridge", ("br-lan", "br-wan"), ("wwan0", "br*"))
    assert "Take br-lan, br-wan out of wan.interfaces" in mismatch.advice
    assert found(route("br-wan"), patterns=("br-wan",)) is None
    assert found(patterns=("br*",)) is None, "nobody knows while there is no way out"


@pytest.mark.root
def test_a_real_kernel_with_the_traffic_on_another_link_and_on_one_above_it() -> None:
    needs_namespaces()
    look = "import sys; from agent.traffic.uplink import look; print(look(sys.argv[1:]))"
    with wire("usb0", "isp0") as line:
        near = line.near

        def seen(*patterns: str) -> str:
            return near.run(sys.executable, "-c", look, *patterns).strip()

        near.run("ip", "route", "flush", "table", "main")
        assert seen("wwan0") == "None", "no route, no traffic"
        near.ip("link", "add", "br-wan", "type", "bridge")
        near.ip("link", "set", "usb0", "master", "br-wan")
        near.ip("link", "set", "br-wan", "up")
        near.ip("route", "add", "default", "dev", "br-wan", "metric", "100")
        near.ip("route", "add", "unreachable", "default", "metric", "4278198272")
        assert seen("usb0") == "None", "it is carried by the link below"
        assert "'no-link', links=('br-wan',)" in seen("wwan0")
        near.ip("link", "add", "eth9", "type", "veth", "peer", "name", "far9")
        near.ip("link", "set", "eth9", "up")
        near.ip("-6", "route", "add", "default", "dev", "eth9")
        assert "'other-link', links=('eth9',)" in seen("usb0")
        assert seen("br-wan", "eth9") == "None"
        near.ip("link", "add", "br0", "type", "bridge")
        assert "'lan-bridge', links=('br0',)" in seen("usb0", "eth9", "br*")
