"""Whether a process grows: samples over a long run, the slope after its warm-up, and who holds what was added.

Used by the storm. One reading of memory says little: the allocator keeps what it once needed, and caches fill. What
matters is the slope after the warm-up, of the resident set and of what Python itself has allocated.
"""

from __future__ import annotations

import gc
import os
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

WARM_UP = 0.25  # this share of a run is not judged
DAY_S = 86_400.0
_OURS = ("/agent/", "/simulator/", "/tests/")


@dataclass(frozen=True, slots=True)
class Sample:
    """`traced_kb`: what Python objects take (0 where tracemalloc is off); `rss_kb`: what the process takes."""

    at_s: float
    rss_kb: int
    traced_kb: int


class Growth:
    """Takes samples; `traced` also keeps who allocated what, which costs time."""

    def __init__(self, *, traced: bool = False) -> None:
        self.samples: list[Sample] = []
        self._first: tracemalloc.Snapshot | None = None
        self._last: tracemalloc.Snapshot | None = None
        self._traced = traced
        if traced:
            tracemalloc.start()

    def take(self, at_s: float, length_s: float) -> None:
        """One sample; who holds what is asked for twice only, at the warm-up's end and at the run's: it needs room."""
        gc.collect()
        if self._traced and self._first is None and at_s >= WARM_UP * length_s:
            self._first = self._ours()  # before the sample, so that its own weight is in all that are judged
        traced = tracemalloc.get_traced_memory()[0] // 1024 if self._traced else 0
        self.samples.append(Sample(at_s, rss_kb(), traced))

    def finish(self) -> None:
        if self._traced:
            gc.collect()
            self._last = self._ours()
            tracemalloc.stop()

    def _ours(self) -> tracemalloc.Snapshot:
        own = (tracemalloc.__file__, __file__)
        return tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, name) for name in own])

    def holders(self, most: int = 12) -> list[str]:
        """The lines that hold more at the end than after the warm-up."""
        if self._first is None or self._last is None:
            return []
        grown = [s for s in self._last.compare_to(self._first, "lineno") if s.size_diff > 0][:most]
        return [f"{s.size_diff:+8d} B in {s.count_diff:+6d} blocks, {_short(s.traceback)}" for s in grown]

    def slope_kb_day(self, field: str) -> float:
        """Least squares over the samples after the warm-up, in kB a day."""
        whole_s = self.samples[-1].at_s if self.samples else 0.0
        points = [(s.at_s / DAY_S, float(getattr(s, field))) for s in self.samples if s.at_s >= WARM_UP * whole_s]
        return slope(points)


def slope(points: list[tuple[float, float]]) -> float:
    """Of the straight line nearest to the points; 0 where there are too few."""
    if len(points) < 3:
        return 0.0
    mean_x, mean_y = (sum(axis) / len(points) for axis in zip(*points, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def rss_kb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def _short(traceback: tracemalloc.Traceback) -> str:
    frame = traceback[0]
    name = next((frame.filename[frame.filename.rindex(part) + 1 :] for part in _OURS if part in frame.filename), "")
    return f"{name or frame.filename}:{frame.lineno}"
