"""The trees as numbers: what is computed for a rate, and when what was read back is the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.traffic import Endpoint
from agent.traffic.netlink.messages import Filter, Node
from agent.traffic.netlink.route import ROOT
from agent.traffic.tree import (
    CLASS_MANAGEMENT,
    CLASS_NAMES,
    CLASS_SMALL_OTHER,
    INNER,
    KINDS,
    LAST_MAJOR,
    MAJOR,
    SMALL,
    TOP,
    Want,
    burst_bytes,
    codel_us,
    filters,
    queue_bytes,
    tree,
    with_headers,
)

RATES = st.integers(8_000, 10_000_000_000)


def test_the_numbers_at_512_kbit_s() -> None:
    assert burst_bytes(512_000) == 1_749 + 1_600  # sqm-scripts' packet, and 25 ms
    assert codel_us(512_000) == (27_328, 122_328)
    assert codel_us(50_000_000) == (5_000, 100_000)
    assert queue_bytes(512_000) == 16_000


@given(RATES, st.sampled_from(KINDS), st.integers(576, 9_000), st.booleans())
def test_every_tree_hangs_together(rate: int, kind: str, mtu: int, upload: bool) -> None:
    wants = tree(kind, rate, mtu=mtu, upload=upload)
    handles = [want.handle for want in wants]
    assert len(set(handles)) == len(handles)
    assert wants[0].parent == ROOT
    for place, want in enumerate(wants[1:], 1):
        assert want.parent in (*handles[:place], TOP | 1)  # parents first; TOP:1 is the inside of a tbf
    assert all(MAJOR <= handle >> 16 <= LAST_MAJOR for handle in handles)


@given(RATES, RATES)
def test_what_one_tbf_lets_in_another_lets_out(before: int, after: int) -> None:
    assert tree("tbf", before)[0].options["mtu"] == tree("tbf", after)[0].options["mtu"] <= burst_bytes(after)


@given(RATES, st.integers(576, 9_000))
def test_a_burst_holds_a_whole_packet(rate: int, mtu: int) -> None:
    assert burst_bytes(rate, mtu) >= mtu + 14
    assert queue_bytes(rate, mtu) >= 4 * (mtu + 14)


@given(RATES, st.sampled_from(KINDS))
def test_what_was_put_is_met_and_another_rate_is_not(rate: int, kind: str) -> None:
    wants, others = tree(kind, rate), tree(kind, rate + max(16, rate // 50))
    nodes = [_as_read(want) for want in wants]
    assert all(any(want.is_met_by(node) for node in nodes) for want in wants)
    assert not all(any(other.is_met_by(node) for node in nodes) for other in others)


def _as_read(want: Want) -> Node:
    return Node(want.kind, want.handle, want.parent, values=dict(want.values))


def test_a_node_without_its_values_is_not_met() -> None:
    (want,) = tree("cake", 512_000)
    assert want.is_met_by(_as_read(want))
    assert not want.is_met_by(Node("cake", TOP, ROOT))
    assert not want.is_met_by(Node("tbf", TOP, ROOT, values=dict(want.values)))
    assert not want.is_met_by(Node("cake", TOP, INNER, values=dict(want.values)))


def test_upload_alone_has_its_acknowledgements_thinned() -> None:
    (down,), (up,) = tree("cake", 512_000), tree("cake", 512_000, upload=True)
    assert (down.options["ack_filter"], up.options["ack_filter"]) == (False, True)


@pytest.mark.parametrize("kind", ["cake", "tbf+fq_codel", "htb+fq_codel"])
def test_fair_queues_need_no_filter(kind: str) -> None:
    assert filters(kind, [Endpoint("192.0.2.1", 8883)], upload=True) == ()


@pytest.mark.parametrize(
    ("address", "upload", "keys"),
    [
        ("192.0.2.1", True, ("0xc0000201/0xffffffff+16", "0x6/0xff+9", "0x22b3/0xffff+22")),
        ("192.0.2.1", False, ("0xc0000201/0xffffffff+12", "0x6/0xff+9", "0x22b3/0xffff+20")),
        (
            "2001:db8::1", True,
            ("0x20010db8/0xffffffff+24", "0x0/0xffffffff+28", "0x0/0xffffffff+32", "0x1/0xffffffff+36",
             "0x6/0xff+6", "0x22b3/0xffff+42"),
        ),
    ],
)  # fmt: skip
def test_management_is_matched_by_its_far_end(address: str, upload: bool, keys: tuple[str, ...]) -> None:
    first = filters("tbf", [Endpoint(address, 8883)], upload=upload)[0]
    assert (first.keys, first.target) == (keys, CLASS_MANAGEMENT)


def test_names_and_time_are_matched_by_server_port_and_length() -> None:
    wants = filters("tbf", [], upload=True, name_servers=["192.0.2.53", "not an address"])
    names = [w.keys for w in wants if w.target == CLASS_NAMES]
    server = "0xc0000235/0xffffffff+16"
    assert names == [
        (server, "0x11/0xff+9", "0x35/0xffff+22"),
        (server, "0x6/0xff+9", "0x35/0xffff+22"),
        ("0x4c/0xffff+2", "0x11/0xff+9", "0x7b/0xffff+22"),
        ("0x38/0xffff+4", "0x11/0xff+6", "0x7b/0xffff+42"),
    ]


@given(st.integers(100_000, 100_000_000_000), st.sampled_from([1_280, 1_500, 9_000]))
def test_a_whole_packet_carries_the_rate_in_ip_bytes(rate: int, mtu: int) -> None:
    assert with_headers(rate, mtu, 0) == rate
    carried = with_headers(rate, mtu, 14) * mtu / (mtu + 14)
    assert rate - 1 <= carried <= rate


def test_addresses_as_sockets_tell_them() -> None:
    plain = filters("tbf", [Endpoint("192.0.2.1", 8883)], upload=True)
    assert filters("tbf", [Endpoint("::ffff:192.0.2.1", 8883)], upload=True) == plain
    assert len(filters("tbf", [Endpoint("fe80::1%wwan0", 8883)], upload=True)) == len(plain)
    assert filters("tbf", [Endpoint("/run/broker.sock", 0)], upload=True) == filters("tbf", [], upload=True)


def test_two_filters_that_meet_at_one_priority_are_told_apart() -> None:
    first = filters("tbf", [Endpoint("10.0.0.1", 8883)], upload=True)[0]
    others = (Endpoint(f"10.{n >> 8 & 255}.{n & 255}.2", 8883) for n in range(1 << 16))
    other = next(e for e in others if filters("tbf", [e], upload=True)[0].prio == first.prio)
    wants = filters("tbf", [Endpoint("10.0.0.1", 8883), other, other], upload=True)
    assert wants[0] == first
    assert [w.keys for w in wants[1:2]] == [w.keys for w in filters("tbf", [other], upload=True)[:1]]
    assert len({w.prio for w in wants}) == len(wants) == len(filters("tbf", [other], upload=True)) + 1


@given(st.lists(st.ip_addresses(), min_size=1, max_size=6, unique=True), st.booleans())
def test_filters_are_known_again_by_their_priority(addresses: list[object], upload: bool) -> None:
    wants = filters("tbf", [Endpoint(str(a), 8883) for a in addresses], upload=upload)
    for want in wants:
        assert want.is_met_by(Filter("u32", want.parent, want.prio, want.protocol, 0x80000800, want.target))
        assert 0 < want.prio < 0xFFFF
    own, by_protocol, other = (
        [w.prio for w in wants if (w.target in SMALL, w.target == CLASS_SMALL_OTHER) == what]
        for what in ((False, False), (True, False), (True, True))
    )
    assert max(own) < min(by_protocol)
    assert max(by_protocol) < min(other)
    assert len({w.prio for w in wants}) == len(wants)
