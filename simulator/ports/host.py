"""One thread with one asyncio loop that drives any number of modems in real time.

Used by serve() and the benches. A modem reads this host's clock; the loop only wakes it when something is due.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from simulator.modem import SimModem
from simulator.ports.inotify import Opens

T = TypeVar("T")


class Host:
    """start(), adopt() modems, close(). call() and run() may be used from any other thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._main, name="simulator", daemon=True)
        self._alarms: dict[SimModem, asyncio.TimerHandle] = {}
        self._started = threading.Event()
        self.opens = Opens()  # used on the loop alone

    def start(self) -> Host:
        self._thread.start()
        self._started.wait()
        return self

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.add_reader(self.opens.descriptor, self.opens.readable)
        self._loop.call_soon(self._started.set)
        self._loop.run_forever()
        self._loop.remove_reader(self.opens.descriptor)
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self.opens.close()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def clock(self) -> float:
        return time.monotonic()

    @property
    def inside(self) -> bool:
        return threading.current_thread() is self._thread

    def soon(self, action: Callable[[], None]) -> None:
        """Do it on the loop: at once when called there, else as soon as it comes round."""
        if self.inside:
            self._loop.call_soon(action)
        else:
            self._loop.call_soon_threadsafe(action)

    def call(self, action: Callable[[], T]) -> T:
        """Do it on the loop and wait for what it returns."""
        if self.inside:
            return action()

        async def once() -> T:
            return action()

        return self.run(once())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def adopt(self, modem: SimModem) -> None:
        """Keep this modem's time from now on."""
        modem.on_schedule = lambda: self.soon(lambda: self._arm(modem))
        self.soon(lambda: self._arm(modem))

    def release(self, modem: SimModem) -> None:
        modem.on_schedule = None
        alarm = self._alarms.pop(modem, None)
        if alarm is not None:
            alarm.cancel()

    def _arm(self, modem: SimModem) -> None:
        alarm = self._alarms.pop(modem, None)
        if alarm is not None:
            alarm.cancel()
        due = modem.next_due()
        if due is not None and modem.on_schedule is not None:
            self._alarms[modem] = self._loop.call_later(max(0.0, due - self.clock()), self._wake, modem)

    def _wake(self, modem: SimModem) -> None:
        self._alarms.pop(modem, None)
        modem.touch()
        self._arm(modem)
