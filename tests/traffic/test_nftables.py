"""The device's own DNS and NTP: counted to the byte with every qdisc and without one; the household's are not."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from agent.config import ShaperSettings
from agent.errors import KernelError
from agent.traffic import Kernel, Management, NamesMeter, Shaper
from agent.traffic.netlink.nfnetlink import batch
from agent.traffic.netlink.nftables import count, requests
from agent.traffic.own_traffic import AGAIN_S
from agent.traffic.tree import KINDS
from tests.netns import Namespace, Wire, lan_and_wan, needs_namespaces
from tests.traffic.conftest import SLOW, drop_net_admin, kernel_in, needs, question

NOTHING = Management()
HEADER_BYTES = 16  # of a netlink message
HEADERS = {False: 28, True: 48}  # of IP and UDP


@pytest.mark.root
@pytest.mark.parametrize("kind", [*KINDS, "not shaped"])
def test_they_are_counted_apart_with_every_qdisc_and_the_household_s_are_not(kind: str) -> None:
    async def scenario(host: Namespace, wire: Wire) -> None:
        async with kernel_in(wire) as kernel:
            links = await kernel.links(["wan0"])
            if kind in KINDS:
                await needs(kernel, kind)
                state = await Shaper(kernel, ShaperSettings(qdisc=kind)).reconcile(links, SLOW)
                assert (state.state, state.qdisc) == ("enforced", kind)
            assert await kernel.names(links) == NOTHING
            for ipv6 in (False, True):
                for port, octets, counted in ((53, 400, True), (123, 48, True), (54, 400, False)):
                    expected = (octets + HEADERS[ipv6]) * counted
                    await asyncio.to_thread(question, wire.far, wire.near, port, octets, ipv6=ipv6)
                    assert await kernel.names(links) == Management(expected, expected), (port, ipv6)
                    await asyncio.to_thread(question, wire.far, host, port, octets, ipv6=ipv6)
                    assert await kernel.names(links) == NOTHING, (port, ipv6)

    needs_namespaces()
    with lan_and_wan() as ((host,), wire):
        asyncio.run(scenario(host, wire))


@pytest.mark.root
def test_names_over_tcp_and_of_other_links_are_told_apart(cable: Wire) -> None:
    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            links = await kernel.links(["wan0"])
            await kernel.names(links)
            await asyncio.to_thread(over_tcp, cable, 53)
            more = await kernel.names(links)
            assert 2_000 < more.received_bytes < 3_000
            assert 200 < more.sent_bytes < 1_000
            loopback = Namespace(cable.near.name, "127.0.0.1", "::1")
            await asyncio.to_thread(question, loopback, loopback, 53, 400)
            assert await kernel.names(links) == NOTHING

    asyncio.run(scenario())


def over_tcp(cable: Wire, port: int) -> None:
    """A connection that is closed at both ends, for 2000 bytes one way."""
    with cable.far.entered():
        server = socket.create_server((cable.far.address, port))
    with cable.near.entered():
        client = socket.socket()
    with server, client:
        client.settimeout(10)
        client.connect((cable.far.address, port))
        served, _ = server.accept()
        with served:
            served.sendall(bytes(2_000))
        while client.recv(65_536):
            pass


@pytest.mark.root
def test_a_link_that_is_made_anew_or_renamed_is_counted_on(cable: Wire) -> None:
    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            await kernel.names(await kernel.links(["wan*"]))
            for change in (cable.recreate, lambda: cable.rename("wan7")):
                await asyncio.to_thread(question, cable.far, cable.near, 53, 100)
                await asyncio.to_thread(change)
                assert await kernel.names(await kernel.links(["wan*"])) == Management(128, 128)
            await asyncio.to_thread(question, cable.far, cable.near, 53, 100)
            tables = cable.near.run("nft", "list", "tables")
            assert await kernel.names([]) == Management(128, 128)
            assert cable.near.run("nft", "list", "tables") == tables  # it will come back

    asyncio.run(scenario())


@pytest.mark.root
def test_a_firewall_that_is_loaded_anew_leaves_the_counters_and_the_end_of_the_agent_takes_them(cable: Wire) -> None:
    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            links = await kernel.links(["wan0"])
            await kernel.names(links)
            await asyncio.to_thread(question, cable.far, cable.near, 53, 100)
            cable.near.run("nft", "flush", "ruleset")
            await asyncio.to_thread(question, cable.far, cable.near, 53, 100)
            assert await kernel.names(links) == Management(256, 256)

    asyncio.run(scenario())
    assert cable.near.run("nft", "list", "tables") == ""


@pytest.mark.root
def test_what_a_firewall_drops_is_not_the_device_s(cable: Wire) -> None:
    """An answer to nothing that was asked: whoever sends it may choose the port that it comes from."""
    rules = "table inet wall { chain in { type filter hook input priority 0; udp sport 53 drop; }; }"

    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            links = await kernel.links(["wan0"])
            await kernel.names(links)
            cable.near.run("nft", rules)
            with pytest.raises(TimeoutError):
                await asyncio.to_thread(question, cable.far, cable.near, 53, 100)
            assert await kernel.names(links) == Management(0, 128)

    asyncio.run(scenario())


@pytest.mark.root
def test_a_kernel_that_refuses_is_asked_again_later_and_named_once(
    cable: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            meter, links = NamesMeter(kernel), await kernel.links(["wan0"])
            await kernel.call(lambda route: drop_net_admin())
            assert [await meter.read(links, at_s) for at_s in (0.0, 1.0, AGAIN_S)] == [NOTHING] * 3
            with pytest.raises(KernelError, match="counting DNS and NTP: Operation not permitted"):
                await kernel.names(links)
            assert [link.ifname for link in await kernel.links(["wan0"])] == ["wan0"]  # the thread goes on

    asyncio.run(scenario())
    told = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert told == ["DNS and NTP are charged to the household: counting DNS and NTP: Operation not permitted"]


def test_no_more_of_it_is_free_than_a_device_needs() -> None:
    with contextlib.closing(Kernel()) as kernel:
        meter = NamesMeter(kernel)
    assert meter.free_of(Management(60_000, 30_000), 0.0) == Management(60_000, 30_000)
    assert meter.free_of(Management(60_000, 30_000), 0.0) == Management(10_000, 0)
    assert meter.free_of(Management(60_000, 30_000), 1_000.0) == Management(20_000, 0)
    assert meter.free_of(Management(60_000, 60_000), 1e9) == Management(60_000, 40_000)


def test_a_rule_reads_back_as_it_is_made_and_has_counted_nothing() -> None:
    begin, made, *_, rule, end = batch("ours", requests("ours", ["wan0"]))
    assert b"ours\0" in made
    assert count(rule[HEADER_BYTES:]) == ("sent", 0)
    with pytest.raises(OSError, match="no length"):
        count(begin[HEADER_BYTES:] + bytes(4))
    assert len(begin) == len(end)
