"""Watchers of the same thing share one question: ten meters on one modem cost the modem one poll a second.

Used by connections alone. A beat runs only while somebody watches; a fault is told to the watchers and the beat goes
on, since what they wait for may be just the modem that comes back.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from agent.control import protocol
from agent.errors import AgentError, CommandTimeout, ControlTimeout, NotPermitted, PortAbsent, PortBusy, Rejected

log = logging.getLogger(__name__)


class Watcher(Protocol):
    def offer(self, data: bytes) -> bool: ...


class Beats:
    """All that is being watched, by (method, arguments, period)."""

    def __init__(self, execute: Callable[..., Awaitable[Mapping[str, object]]]) -> None:
        self._execute = execute
        self._watchers: dict[tuple[str, str, float], set[Watcher]] = {}
        self._tasks: dict[tuple[str, str, float], asyncio.Task[None]] = {}

    def join(self, watcher: Watcher, method: str, args: Mapping[str, object], every_s: float) -> None:
        key = (method, json.dumps(args, sort_keys=True), every_s)
        self._watchers.setdefault(key, set()).add(watcher)
        if key not in self._tasks:
            self._tasks[key] = asyncio.create_task(self._beat(key))

    def leave(self, watcher: Watcher) -> None:
        for key in list(self._watchers):
            self._watchers[key].discard(watcher)
            if not self._watchers[key]:
                self._stop(key)

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for key in list(self._tasks):
            self._stop(key)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _stop(self, key: tuple[str, str, float]) -> None:
        self._watchers.pop(key, None)
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()

    async def _beat(self, key: tuple[str, str, float]) -> None:
        method, args, every_s = key
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            data = encode({"method": "watch", "params": await self._ask(method, json.loads(args))})
            for watcher in list(self._watchers.get(key, ())):
                watcher.offer(data)
            due = max(due + every_s, loop.time() + every_s / 10)  # a slow modem is not asked back to back
            await asyncio.sleep(due - loop.time())

    async def _ask(self, method: str, args: Mapping[str, object]) -> dict[str, object]:
        try:
            # Whoever watches only reads: a command that acts is refused by its role.
            result = await self._execute(method, args, role="read", source="local:watch", progress=lambda *_: None)
        except AgentError as error:
            return {"error": error_of(error)}
        except Exception:
            log.exception("control socket: watching '%s' failed", method)
            return {"error": {"code": protocol.INTERNAL_ERROR, "message": f"'{method}' failed; the log says why"}}
        return {"result": result}


def encode(message: Mapping[str, object]) -> bytes:
    """One line of JSON-RPC 2.0; ASCII, so that neither end needs a locale."""
    return json.dumps({"jsonrpc": "2.0", **message}, separators=(",", ":"), default=str).encode() + b"\n"


def error_of(error: AgentError) -> dict[str, object]:
    """An agent's error as JSON-RPC's: the USP code where there is one, and the sentence."""
    code = protocol.INTERNAL_ERROR
    with contextlib.suppress(StopIteration):
        code = next(number for kind, number in _CODES if isinstance(error, kind))
    if isinstance(error, Rejected):
        code = error.code
    return {"code": code, "message": str(error)}


_CODES: tuple[tuple[type[AgentError], int], ...] = (
    (NotPermitted, protocol.PERMISSION_DENIED),
    (PortAbsent, protocol.MODEM_ABSENT),
    (PortBusy, protocol.COMMAND_FAILURE),
    (CommandTimeout, protocol.TIMED_OUT),
    (ControlTimeout, protocol.TIMED_OUT),
)
