"""Management traffic on a kernel with tbf alone: a class of its own by far address, either family, counted apart."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket

import pytest

from agent.config import ShaperSettings
from agent.plan import Rates
from agent.traffic import Endpoint, Kernel, Management, NamesMeter, Shaper
from agent.traffic.management import ManagementMeter
from agent.traffic.tree import CLASS_NAMES
from tests.netns import Namespace, Wire
from tests.traffic.conftest import kernel_in

pytestmark = pytest.mark.root

SLOW = Rates(512_000, 512_000)
PORT = 8883


def exchange(cable: Wire, near: Namespace, address: str, octets: int) -> None:
    """A TCP connection that carries as much there as back."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with cable.far.entered():
        server = socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True)
    with near.entered():
        client = socket.socket(family, socket.SOCK_STREAM)
    with server, client:
        client.settimeout(20)
        client.connect((address, PORT))
        served, _ = server.accept()
        with served:
            client.sendall(bytes(octets))
            _receive(served, octets)
            served.sendall(bytes(octets))
            _receive(client, octets)


def _addresses(cable: Wire, device: str, *, v4: int, v6: int) -> set[str]:
    """The addresses that the filters of the management class match, at these places of the header, as tc shows them."""
    found = set()
    for text in cable.near.tc("filter", "show", "dev", device, "parent", "1fa1:").split("filter protocol ")[1:]:
        octets: dict[int, int] = {}
        for value, mask, place in re.findall(r"match ([0-9a-f]{8})/([0-9a-f]{8}) at (\d+)", text):
            for n, (v, m) in enumerate(zip(bytes.fromhex(value), bytes.fromhex(mask), strict=True)):
                octets.update({int(place) + n: v} if m else {})
        start, length = (v6, 16) if text.startswith("ipv6") else (v4, 4)
        if "flowid 1fa1:10" in text and start in octets:
            found.add(str(ipaddress.ip_address(bytes(octets[start + n] for n in range(length)))))
    return found


def _receive(connection: socket.socket, octets: int) -> None:
    while octets > 0:
        octets -= len(connection.recv(65_536))


@pytest.mark.parametrize("ipv6", [False, True], ids=["IPv4", "IPv6"])
def test_it_is_counted_apart_and_nothing_else_is(cable: Wire, ipv6: bool) -> None:
    address = cable.far.address6 if ipv6 else cable.far.address

    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            shaper, meter = Shaper(kernel, ShaperSettings(qdisc="tbf")), ManagementMeter(kernel)
            links = await kernel.links(["wan0"])
            assert await meter.read(links) is None
            shaper.manage([Endpoint(address, PORT)])
            assert (await shaper.reconcile(links, SLOW)).changed
            await asyncio.to_thread(cable.near.run, "ping", "-c3", "-i0.01", "-s1000", cable.far.address)
            silent = await meter.read(links)
            assert silent is not None
            assert (silent.received_bytes, silent.sent_bytes) == (0, 0)
            await asyncio.to_thread(exchange, cable, cable.near, address, 20_000)
            counted = await meter.read(links)
            assert counted is not None
            assert 20_000 < counted.received_bytes < 25_000
            assert 20_000 < counted.sent_bytes < 25_000

    asyncio.run(scenario())


def test_another_broker_takes_the_place_of_the_first(cable: Wire) -> None:
    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            shaper = Shaper(kernel, ShaperSettings(qdisc="tbf"))
            links = await kernel.links(["wan0"])
            shaper.manage([Endpoint("192.0.2.1", PORT)])
            await shaper.reconcile(links, SLOW)
            assert "192.0.2.1" in _addresses(cable, "wan0", v4=16, v6=24)
            shaper.manage([Endpoint("2001:db8::5", PORT), Endpoint("198.51.100.7", 443)])
            assert (await shaper.reconcile(links, SLOW)).changed
            # Where the far address stands: the destination on the way up, the source on the way down.
            assert _addresses(cable, "wan0", v4=16, v6=24) == {"2001:db8::5", "198.51.100.7"}
            assert _addresses(cable, "ifb4wan0", v4=12, v6=8) == {"2001:db8::5", "198.51.100.7"}
            assert not (await shaper.reconcile(links, SLOW)).changed

    asyncio.run(scenario())


def test_names_and_time_of_the_device_are_counted_apart_in_both_directions(cable: Wire) -> None:
    """A query and an answer of DNS, of NTP, and of something else through each of the two ports."""
    far = cable.far.address

    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            shaper, meter = Shaper(kernel, ShaperSettings(qdisc="tbf")), ManagementMeter(kernel, CLASS_NAMES)
            links = await kernel.links(["wan0"])
            shaper.manage([], [far])
            assert (await shaper.reconcile(links, SLOW)).state == "enforced"
            expected = Management()
            for port, octets, counted in ((53, 400, True), (123, 48, True), (123, 300, False), (54, 400, False)):
                await asyncio.to_thread(question, cable, port, octets)
                expected = Management(
                    *[n + (octets + 28) * counted for n in (expected.received_bytes, expected.sent_bytes)]
                )
                assert await meter.read(links) == expected, (port, octets)

    asyncio.run(scenario())


def question(cable: Wire, port: int, octets: int) -> None:
    """A datagram there and one as long back."""
    with cable.far.entered():
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((cable.far.address, port))
    with cable.near.entered():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with server, client:
        for end in (server, client):
            end.settimeout(10)
        client.sendto(bytes(octets), (cable.far.address, port))
        _, asker = server.recvfrom(2_000)
        server.sendto(bytes(octets), asker)
        client.recvfrom(2_000)


def test_no_more_of_it_is_free_than_a_device_needs() -> None:
    with contextlib.closing(Kernel()) as kernel:
        meter = NamesMeter(kernel)
    assert meter.free_of(Management(60_000, 30_000), 0.0) == Management(60_000, 30_000)
    assert meter.free_of(Management(60_000, 30_000), 0.0) == Management(10_000, 0)
    assert meter.free_of(Management(60_000, 30_000), 1_000.0) == Management(20_000, 0)
    assert meter.free_of(Management(60_000, 60_000), 1e9) == Management(60_000, 40_000)


def test_the_meter_adds_up_over_a_recreated_link(cable: Wire) -> None:
    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            shaper, meter = Shaper(kernel, ShaperSettings(qdisc="tbf")), ManagementMeter(kernel)
            shaper.manage([Endpoint(cable.far.address, PORT)])
            seen = []
            for _ in range(2):
                links = await kernel.links(["wan0"])
                await shaper.reconcile(links, SLOW)
                await asyncio.to_thread(cable.settle)
                await asyncio.to_thread(exchange, cable, cable.near, cable.far.address, 10_000)
                total = await meter.read(links)
                assert total is not None
                seen.append(total.sent_bytes)
                await asyncio.to_thread(cable.recreate)
            assert seen[1] - seen[0] > 10_000

    asyncio.run(scenario())
