"""What the kernel counted on the LTE link, ten times a second: the demo's own witness, independent of the agent."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from simulator.demo.network import MODEM, WAN, LinkCounters, counters, inside

INTERVAL_S = 0.1


@dataclass(frozen=True, slots=True)
class Mark:
    """One look at the link: seconds since the recorder started, and the counters."""

    at_s: float
    link: LinkCounters


class Recorder:
    """A thread that looks at the link's counters until it is stopped."""

    def __init__(self) -> None:
        self.marks: list[Mark] = []
        self.started = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def now_s(self) -> float:
        return time.monotonic() - self.started

    def _watch(self) -> None:
        with inside(MODEM):
            while not self._stop.wait(INTERVAL_S):
                self.marks.append(Mark(self.now_s(), counters(WAN, host="")))

    def rate_bps(self, begin_s: float, end_s: float, direction: str) -> float:
        """Mean link rate in bit/s between two times, Ethernet header included, as tc(8) counts on such a link."""
        first = min(self.marks, key=lambda mark: abs(mark.at_s - begin_s))
        last = min(self.marks, key=lambda mark: abs(mark.at_s - end_s))
        moved = _bytes(last.link, direction) - _bytes(first.link, direction)
        return moved * 8 / (last.at_s - first.at_s)

    def live_bps(self) -> tuple[float, float]:
        """Down and up over the last second, for the display."""
        if len(self.marks) < 3:
            return 0.0, 0.0
        end = self.marks[-1].at_s
        return self.rate_bps(end - 1.0, end, "down"), self.rate_bps(end - 1.0, end, "up")

    def series(self, window_s: float = 0.5) -> list[tuple[float, float, float]]:
        """(second, down bit/s, up bit/s) over a sliding window, for the plot."""
        span = max(1, round(window_s / INTERVAL_S))
        rows = []
        for before, after in zip(self.marks, self.marks[span:], strict=False):
            took = after.at_s - before.at_s
            down = (after.link.received_bytes - before.link.received_bytes) * 8 / took
            up = (after.link.sent_bytes - before.link.sent_bytes) * 8 / took
            rows.append((after.at_s, down, up))
        return rows

    def crossing(self, start: LinkCounters, ip_bytes: int) -> Mark | None:
        """The first mark at which the link had carried so many IP bytes since `start`."""
        return next((mark for mark in self.marks if mark.link.ip_bytes() - start.ip_bytes() >= ip_bytes), None)


def _bytes(link: LinkCounters, direction: str) -> int:
    return link.received_bytes if direction == "down" else link.sent_bytes
