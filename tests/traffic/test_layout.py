"""Where the trees stand: names of ifb devices, several WANs at once, links that lie on others, long packets."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
import struct
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import ShaperSettings
from agent.plan import Rates
from agent.traffic import Kernel, Link, Shaper
from agent.traffic.layout import RECEIVED_MTU, carriers, places, shares
from agent.traffic.model import IFNAME_MAX, SHARED_IFB, ifb_name
from agent.traffic.tree import KINDS
from tests.netns import Namespace, Wire
from tests.traffic.conftest import SLOW, kernel_in, play, qdiscs, reconcile

ALIKE = ("wwp0s20f0u1i4", "wwp0s20f0u1i8")
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x1, 0x1000  # linux/if_tun.h


def link(ifindex: int, ifname: str, *, up: bool = True, mtu: int = 1500, header: int = 14, **more: int) -> Link:
    return Link(ifindex, ifname, "", up, header, mtu, **more)


# -- names ---------------------------------------------------------------------------------------------------------


@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789.-_", min_size=1, max_size=15))
def test_every_name_fits_and_a_short_one_is_kept(ifname: str) -> None:
    name = ifb_name(ifname)
    assert len(name) <= IFNAME_MAX
    assert name.startswith("ifb4")
    if len(ifname) <= 11:
        assert name == f"ifb4{ifname}"


def test_names_that_begin_alike_are_told_apart() -> None:
    names = {ifb_name(f"wwp0s20f0u1i{n}") for n in range(1000)}
    assert len(names) == 1000
    assert ifb_name(ALIKE[0]) == "ifb4wwp3b1a253f"  # the same after each start, or what stands would not be known again


@pytest.mark.root
def test_links_whose_names_begin_alike_have_an_ifb_each(cable: Wire) -> None:
    """One of them is up, so that it has the whole rate, and each its own tree."""
    first, second = ALIKE
    cable.rename(first)
    cable.near.ip("link", "add", second, "type", "veth", "peer", "name", "isp9")

    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        links = await kernel.links(["wwp*"])
        assert (await shaper.reconcile(links, SLOW)).state == "enforced"
        for name in ALIKE:
            assert ifb_name(name) in cable.near.tc("filter", "show", "dev", name, "ingress")
            assert "1fa0: root" in qdiscs(cable, ifb_name(name))
        assert not (await shaper.reconcile(links, SLOW)).changed
        cable.near.ip("link", "del", second)
        assert (await shaper.reconcile(await kernel.links(["wwp*"]), SLOW)).state == "enforced"
        assert "1 received" in cable.near.run("ping", "-c1", "-W5", cable.far.address)
        assert ifb_name(second) not in cable.near.run("ip", "link")

    play(cable, scenario)


@pytest.mark.root
@pytest.mark.parametrize("rates", [SLOW, Rates(None, None)], ids=["slow", "off"])
def test_what_an_earlier_release_has_named_is_known_and_cleared(cable: Wire, rates: Rates) -> None:
    (name, _), old = ALIKE, "ifb4wwp0s20f0u1"
    cable.rename(name)
    near = cable.near
    near.ip("link", "add", old, "up", "type", "ifb")
    for device in (name, old):
        near.tc(*f"qdisc add dev {device} root handle 1fa0: tbf rate 512kbit burst 4k limit 20k".split())
    near.tc("qdisc", "add", "dev", name, "ingress")
    near.tc(
        *f"filter add dev {name} parent ffff: prio 8096 protocol all u32 match u32 0 0".split(),
        *f"action mirred egress redirect dev {old}".split(),
    )

    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        await shaper.reconcile(await kernel.links(["wwp*"]), rates)
        assert old not in near.run("ip", "link").replace(ifb_name(name), "")
        assert old not in near.tc("filter", "show", "dev", name, "ingress")
        assert "1 received" in near.run("ping", "-c1", "-W5", cable.far.address)

    play(cable, scenario)


# -- several links -------------------------------------------------------------------------------------------------


def test_one_link_has_all_of_both_rates_whatever_lies_down_beside_it() -> None:
    wanted = places([link(1, "wwan0"), link(2, "wwan1", up=False)], SLOW)
    assert [(p.device, p.rate_bps) for p in wanted] == [
        ("wwan0", 512_000), ("wwan1", 512_000), ("ifb4wwan0", 512_000), ("ifb4wwan1", 512_000),
    ]  # fmt: skip


def test_several_links_share_the_download_and_divide_the_upload() -> None:
    links = [link(1, "wwan0", header=0), link(2, "usb0"), link(3, "ppp0", up=False, header=0)]
    *up, down = places(links, SLOW)
    assert [(p.device, p.rate_bps, p.sources) for p in up] == [
        ("wwan0", 256_000, ()), ("usb0", 256_000, ()), ("ppp0", 256_000, ())
    ]  # fmt: skip
    assert (down.device, down.rate_bps, down.header_bytes) == (SHARED_IFB, 512_000, 0)
    assert down.sources == tuple(links)
    assert shares(links, SLOW) == Rates(512_000, 256_000)


def test_a_direction_without_a_rate_has_no_place() -> None:
    links = [link(1, "wwan0"), link(2, "usb0")]
    assert places(links, Rates(None, None)) == places([], SLOW) == ()
    assert {p.device for p in places(links, Rates(512_000, None))} == {SHARED_IFB}
    assert {p.device for p in places(links, Rates(None, 512_000))} == {"wwan0", "usb0"}


def test_a_link_that_lies_on_another_is_shaped_with_it_and_not_again() -> None:
    port, bridge, vlan = link(1, "wwan0", master=2), link(2, "br0"), link(3, "wwan0.7", lower=1)
    assert carriers([port, bridge, vlan]) == (port,)
    assert carriers([bridge, vlan]) == (bridge, vlan)
    assert [p.device for p in places([port, bridge, vlan], SLOW)] == ["wwan0", "ifb4wwan0"]


@pytest.mark.root
def test_the_kernel_says_what_lies_on_what_and_a_veth_lies_on_nothing(cable: Wire) -> None:
    cable.near.ip("link", "add", "lan0", "type", "veth", "peer", "name", "lan1")
    cable.near.ip("link", "add", "br0", "type", "bridge")
    cable.near.ip("link", "set", "lan0", "master", "br0")

    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            found = {one.ifname: one for one in await kernel.links(["*"])}
            assert [found[name].lower for name in ("wan0", "lan0", "lan1", "br0")] == [0, 0, 0, 0]
            assert found["lan0"].master == found["br0"].ifindex
            assert [one.ifname for one in carriers([found["br0"], found["lan0"]])] == ["lan0"]

    asyncio.run(scenario())


@pytest.mark.root
@pytest.mark.parametrize("direction", ["down", "up"])
def test_two_links_at_once_carry_one_rate_together(cable: Wire, direction: str) -> None:
    """Both are flooded for two seconds. A slow machine carries less; no machine may carry more."""
    second = _second_link(cable)
    flows = [(cable.near.address, cable.far.address), (second.near.address, second.far.address)]

    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        assert (await reconcile(kernel, shaper, SLOW)).state == "enforced"
        assert not (await reconcile(kernel, shaper, SLOW)).changed
        begun = time.monotonic()
        octets = await asyncio.to_thread(_flood, cable, flows, direction)
        seconds = time.monotonic() - begun
        assert all(octets)  # neither is shut out
        assert sum(octets) * 8 <= 512_000 * 1.02 * seconds + 8 * 2 * 4_000, (octets, seconds)  # and a burst of each
        cable.near.ip("link", "set", "wan1", "down")
        await reconcile(kernel, shaper, SLOW)
        assert "ifb4wan0" in cable.near.tc("filter", "show", "dev", "wan0", "ingress")  # each its own again
        await reconcile(kernel, shaper, Rates(None, None))
        assert "ifb4" not in cable.near.run("ip", "link")

    play(cable, scenario, qdisc="tbf")


@pytest.mark.root
def test_a_stranger_on_one_link_keeps_no_other_from_being_shaped(cable: Wire) -> None:
    second = _second_link(cable)
    near = cable.near
    near.ip("link", "add", "ifb9", "up", "type", "ifb")
    near.tc("qdisc", "add", "dev", "wan1", "ingress")
    near.tc(
        "filter", "add", "dev", "wan1", "ingress", "prio", "9", "u32", "match", "u32", "0", "0",
        "action", "mirred", "egress", "redirect", "dev", "ifb9",
    )  # fmt: skip

    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        state = await reconcile(kernel, shaper, SLOW)
        assert (state.state, state.reason) == ("foreign", "wan1: redirect of ingress at priority 9 is not ours")
        assert SHARED_IFB in near.tc("filter", "show", "dev", "wan0", "ingress")
        for device in ("wan0", "wan1", SHARED_IFB):
            assert "1fa0: root" in qdiscs(cable, device)
        assert "1 received" in near.run("ping", "-c1", "-W5", second.far.address)

    play(cable, scenario)


def _second_link(cable: Wire) -> Wire:
    near, far = Namespace(cable.near.name, "10.98.0.2", "fd98::2"), Namespace(cable.far.name, "10.98.0.1", "fd98::1")
    second = Wire(near, far, "wan1", "isp1")
    second.connect()
    second.settle()
    return second


def _flood(cable: Wire, flows: list[tuple[str, str]], direction: str) -> list[int]:
    """IP bytes that arrive in two seconds, of datagrams as fast as they can be sent over each link in turn."""
    sender, receiver = (cable.far, cable.near) if direction == "down" else (cable.near, cable.far)
    octets = [0] * len(flows)
    with contextlib.ExitStack() as stack:
        pairs = []
        for near, far in flows:
            to, own = (near, far) if direction == "down" else (far, near)
            with receiver.entered():
                inbox = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            inbox.bind((to, 9_000))
            inbox.setblocking(False)
            with sender.entered():
                outbox = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            outbox.bind((own, 0))
            outbox.setblocking(False)
            pairs.append((outbox, inbox, to))
        until = time.monotonic() + 2
        while time.monotonic() < until:
            for n, (outbox, inbox, to) in enumerate(pairs):
                for _ in range(4):
                    with contextlib.suppress(BlockingIOError):
                        outbox.sendto(bytes(1_472), (to, 9_000))
                with contextlib.suppress(BlockingIOError):
                    while True:
                        octets[n] += len(inbox.recv(2_000)) + 28
            time.sleep(0.002)
    return octets


# -- what is received ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mtu", [576, 1280, 1358, 1500, 9000])
def test_a_download_tree_lets_pass_what_can_be_received(kind: str, mtu: int) -> None:
    up, down = places([link(1, "wwan0", mtu=mtu)], SLOW)
    assert down.mtu == max(RECEIVED_MTU, mtu)
    assert up.mtu == mtu
    for want in (w for w in down.tree(kind) if w.kind == "tbf"):
        assert want.options["mtu"] >= max(1500, mtu) + 14


@contextlib.contextmanager
def _tun(near: Namespace, mtu: int) -> Iterator[int]:
    """A raw-IP link as a modem's is, whose far end is a file: what is written there is received, whatever its MTU."""
    with near.entered():
        descriptor = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", b"wwan0", IFF_TUN | IFF_NO_PI))
    try:
        near.ip("addr", "add", "10.97.0.2/24", "dev", "wwan0")
        near.ip("link", "set", "wwan0", "mtu", str(mtu), "up")
        yield descriptor
    finally:
        os.close(descriptor)


