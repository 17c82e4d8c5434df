"""Ends a process that no longer does its work, so that the service manager starts it anew: procd has no watchdog, and a
dead agent that lives on is the worst state. What the kernel shapes and counts stands meanwhile.

Two watches. `Patience` judges the tasks, on the loop: one that is past its promise is reported at once, and ends the
process when it still is some looks later. `Watchdog` judges the loop, from a thread: it has to be fed.

A new process that stalls like the last must not become a loop that wears flash and processor. So the agent ends itself
over a task only so long after it last did (`Endings`): 10 minutes for what keeps the line, an hour for the rest, which
the household can do without. That is 144 starts a day at most, or 24. A blocked loop does nothing at all, so nothing
is lost by trying again each time.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

LOOK_S = 30.0  # between two looks at the tasks
LOOKS = 3  # past its promise in so many looks: the report of the first has had a minute to reach the operator
LINE = ("counting", "shaping")
LINE_REST_S, REST_S = 600.0, 3_600.0

STEP_S = 2.0
START_S = 180.0  # until the loop first feeds: the unit's TimeoutStartSec, for the same reason
LIMIT_S = 90.0  # three looks
END_S = 8.0  # an orderly end takes under 1 s; systemd (TimeoutStopSec) and procd (term_timeout) kill after 10
LAST_WORDS_S = 2.0


class Patience:
    """In how many looks running each task was past its promise."""

    def __init__(self) -> None:
        self._looks: dict[str, int] = {}

    def look(self, stalled: Iterable[str]) -> list[str]:
        """Take what is past its promise now; those for which that is new."""
        before, self._looks = self._looks, {name: self._looks.get(name, 0) + 1 for name in stalled}
        return [name for name in self._looks if name not in before]

    def lost(self) -> list[str]:
        """Those over which the process should end."""
        return [name for name, looks in self._looks.items() if looks >= LOOKS]


class Endings:
    """When the agent last ended itself, in seconds of this boot. The file lies where a reboot clears it; one that
    cannot be read or written bounds nothing."""

    def __init__(self, file: Path, boot_s: Callable[[], float]) -> None:
        self._file, self._boot_s = file, boot_s

    def allows(self, task: str) -> bool:
        """Whether it has been long enough to end over this task."""
        try:
            passed_s = self._boot_s() - float(self._file.read_text("ascii"))
        except (OSError, ValueError):
            return True
        return not 0 <= passed_s < (LINE_REST_S if task in LINE else REST_S)

    def note(self) -> None:
        with contextlib.suppress(OSError):
            self._file.write_text(f"{self._boot_s():.0f}\n", "ascii")


class Watchdog:
    """Ends the process with status 1 when it was not fed in time.

    It counts its own steps and reads no clock: a process that was stopped, or a machine that slept, has not stalled.
    """

    def __init__(self, *, sleep: Callable[[float], None] = time.sleep, end: Callable[[int], object] = os._exit) -> None:
        self._sleep, self._end = sleep, end
        self._steps = 0  # written by the thread only
        self._until = 0  # written by whoever feeds

    def start(self) -> None:
        self.feed(START_S)
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def feed(self, within_s: float = LIMIT_S) -> None:
        """All is well, and this will be said again within so many seconds."""
        self._until = self._steps + round(within_s / STEP_S)

    def _watch(self) -> None:
        while self._steps < self._until:
            self._sleep(STEP_S)
            self._steps += 1
        # What blocks may be standard error itself, or a lock of the logging: then the kernel's alarm clock ends it.
        signal.setitimer(signal.ITIMER_REAL, LAST_WORDS_S)
        os.write(sys.stderr.fileno(), b"CRITICAL agent.daemon.watchdog: no progress; ending. Where each thread is:\n")
        faulthandler.dump_traceback()
        self._end(1)
