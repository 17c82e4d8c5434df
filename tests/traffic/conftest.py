"""Fixtures of the traffic tests: a wire of two namespaces and a kernel thread in the near one."""

from __future__ import annotations

import asyncio
import ctypes
import re
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agent.config import ShaperSettings
from agent.plan import Rates
from agent.traffic import Kernel, LinkEvent, Shaper, ShaperState
from agent.traffic.netlink.messages import Node
from agent.traffic.netlink.route import Route
from agent.traffic.tree import NEEDS
from tests.netns import Namespace, Wire, needs_namespaces, wire


@pytest.fixture
def cable() -> Iterator[Wire]:
    needs_namespaces()
    with wire() as w:
        yield w


@asynccontextmanager
async def kernel_in(w: Wire, events: list[LinkEvent] | None = None) -> AsyncIterator[Kernel]:
    """A kernel thread inside the near namespace; what it tells is appended to `events`."""
    kernel = Kernel()
    with w.near.entered():
        kernel.start(asyncio.get_running_loop(), events.append if events is not None else lambda event: None)
        await kernel.links(["*"])  # the thread is up, and has made its sockets in there
    try:
        yield kernel
    finally:
        kernel.close()


async def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    """Wait for what the kernel thread tells, no longer than `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        await asyncio.sleep(0.005)


class ManualSeconds:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def drop_net_admin() -> None:
    """The calling thread loses CAP_NET_ADMIN for good; others keep it."""
    header = struct.pack("=II", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this thread
    buffer = ctypes.create_string_buffer(24)
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.capget(header, buffer) == 0
    words = list(struct.unpack("=6I", buffer.raw))
    for place in range(3):
        words[place] &= ~(1 << 12)
    assert libc.capset(header, struct.pack("=6I", *words)) == 0


SLOW = Rates(512_000, 512_000)
# The same 512 kbit/s of IP as tc shows it: cake reckons from the IP header on, tbf by 1514 bytes for 1500 of IP.
SHOWN = re.compile(r"qdisc cake .* bandwidth 512Kbit |rate 516776bit")


def play(cable: Wire, scenario: Callable[[Kernel, Shaper], Awaitable[None]], **settings: Any) -> None:
    """A scenario with a kernel thread in the near namespace and a shaper of these settings."""

    async def run() -> None:
        async with kernel_in(cable) as kernel:
            await scenario(kernel, Shaper(kernel, ShaperSettings(**settings)))

    asyncio.run(run())


async def reconcile(kernel: Kernel, shaper: Shaper, rates: Rates) -> ShaperState:
    return await shaper.reconcile(await kernel.links(["wan*"]), rates)


def qdiscs(cable: Wire, device: str) -> str:
    """What tc shows, but for the packets that came before the classes did: those are counted as direct."""
    return re.sub(r"direct_packets_stat \d+", "", cable.near.tc("qdisc", "show", "dev", device))


def count_reads(route: Route, reads: list[float]) -> None:
    read = route.qdiscs

    def counted() -> list[Node]:
        reads.append(time.monotonic())
        return read()

    route.qdiscs = counted  # type: ignore[method-assign]  # counts, and does the same


def question(server: Namespace, client: Namespace, port: int, octets: int, *, ipv6: bool = False) -> None:
    """A datagram there and one as long back."""
    family = socket.AF_INET6 if ipv6 else socket.AF_INET
    address = server.address6 if ipv6 else server.address
    with server.entered():
        asked = socket.socket(family, socket.SOCK_DGRAM)
        asked.bind((address, port))
    with client.entered():
        asking = socket.socket(family, socket.SOCK_DGRAM)
    with asked, asking:
        for end in (asked, asking):
            end.settimeout(10)
        asking.sendto(bytes(octets), (address, port))
        _, asker = asked.recvfrom(2_000)
        asked.sendto(bytes(octets), asker)
        asking.recvfrom(2_000)


async def needs(kernel: Kernel, kind: str) -> None:
    """Skip where this kernel has no such tree."""
    capabilities = await Shaper(kernel, ShaperSettings()).probe()
    for lacking in sorted(NEEDS[kind] - capabilities.qdiscs):
        pytest.skip(f"{lacking}: not in this kernel")
