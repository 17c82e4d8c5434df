"""Requests that leave together: each is answered for itself, none is encoded twice, a reading sees those before it."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from agent.errors import KernelError
from agent.traffic.netlink.requests import DATAGRAM_BYTES, Request, _fitting
from agent.traffic.netlink.route import ROOT, Route
from tests.netns import Wire

pytestmark = pytest.mark.root

TOP = 0x10000


@pytest.fixture
def route(cable: Wire) -> Iterator[Route]:
    with cable.near.entered():
        route = Route()
    try:
        yield route
    finally:
        route.close()


def _tbf(route: Route, ifindex: int, rate_bps: int = 512_000) -> None:
    route.put_qdisc(ifindex, "tbf", TOP, ROOT, {"rate": rate_bps // 8, "burst": 2_000, "limit": 9_000})


def _index(route: Route, ifname: str) -> int:
    link = route.link(ifname)
    assert link is not None
    return link.ifindex


def test_one_that_is_refused_is_named_and_the_others_are_done(cable: Wire, route: Route) -> None:
    cable.near.ip("link", "add", "other0", "type", "ifb")
    wan, other = _index(route, "wan0"), _index(route, "other0")

    def three_of_which_one_is_wrong() -> None:
        with route.together():
            _tbf(route, wan)
            _tbf(route, 99_999)
            _tbf(route, other)
            route.delete_filters(other, TOP, 5, 3)  # not there: done already

    with pytest.raises(KernelError) as caught:
        three_of_which_one_is_wrong()
    assert (str(caught.value), caught.value.code) == ("qdisc tbf on link 99999: No such device", errno.ENODEV)
    for device in ("wan0", "other0"):
        assert "tbf 1: root" in cable.near.tc("qdisc", "show", "dev", device)


def test_nothing_goes_out_before_the_end_but_for_a_reading(cable: Wire, route: Route) -> None:
    wan = _index(route, "wan0")
    with route.together():
        _tbf(route, wan)
        assert "tbf" not in cable.near.tc("qdisc", "show", "dev", "wan0")
        assert any(node.kind == "tbf" for node in route.qdiscs())
        route.delete_root(wan, TOP)
    assert "tbf" not in cable.near.tc("qdisc", "show", "dev", "wan0")


def test_who_gives_up_on_the_way_sends_nothing(cable: Wire, route: Route) -> None:
    wan = _index(route, "wan0")

    def one_and_no_further() -> None:
        with route.together():
            _tbf(route, wan)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        one_and_no_further()
    with route.together():
        pass
    assert "tbf" not in cable.near.tc("qdisc", "show", "dev", "wan0")


def test_the_same_request_for_another_link_is_not_encoded_again(cable: Wire, route: Route) -> None:
    cable.near.ip("link", "add", "other0", "type", "ifb")
    wan, other = _index(route, "wan0"), _index(route, "other0")
    with route.together(send=False):
        _tbf(route, wan)
    assert "tbf" not in cable.near.tc("qdisc", "show")
    compiler, route._compiler = route._compiler, None
    try:
        _tbf(route, wan)
        _tbf(route, other)
        with pytest.raises(KernelError, match="qdisc tbf on link"):
            _tbf(route, wan, 256_000)  # that one would have to be
    finally:
        route._compiler = compiler
    for device in ("wan0", "other0"):
        assert "rate 512Kbit" in cable.near.tc("qdisc", "show", "dev", device)


def test_more_than_a_datagram_holds_goes_in_several(cable: Wire, route: Route) -> None:
    wan = _index(route, "wan0")
    with route.together():
        for kbit in range(100, 400):
            _tbf(route, wan, kbit * 1_000)
    assert "rate 399Kbit" in cable.near.tc("qdisc", "show", "dev", "wan0")
    large = [Request("", bytes(DATAGRAM_BYTES + 1)), Request("", bytes(8))]
    assert (_fitting(large), _fitting(large[1:]), _fitting([large[1], large[0]])) == (1, 1, 1)
