"""What a diagnosis moves over the line is the operator's traffic: measured where the bytes flow, and booked when the
work has ended, however it ended: done, refused, out of time, cancelled, or no longer waited for.

`spend` is the only way from a diagnosis to the line. Names are not measured here: what the device asks name servers is
counted by the kernel (agent/traffic/netlink/nftables.py), and would be booked twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

from agent.errors import AgentError
from agent.net.wire_cost import Cost, Meter

T = TypeVar("T")

_under_way: set[asyncio.Task[object]] = set()  # the loop itself holds tasks by weak references only


class Payer(Protocol):
    """Whose ledger it is."""

    def charge(self, received_bytes: int, sent_bytes: int) -> None:
        """So much of what the line carries is the operator's own traffic."""
        ...


class Spent:
    """The account of one piece of work. Used on its worker thread, but for `stop`."""

    def __init__(self) -> None:
        self.cost = Cost()
        self._meter: Meter | None = None
        self._stopped = False

    def add(self, cost: Cost) -> None:
        self.cost += cost

    def opened(self, meter: Meter) -> None:
        """A connection is about to be made, and will be `closed`. Raises AgentError when nobody waits any more."""
        self._meter = meter
        if self._stopped:
            self.closed(meter)
            raise AgentError("stopped")

    def closed(self, meter: Meter) -> None:
        self._meter = None
        self.add(meter.close())

    def stop(self) -> None:
        """Nobody waits any more: from the loop. A connection ends at once, so that it costs no more."""
        self._stopped = True
        meter = self._meter
        if meter is not None:
            meter.shutdown()


async def spend(payer: Payer, work: Callable[[Spent], T]) -> T:
    """Run `work` on a worker thread and book what it has spent. Raises what it raises."""
    spent = Spent()

    async def booked() -> T:
        try:
            return await asyncio.to_thread(work, spent)
        finally:
            payer.charge(spent.cost.received_bytes, spent.cost.sent_bytes)

    task = asyncio.ensure_future(booked())
    _under_way.add(task)
    task.add_done_callback(_ended)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        spent.stop()
        raise


def _ended(task: asyncio.Task[T]) -> None:
    _under_way.discard(task)
    if not task.cancelled():
        task.exception()  # looked at, or asyncio complains where the one who asked has left
