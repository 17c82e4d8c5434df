"""Looks now and then whether the links that count are those that carry the traffic. Started by the daemon.

Two small files in /proc and a few in /sys a look, and no netlink. A mismatch is reported once it has lasted; it is over
with the first look that finds none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from agent.events import Emit, Progressed, UplinkJudged, unheard
from agent.traffic.uplink import Mismatch

log = logging.getLogger(__name__)

LOOK_S = 20.0
# A modem that enumerates again, or a connection that is made anew, takes less: meanwhile a fallback may have the route.
HELD_S = 60.0


class Uplink:
    """What is wrong with wan.interfaces, if anything."""

    def __init__(self, look: Callable[[], Mismatch | None], boot_s: Callable[[], float], emit: Emit = unheard) -> None:
        self._look, self._boot_s, self._emit = look, boot_s, emit
        self._since_s: float | None = None
        self.mismatch: Mismatch | None = None

    async def run(self) -> None:
        """Look for ever."""
        while True:
            self.look()
            self._emit(Progressed("uplink", LOOK_S + 60))
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """Look once."""
        before, seen, now_s = self.mismatch, self._look(), self._boot_s()
        if seen is None:
            self._since_s = self.mismatch = None
        else:
            self._since_s = now_s if self._since_s is None else self._since_s
            if now_s - self._since_s >= HELD_S:
                self.mismatch = seen
        if self.mismatch != before:
            if self.mismatch is not None:
                log.warning("%s", self.mismatch.text)
            else:
                log.warning("traffic leaves by the links that count again")
            self._emit(UplinkJudged(self.mismatch))
