"""Messages of the event groups, read by hand: against what a listing through pyroute2 says of the same links."""

from __future__ import annotations

import contextlib
import socket
import struct
from dataclasses import replace

import pytest

from agent.errors import KernelError
from agent.traffic.netlink import ifinfomsg
from agent.traffic.netlink.ifinfomsg import TcRow
from agent.traffic.netlink.messages import LinkRow
from agent.traffic.netlink.route import Route
from tests.netns import Wire

ATTRIBUTES = ((3, b"wlan0\0"), (4, struct.pack("=I", 1500)))


def link_message(kind: int = 16, family: int = 0, attributes: tuple[tuple[int, bytes], ...] = ATTRIBUTES) -> bytes:
    body = struct.pack("=BxHiII", family, 1, 7, 1, 0)
    for number, value in attributes:
        body += struct.pack("=HH", 4 + len(value), number) + value + bytes(-len(value) % 4)
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def test_a_message_is_read() -> None:
    (row,) = ifinfomsg.rows(link_message())
    assert isinstance(row, LinkRow)
    assert (row.link.ifindex, row.link.ifname, row.link.mtu, row.link.up, row.deleted) == (
        7,
        "wlan0",
        1500,
        True,
        False,
    )
    (gone,) = ifinfomsg.rows(link_message(kind=17))
    assert gone == replace(row, deleted=True)


@pytest.mark.parametrize(
    "message",
    [
        link_message(family=7),  # AF_BRIDGE: a port
        link_message(attributes=((11, bytes(8)),)),  # a wireless event has no name and no MTU
        link_message(attributes=(*ATTRIBUTES, (11, bytes(8)))),
        struct.pack("=IHHII", 16, 3, 0, 0, 0),  # NLMSG_DONE
    ],
    ids=["bridge-port", "wireless", "wireless-with-name", "done"],
)
def test_what_is_not_about_the_link_itself_is_passed_over(message: bytes) -> None:
    assert list(ifinfomsg.rows(message)) == []
    assert len(list(ifinfomsg.rows(message + link_message()))) == 1, "and what follows it is read"


TC = struct.pack("=IHHIIBxxxiIII", 36, 36, 0, 0, 0, 0, 3, 0x1FA00000, 0xFFFFFFFF, 2)


def test_a_datagram_may_hold_several_messages() -> None:
    assert list(ifinfomsg.rows(link_message() + TC))[1:] == [TcRow(3, 0x1FA00000, 0xFFFFFFFF, 0)]


@pytest.mark.parametrize("missing", range(1, len(TC)))
def test_a_message_that_is_cut_short_is_a_kernel_error(missing: int) -> None:
    with pytest.raises(KernelError, match="reading an event"):
        list(ifinfomsg.rows(link_message() + TC[:-missing]))


@pytest.mark.parametrize("place", range(len(link_message())))
def test_a_spoilt_message_gives_rows_or_a_kernel_error(place: int) -> None:
    spoilt = bytearray(link_message())
    spoilt[place] ^= 0xFF
    with contextlib.suppress(KernelError):
        list(ifinfomsg.rows(bytes(spoilt)))


@pytest.mark.root
def test_an_event_says_of_a_link_what_a_listing_says(cable: Wire) -> None:
    """For each sort of link that this kernel makes, of the message that comes when it is changed last."""
    with cable.near.entered():
        route = Route()
        events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        events.bind((0, 1))
    with events:
        try:
            for sort in ("bridge", "ifb", "bond"):
                cable.near.run("ip", "link", "add", f"{sort}9", "type", sort, check=False)
            cable.near.ip("tuntap", "add", "tun9", "mode", "tun")
            vlan = ["link", "add", "link", "wan0", "name", "wan0.7", "type", "vlan", "id", "7"]
            cable.near.run("ip", *vlan, check=False)
            names = [row.link.ifname for row in route.links()]
            cable.near.run("ip", "link", "set", "wan0", "master", "bridge9", check=False)
            for name in names:
                cable.near.ip("link", "set", name, "mtu", "1400")
            told: dict[int, LinkRow] = {}
            while True:
                try:
                    data = events.recv(1 << 16, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    break
                told |= {row.link.ifindex: row for row in ifinfomsg.rows(data) if isinstance(row, LinkRow)}
            listed = {row.link.ifindex: row for row in route.links()}
            assert {i: row.link for i, row in told.items()} == {i: row.link for i, row in listed.items()}
            assert all(row.counters is not None for row in told.values())
        finally:
            route.close()
