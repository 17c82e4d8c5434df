"""The control socket of a running simulator: one line of JSON in, one out. `modem-sim ctl` is its client.

A request is a list of words, an action and its arguments; the answer is {"ok": …} or {"error": "…"}.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable
from typing import Any

from simulator.errors import SimulatorError
from simulator.ports.claim import SocketPath


class ControlServer:
    """Listens on a unix socket that only its owner may use. `perform` does an action, by its name and arguments."""

    def __init__(self, path: str, perform: Callable[[str, list[str]], object]) -> None:
        self._path, self._perform = SocketPath(path), perform
        self._server: asyncio.AbstractServer | None = None

    async def open(self) -> None:
        before = os.umask(0o177)  # nobody else from the first moment on
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path.path)
        finally:
            os.umask(before)
        self._path.made()

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._path.release()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while line := await reader.readline():
                writer.write(json.dumps(self._answer(line)).encode() + b"\n")
                await writer.drain()
        writer.close()

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            if not isinstance(request, list) or not request or not all(isinstance(word, str) for word in request):
                raise SimulatorError("a request is a list of words: action and arguments")
            return {"ok": self._perform(request[0], request[1:])}
        except (SimulatorError, ValueError) as error:
            return {"error": str(error)}


def ask(path: str, words: list[str], timeout_s: float = 10.0) -> Any:
    """Ask a running simulator, without asyncio. Raises SimulatorError with its answer, or when nobody listens."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(path)
            connection.sendall(json.dumps(words).encode() + b"\n")
            with connection.makefile("rb") as answers:
                answer = json.loads(answers.readline() or b"{}")
        except OSError as error:
            raise SimulatorError(f"{path}: no simulator answers there ({error})") from error
    if "ok" not in answer:
        raise SimulatorError(answer.get("error", "the simulator hung up"))
    return answer["ok"]
