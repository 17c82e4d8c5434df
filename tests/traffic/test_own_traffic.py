"""Management traffic on a kernel with tbf alone: classes of its own, which go first, by far address and family."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket

import pytest

from agent.config import ShaperSettings
from agent.traffic import Endpoint, Kernel, Shaper
from tests.netns import Namespace, Wire
from tests.traffic.conftest import SLOW, kernel_in, play, question, reconcile

pytestmark = pytest.mark.root

PORT = 8883
DEVICES = ("wan0", "ifb4wan0")  # the way up, the way down


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


def passed(cable: Wire, device: str, minor: str) -> int:
    """IP bytes that have left by one class, as tc counts them."""
    shown = cable.near.tc("-s", "class", "show", "dev", device)
    found = re.search(rf"class htb 1fa1:{minor} .*\n Sent (\d+) bytes (\d+) pkt", shown)
    assert found, shown
    return int(found[1]) - 14 * int(found[2])


@pytest.mark.parametrize("ipv6", [False, True], ids=["IPv4", "IPv6"])
def test_the_broker_has_a_class_of_its_own_and_nothing_else_goes_by_it(cable: Wire, ipv6: bool) -> None:
    address = cable.far.address6 if ipv6 else cable.far.address

    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        shaper.manage([Endpoint(address, PORT)])
        assert (await reconcile(kernel, shaper, SLOW)).changed
        await asyncio.to_thread(cable.near.run, "ping", "-c3", "-i0.01", "-s1000", cable.far.address)
        assert [passed(cable, device, "10") for device in DEVICES] == [0, 0]
        await asyncio.to_thread(exchange, cable, cable.near, address, 20_000)
        assert all(20_000 < passed(cable, device, "10") < 25_000 for device in DEVICES)

    play(cable, scenario, qdisc="tbf")


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


def test_names_and_time_of_the_device_have_a_class_of_their_own(cable: Wire) -> None:
    """A query and an answer of DNS, of NTP, and of something else through each of the two ports."""

    async def scenario(kernel: Kernel, shaper: Shaper) -> None:
        shaper.manage([], [cable.far.address])
        assert (await reconcile(kernel, shaper, SLOW)).state == "enforced"
        expected = 0
        for port, octets, goes_by_it in ((53, 400, True), (123, 48, True), (123, 300, False), (54, 400, False)):
            await asyncio.to_thread(question, cable.far, cable.near, port, octets)
            expected += (octets + 28) * goes_by_it
            assert [passed(cable, device, "18") for device in DEVICES] == [expected, expected], (port, octets)

    play(cable, scenario, qdisc="tbf")