def _datagram(octets: int, port: int) -> bytes:
    """An IPv4 packet of that length with a UDP datagram in it."""
    udp = struct.pack("!HHHH", port, port, octets - 20, 0).ljust(octets - 20, b"\0")
    words = [0x4500, octets, 0, 0, 0x4011, 0, 0x0A61, 1, 0x0A61, 2]  # 10.97.0.1 to 10.97.0.2
    total = sum(words)
    words[5] = 0xFFFF ^ ((total & 0xFFFF) + (total >> 16))
    return struct.pack("!10H", *words) + udp


@pytest.mark.root
@pytest.mark.skipif(not os.path.exists("/dev/net/tun"), reason="/dev/net/tun: not in this kernel")
def test_a_short_mtu_of_the_wan_keeps_no_long_packet_from_being_received(cable: Wire) -> None:
    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            shaper = Shaper(kernel, ShaperSettings(qdisc="tbf"))
            assert (await shaper.reconcile(await kernel.links(["wwan0"]), SLOW)).state == "enforced"
            with cable.near.entered():
                inbox = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            with inbox:
                inbox.bind(("10.97.0.2", 9_000))
                inbox.settimeout(10)
                for octets in (1_280, 1_500):
                    os.write(descriptor, _datagram(octets, 9_000))
                    assert len(await asyncio.to_thread(inbox.recv, 2_000)) == octets - 28

    with _tun(cable.near, 1_280) as descriptor:
        asyncio.run(scenario())
