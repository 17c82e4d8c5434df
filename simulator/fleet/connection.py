"""The agent's own connection with its bytes moved by the asyncio loop: a thread for each of 5 000 would not do.

Everything that is said to the broker, and how its answers are understood, is agent/mqtt/transport.py's.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

from agent.mqtt.transport import Connection, Event, Message, Published, Target

_HOUSEKEEPING_S = 5.0


class LoopConnection(Connection):
    """A Connection without a thread. `acknowledged` is told how long the broker took for each PUBACK."""

    acknowledged: Callable[[float], None] = staticmethod(lambda seconds: None)

    def __init__(self, target: Target, on_event: Callable[[Event], None], *, will: Message | None = None) -> None:
        super().__init__(target, on_event, will=will)
        self._sent_at: dict[int, float] = {}
        self._alarm: asyncio.TimerHandle | None = None
        self._watched = -1
        self._client.on_socket_close = lambda client, userdata, sock: self._unwatch()

    def _hand_over(self, event: Event) -> None:
        if isinstance(event, Published):
            began = self._sent_at.pop(event.mid, None)
            if began is not None:
                self.acknowledged(time.monotonic() - began)
        super()._hand_over(event)

    def publish(self, message: Message) -> int:
        mid = super().publish(message)
        self._sent_at[mid] = time.monotonic()
        return mid

    def _begin(self) -> None:
        connection = self._client.socket()
        if connection is None:
            raise OSError("closed while connecting")
        # The pair wakes paho's own thread; there is none, and two descriptors a device are many.
        for name in ("_sockpairR", "_sockpairW"):
            pair: Any = getattr(self._client, name, None)
            if pair is not None:
                pair.close()
                setattr(self._client, name, None)
        self._watched = connection.fileno()
        self._loop.add_reader(self._watched, self._readable)
        self._housekeeping()

    def _readable(self) -> None:
        if self._client.socket() is None:
            self._unwatch()
        else:
            self._client.loop_read()

    def _housekeeping(self) -> None:
        """Keep-alive, and what did not fit into the socket."""
        self._alarm = self._loop.call_later(_HOUSEKEEPING_S, self._housekeeping)
        if self._client.socket() is not None:
            if self._client.want_write():
                self._client.loop_write()
            self._client.loop_misc()

    def _unwatch(self) -> None:
        if self._watched >= 0:
            with contextlib.suppress(OSError, ValueError):
                self._loop.remove_reader(self._watched)
            self._watched = -1

    async def _end(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        await asyncio.sleep(0)  # what paho put on the way is on the way
        self._unwatch()
