"""Use by device, counted by the kernel: each byte of each host in both families, whatever a firewall does."""

from __future__ import annotations

import asyncio
import socket
import threading
from datetime import datetime, timezone

import pytest

from agent.errors import KernelError
from agent.plan import Ledger, Moment, Plan, Trust, observe
from agent.traffic import Kernel
from agent.traffic.model import DeviceBytes
from agent.traffic.netlink.device_counters import SIZE, elements
from tests.netns import Namespace, Wire, lan_and_wan, needs_namespaces
from tests.traffic.conftest import drop_net_admin, kernel_in, question

NOW = Moment(datetime(2026, 11, 20, tzinfo=timezone.utc), 1_000.0, "boot", Trust.SYNC)
HEADERS = {False: 28, True: 48}  # of IP and UDP


async def asked(kernel: Kernel) -> DeviceBytes:
    return await kernel.devices(await kernel.links(["wan0"]))


@pytest.mark.root
def test_each_host_s_bytes_are_its_own_in_both_families() -> None:
    async def scenario(hosts: list[Namespace], wire: Wire) -> None:
        async with kernel_in(wire) as kernel:
            assert await asked(kernel) == DeviceBytes()
            for ipv6 in (False, True):
                for number, host in enumerate(hosts, 1):
                    for _ in range(number):
                        await asyncio.to_thread(question, wire.far, host, 5_000, 400, ipv6=ipv6)
                more = await asked(kernel)
                for number, host in enumerate(hosts, 1):
                    address = host.address6 if ipv6 else host.address
                    expected = number * (400 + HEADERS[ipv6])
                    assert more.received[address] == expected
                    assert {key[1]: octets for key, octets in more.sent.items()}[address] == expected
            assert len({key[0] for key in more.sent}) == len(hosts)
            await asyncio.to_thread(question, wire.far, wire.near, 5_000, 400)  # the router's own
            assert await asked(kernel) == DeviceBytes()

    needs_namespaces()
    with lan_and_wan(3) as (hosts, wire):
        asyncio.run(scenario(hosts, wire))


@pytest.mark.root
def test_the_sum_of_all_devices_is_what_the_ledger_counts() -> None:
    """Within 1 %: TCP both ways, packets as large and as many together as the links like."""

    async def scenario(hosts: list[Namespace], wire: Wire) -> None:
        async with kernel_in(wire) as kernel:
            await asked(kernel)
            (before,) = await kernel.samples(["wan0"])
            for number, host in enumerate(hosts, 1):
                await asyncio.to_thread(transfer, wire.far, host, number * 2_000_000)
            more = await asked(kernel)
            (after,) = await kernel.samples(["wan0"])
        ledger, delta = observe(Ledger.new(Plan(), NOW), before, NOW, Plan())
        ledger, delta = observe(ledger, after, NOW, Plan())
        received, sent = sum(more.received.values()), sum(more.sent.values())
        assert received == pytest.approx(delta.received_bytes, rel=0.01)
        assert sent == pytest.approx(delta.sent_bytes, rel=0.01)
        by_host = [more.received[host.address] for host in hosts]
        assert by_host == sorted(by_host)
        assert by_host[0] >= 2_000_000

    needs_namespaces()
    with lan_and_wan(3) as (hosts, wire):
        asyncio.run(scenario(hosts, wire))


def transfer(server: Namespace, client: Namespace, octets: int) -> None:
    """So many bytes over TCP to the client, and a tenth back."""
    with server.entered():
        listener = socket.create_server((server.address, 0))
    with client.entered():
        connection = socket.socket()
    with listener, connection:
        connection.settimeout(60)
        connection.connect(listener.getsockname())
        served, _ = listener.accept()
        with served:
            served.settimeout(60)
            for sender, receiver, size in ((served, connection, octets), (connection, served, octets // 10)):
                thread = threading.Thread(target=sender.sendall, args=(bytes(size),))
                thread.start()
                while size:
                    size -= len(receiver.recv(min(size, 65_536)))
                thread.join()


@pytest.mark.root
def test_a_firewall_that_is_loaded_anew_loses_no_byte_and_the_end_takes_the_table() -> None:
    async def scenario(host: Namespace, wire: Wire) -> None:
        async with kernel_in(wire) as kernel:
            await asked(kernel)
            await asyncio.to_thread(question, wire.far, host, 5_000, 400)
            wire.near.run("nft", "flush", "ruleset")
            await asyncio.to_thread(question, wire.far, host, 5_000, 400)
            assert (await asked(kernel)).received == {host.address: 2 * 428}
            assert "modem-agent-devices" in wire.near.run("nft", "list", "tables")
        assert wire.near.run("nft", "list", "tables") == ""

    needs_namespaces()
    with lan_and_wan() as ((host,), wire):
        asyncio.run(scenario(host, wire))


@pytest.mark.root
def test_more_addresses_than_the_sets_hold_are_forwarded_all_the_same() -> None:
    """Whoever invents addresses fills the sets, and nothing else."""

    async def scenario(host: Namespace, wire: Wire) -> None:
        async with kernel_in(wire) as kernel:
            await asked(kernel)
            with host.entered():
                sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
            with sender:
                for number in range(SIZE + 200):
                    source = socket.inet_aton(f"10.{number // 250 + 1}.0.{number % 250 + 1}")
                    header = bytes([0x45, 0, 0, 20, 0, 0, 0, 0, 64, 253, 0, 0]) + source
                    sender.sendto(header + socket.inet_aton(wire.far.address), (wire.far.address, 0))
            more = await asked(kernel)
            assert len(more.sent) <= SIZE
            assert len(more.sent) > SIZE // 2
            await asyncio.to_thread(question, wire.far, host, 5_000, 400)  # which must be answered

    needs_namespaces()
    with lan_and_wan() as ((host,), wire):
        asyncio.run(scenario(host, wire))


@pytest.mark.root
def test_a_kernel_that_refuses_is_an_error_that_names_the_counting(cable: Wire) -> None:
    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            links = await kernel.links(["wan0"])
            await kernel.call(lambda route: drop_net_admin())
            with pytest.raises(KernelError, match="counting by device: Operation not permitted"):
                await kernel.devices(links)

    asyncio.run(scenario())


def test_a_message_without_elements_or_with_other_keys_gives_none() -> None:
    assert list(elements(bytes(4), 4)) == []
    with pytest.raises(OSError, match="no length"):
        list(elements(bytes(8), 4))
