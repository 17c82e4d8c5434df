"""A control server on a thread of its own, answering from a small table of commands."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.control import protocol
from agent.control.connection import Admit
from agent.control.server import ControlServer
from agent.errors import NotPermitted, PortAbsent, Rejected


class Table:
    """Stands where agent.commands.execute stands: (role a command wants, what it does)."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.cancelled = threading.Event()
        self.running = threading.Event()
        self.rows: dict[str, tuple[str, Callable[..., Awaitable[dict[str, Any]]]]] = {
            "status": ("read", self._status),
            "modem.reset": ("act", self._reset),
            "modem.scan": ("read", self._scan),
            "modem.info": ("read", self._absent),
            "broken": ("read", self._broken),
            "huge": ("read", self._huge),
        }
        self.beats = 0

    async def execute(
        self, name: str, args: dict[str, Any], *, role: str, source: str, progress: Callable[[int, str], None]
    ) -> dict[str, Any]:
        self.asked.append((name, role, source))
        if name not in self.rows:
            raise Rejected(protocol.COMMAND_FAILURE, f"unknown command {name!r}")
        wanted, run = self.rows[name]
        if not protocol.allows(role, wanted):
            raise NotPermitted(f"'{name}' is for those who may {wanted}")
        return await run(args, progress)

    async def _status(self, args: dict[str, Any], progress: Callable[..., None]) -> dict[str, Any]:
        self.beats += 1
        return {"v": 1, "beat": self.beats, **args}

    async def _reset(self, args: dict[str, Any], progress: Callable[..., None]) -> dict[str, Any]:
        return {"done": True}

    async def _scan(self, args: dict[str, Any], progress: Callable[..., None]) -> dict[str, Any]:
        progress(10, "asking")
        self.running.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return {}

    async def _absent(self, args: dict[str, Any], progress: Callable[..., None]) -> dict[str, Any]:
        raise PortAbsent("no modem on any port")

    async def _broken(self, args: dict[str, Any], progress: Callable[..., None]) -> dict[str, Any]:
        raise ZeroDivisionError

    async def _huge(self, args: dict[str, Any], progress: Callable[..., None]) -> dict[str, Any]:
        return {"text": "x" * int(args["bytes"])}


class Served:
    def __init__(self, path: Path, table: Table, server: ControlServer) -> None:
        self.path, self.table, self.server = path, table, server


@contextmanager
def serving(path: Path, table: Table, *, admit: Admit | None = None, **groups: str) -> Iterator[Served]:
    """Run a server on its own loop and thread, as the daemon does on its."""
    ready: threading.Event = threading.Event()
    held: dict[str, Any] = {}

    async def main() -> None:
        held["loop"], held["stop"] = asyncio.get_running_loop(), asyncio.Event()
        server = held["server"] = ControlServer(path, table.execute, admit=admit, **groups)
        try:
            await server.start()
            ready.set()
            await held["stop"].wait()
        except BaseException as error:
            held["error"] = error
            ready.set()
        finally:
            await server.close()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    try:
        assert ready.wait(10)
        if "error" in held:
            raise held["error"]
        yield Served(path, table, held["server"])
    finally:
        if "error" not in held:
            held["loop"].call_soon_threadsafe(held["stop"].set)
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path / "control.sock", Table(), read_group="", act_group="") as running:
        yield running
