"""A module's port on TCP or on a unix socket: for pyserial's socket:// and rfc2217://, and for QEMU's chardev.

One client at a time, as with a serial port: a second one is turned away. The module leaving the bus cuts the
connection; while it is gone none is accepted.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from simulator.errors import SimulatorError
from simulator.modem.serial_port import SimPort
from simulator.ports.address import RFC2217, Address, parse
from simulator.ports.claim import SocketPath, answering, taken
from simulator.ports.host import Host
from simulator.ports.trace import HOST, MODULE, Trace

_READ_SIZE = 4_096


class Encoding(Protocol):
    """How a port's bytes are put on a connection, and taken off it."""

    def decode(self, data: bytes) -> bytes: ...

    def encode(self, data: bytes) -> bytes: ...

    def lines_changed(self) -> None:
        """The module may have moved DCD."""


class Plain:
    """The bytes as they are."""

    def decode(self, data: bytes) -> bytes:
        return data

    def encode(self, data: bytes) -> bytes:
        return data

    def lines_changed(self) -> None: ...


class StreamPort:
    """`where` is what simulator.ports.address reads; TCP port 0 is any free one."""

    def __init__(self, host: Host, port: SimPort, where: str, trace: Trace) -> None:
        self.host, self.port, self.trace = host, port, trace
        self.address = parse(where)
        self.present = True
        self._socket_path = SocketPath(where) if self.address.path and not self.address.abstract else None
        self._server: asyncio.Server | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._encoding: Encoding = Plain()

    @property
    def url(self) -> str:
        """What a client opens: a pyserial URL, the socket's path, or its abstract name."""
        address = self.address
        host = f"[{address.host}]" if ":" in address.host else address.host
        scheme = RFC2217 if address.telnet else "socket://"
        return f"{scheme}{host}:{address.port}" if address.is_tcp else address.path

    async def open(self) -> None:
        address = self.address
        try:
            if address.is_tcp:
                self._server = await asyncio.start_server(self._serve, address.host, address.port)
                number = int(self._server.sockets[0].getsockname()[1])
                self.address = Address(address.text, address.host, number, address.telnet)
            elif address.abstract:
                self._server = await asyncio.start_unix_server(self._serve, "\0" + address.path)
            else:
                self._server = await asyncio.start_unix_server(self._serve, address.path)
        except OSError as error:
            if address.abstract:
                raise taken(address.text, answering("\0" + address.path)) from error
            raise SimulatorError(f"--listen {address.text}: {error.strerror or error}") from error
        if self._socket_path is not None:
            self._socket_path.made()
        self.port.on_output = lambda: self.host.soon(self._flush)

    async def close(self) -> None:
        self.port.on_output = None
        if self._server is not None:
            self._server.close()
            self._cut()
            await asyncio.sleep(0)
            self._server = None
        if self._socket_path is not None:
            self._socket_path.release()

    def show(self, present: bool) -> None:
        """The module came or went."""
        self.present = present
        if not present:
            self._cut()

    def _cut(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _encoding_for(self, writer: asyncio.StreamWriter) -> Encoding:
        if not self.address.telnet:
            return Plain()
        from simulator.ports.rfc2217 import Telnet  # pyserial is needed for this alone

        return Telnet(self.port, writer.write)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.present or self._writer is not None:
            writer.close()
            return
        self._writer = writer
        self._encoding = self._encoding_for(writer)
        self.port.terminal_ready(True)
        try:
            while data := await reader.read(_READ_SIZE):
                if said := self._encoding.decode(data):
                    self.trace.note(self.port.interface, HOST, said)
                    self.port.receive(said)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            if self._writer is writer:
                self._writer = None
            self.port.terminal_ready(False)
            writer.close()

    def _flush(self) -> None:
        while piece := self.port.take():
            if self._writer is not None:  # what is said to nobody is lost
                self.trace.note(self.port.interface, MODULE, piece)
                self._writer.write(self._encoding.encode(piece))
        if self._writer is not None:
            self._encoding.lines_changed()
