"""How long a task waits, and what ends the wait early."""

from __future__ import annotations

import asyncio
import contextlib


class Wake:
    """A pause that an event on the loop can end early; several events before the pause count as one."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self, at_most_s: float) -> bool:
        """Whether the pause was ended early."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._event.wait(), at_most_s)
        woken = self._event.is_set()
        self._event.clear()
        return woken


class Backoff:
    """Pauses that double from `first_s` to `longest_s`; `reset` once things go well again."""

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s, self._longest_s = first_s, longest_s
        self._next_s = first_s

    def next_s(self) -> float:
        pause_s, self._next_s = self._next_s, min(self._next_s * 2, self._longest_s)
        return pause_s

    def reset(self) -> None:
        self._next_s = self._first_s
