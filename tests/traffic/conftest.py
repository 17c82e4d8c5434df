"""Fixtures of the traffic tests: a wire of two namespaces and a kernel thread in the near one."""

from __future__ import annotations

import asyncio
import ctypes
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from agent.traffic import Kernel, LinkEvent
from tests.netns import Wire, needs_namespaces, wire


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
