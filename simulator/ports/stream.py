"""A module's port on TCP or on a unix socket: for pyserial's socket:// and for QEMU's chardev.

One client at a time, as with a serial port: a second one is turned away. The module leaving the bus cuts the
connection; while it is gone none is accepted.
"""

from __future__ import annotations

import asyncio
import contextlib
import os

from simulator.modem.port import SimPort
from simulator.ports.host import Host

_READ_SIZE = 4_096


class StreamPort:
    """`where` is HOST:PORT (port 0: any free one) or a path for a unix socket."""

    def __init__(self, host: Host, port: SimPort, where: str) -> None:
        self.host, self.port, self.where = host, port, where
        self.present = True
        self._server: asyncio.AbstractServer | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def is_tcp(self) -> bool:
        return "/" not in self.where and ":" in self.where

    @property
    def url(self) -> str:
        """What a client opens: a pyserial URL, or the socket's path."""
        return f"socket://{self.where}" if self.is_tcp else self.where

    async def open(self) -> None:
        if self.is_tcp:
            address, _, number = self.where.rpartition(":")
            self._server = await asyncio.start_server(self._serve, address.strip("[]") or "127.0.0.1", int(number))
            self.where = f"{address or '127.0.0.1'}:{self._server.sockets[0].getsockname()[1]}"  # type: ignore[attr-defined]
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.where)
            self._server = await asyncio.start_unix_server(self._serve, self.where)
        self.port.on_output = lambda: self.host.soon(self._flush)

    async def close(self) -> None:
        self.port.on_output = None
        if self._server is not None:
            self._server.close()
            self._cut()
            await asyncio.sleep(0)
            self._server = None
        if not self.is_tcp:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.where)

    def show(self, present: bool) -> None:
        """The module came or went."""
        self.present = present
        if not present:
            self._cut()

    def _cut(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.present or self._writer is not None:
            writer.close()
            return
        self._writer = writer
        try:
            while data := await reader.read(_READ_SIZE):
                self.port.receive(data)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            if self._writer is writer:
                self._writer = None
            writer.close()

    def _flush(self) -> None:
        while piece := self.port.take():
            if self._writer is not None:  # what is said to nobody is lost
                self._writer.write(piece)
