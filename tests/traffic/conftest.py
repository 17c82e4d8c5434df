"""Fixtures of the traffic tests: a wire of two namespaces and a kernel thread in the near one."""

from __future__ import annotations

import asyncio
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
