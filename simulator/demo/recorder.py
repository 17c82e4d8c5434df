"""What the kernel counted on the LTE link, ten times a second: the demo's own witness, independent of the agent."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from simulator.demo.network import MODEM, WAN, LinkCounters, inside, read_counters

INTERVAL_S = 0.1
IFB = "ifb4wwan0"  # through it the agent leads the download, while it shapes it


@dataclass(frozen=True, slots=True)
class Mark:
    """One look at the link: seconds since the recorder started, and the counters of the WAN and of its ifb."""

    at_s: float
    link: LinkCounters
    ifb: LinkCounters | None

    def shaped_bytes(self, direction: str) -> int:
        """Bytes that the link let through: past the shaper, where there is one, as the household gets them."""
        if direction == "up":
            return self.link.sent_bytes
        return self.ifb.sent_bytes if self.ifb else self.link.received_bytes


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
                links = read_counters()
                self.marks.append(Mark(self.now_s(), links[WAN], links.get(IFB)))

    def rate_bps(self, begin_s: float, end_s: float, direction: str) -> float:
        """Mean link rate in bit/s between two times, Ethernet header included, as tc(8) counts on such a link."""
        first, last = self.mark_at(begin_s), self.mark_at(end_s)
        return (last.shaped_bytes(direction) - first.shaped_bytes(direction)) * 8 / (last.at_s - first.at_s)

    def arrived_bps(self, begin_s: float, end_s: float) -> float:
        """What came in on the WAN, ahead of the shaper: what it dropped, TCP sent again."""
        first, last = self.mark_at(begin_s), self.mark_at(end_s)
        return (last.link.received_bytes - first.link.received_bytes) * 8 / (last.at_s - first.at_s)

    def mark_at(self, second: float) -> Mark:
        """The look that was nearest to a second."""
        return min(self.marks, key=lambda mark: abs(mark.at_s - second))

    def live_bps(self) -> tuple[float, float]:
        """Down and up over the last second, for the display."""
        if len(self.marks) < 3:
            return 0.0, 0.0
        if (self.mark_at(self.marks[-1].at_s - 1.0).ifb is None) != (self.marks[-1].ifb is None):
            return 0.0, 0.0  # the shaper came or went in this second: two counters of different links
        end = self.marks[-1].at_s
        return self.rate_bps(end - 1.0, end, "down"), self.rate_bps(end - 1.0, end, "up")

    def series(self, window_s: float = 0.5) -> list[tuple[float, float, float]]:
        """(second, down bit/s, up bit/s) over a sliding window, for the plot."""
        span = max(1, round(window_s / INTERVAL_S))
        rows = []
        for before, after in zip(self.marks, self.marks[span:], strict=False):
            if (before.ifb is None) != (after.ifb is None):
                continue  # the shaper came or went in this window: the two counters are of different links
            took = after.at_s - before.at_s
            down, up = (after.shaped_bytes(way) - before.shaped_bytes(way) for way in ("down", "up"))
            rows.append((after.at_s, down * 8 / took, up * 8 / took))
        return rows

    def crossing(self, ip_bytes: int) -> Mark | None:
        """The first mark at which the link had carried so many IP bytes since it was made."""
        return next((mark for mark in self.marks if mark.link.ip_bytes() >= ip_bytes), None)
