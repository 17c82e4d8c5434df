"""How long a task waits, and what ends the wait early."""

from __future__ import annotations

import asyncio


class Wake:
    """A pause that an event on the loop can end early; several events before the pause count as one.

    Built on a bare future: asyncio.wait_for loses a cancellation that meets the event (Python before 3.12), and the
    task would never end.
    """

    def __init__(self) -> None:
        self._pending = False
        self._waiter: asyncio.Future[bool] | None = None

    def set(self) -> None:
        self._pending = True
        self._end()

    def _end(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(True)

    async def wait(self, at_most_s: float) -> bool:
        """Whether the pause was ended early."""
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(at_most_s, self._end)
        if self._pending:
            self._end()
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None
        woken, self._pending = self._pending, False
        return woken
