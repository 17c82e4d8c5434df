"""A u32 filter that we encode is the one that tc(8) makes of the same words."""

from __future__ import annotations

from contextlib import closing

import pytest

from agent.traffic.netlink.route import ETH_P_IP, ETH_P_IPV6, Route
from agent.traffic.tree import INNER
from tests.netns import Wire

SAME = [
    (ETH_P_IP, ["0xc0000201/0xffffffff+16", "0x6/0xff+9", "0x22b3/0xffff+22"],
     "match ip dst 192.0.2.1/32 match ip protocol 6 0xff match ip dport 8883 0xffff"),
    (ETH_P_IP, ["0xc0000201/0xffffffff+12", "0x11/0xff+9", "0x35/0xffff+20"],
     "match ip src 192.0.2.1/32 match ip protocol 17 0xff match ip sport 53 0xffff"),
    (ETH_P_IP, ["0x0/0xff+2"], "match u8 0x0 0xff at 2"),
    (ETH_P_IP, ["0x3/0x3+23"], "match u8 0x3 0x3 at 23"),
    (ETH_P_IPV6, ["0x11/0xff+6", "0x7b/0xffff+42"],
     "match ip6 protocol 17 0xff match u16 123 0xffff at 42"),
    (ETH_P_IPV6, ["0x20010db8/0xffffffff+24"], "match u32 0x20010db8 0xffffffff at 24"),
    (ETH_P_IP, ["0x0/0x0+0"], "match u32 0 0"),
]  # fmt: skip


@pytest.mark.root
@pytest.mark.parametrize(("protocol", "keys", "words"), SAME, ids=[words for *_, words in SAME])
def test_it_reads_as_what_tc_makes_of_the_same_words(cable: Wire, protocol: int, keys: list[str], words: str) -> None:
    near, family = cable.near, "ip" if protocol == ETH_P_IP else "ipv6"
    near.tc("qdisc", "add", "dev", "wan0", "root", "handle", "1fa1:", "htb")
    near.tc(*f"filter add dev wan0 parent 1fa1: prio 7 protocol {family} u32 {words} classid 1fa1:10".split())
    theirs = near.tc("filter", "show", "dev", "wan0")
    near.tc("filter", "del", "dev", "wan0", "parent", "1fa1:", "prio", "7")
    with near.entered(), closing(Route()) as route:
        (link,) = [row.link for row in route.links() if row.link.ifname == "wan0"]
        route.add_u32(link.ifindex, INNER, 7, protocol, keys, INNER | 0x10)
    assert near.tc("filter", "show", "dev", "wan0") == theirs != ""
