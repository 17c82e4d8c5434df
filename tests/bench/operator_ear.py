"""The operator's end and the line to it, for the benches that cut: an MQTT client that loses nothing, and a proxy.

The broker writes a message to its subscribers before it acknowledges it to the publisher. The ear takes what was
written to the last byte, also from a broker that was killed: nothing that the agent was told is delivered goes astray
between the two, so whatever is missing is the agent's.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Callable

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 8, 9  # MQTT 3.1.1, 2.2.1
BUFFER_BYTES = 8_000_000


def packet(kind: int, flags: int, body: bytes) -> bytes:
    """A control packet; the length in seven bits a byte (2.2.3)."""
    length, left = b"", len(body)
    while True:
        left, digit = divmod(left, 128)
        length += bytes([digit | (0x80 if left else 0)])
        if not left:
            return bytes([kind << 4 | flags]) + length + body


def text(value: str) -> bytes:
    return struct.pack(">H", len(value.encode())) + value.encode()


class Ear:
    """One clean session, QoS 0 in, QoS 1 out. `hear(topic, payload, retained)`; `ready` while it is subscribed."""

    def __init__(self, port: int, topic_filter: str, hear: Callable[[str, bytes, bool], None]) -> None:
        self._port, self._filter, self._hear = port, topic_filter, hear
        self.ready = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._mid = 1

    async def run(self) -> None:
        """Listen, through restarts of the broker, until cancelled."""
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._session()
            self.ready.clear()
            await asyncio.sleep(0.005)

    async def _session(self) -> None:
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        made.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", self._port))
        except OSError:
            made.close()
            raise
        reader, writer = await asyncio.open_connection(sock=made, limit=BUFFER_BYTES)
        try:
            self._writer = writer
            writer.write(packet(CONNECT, 0, text("MQTT") + b"\x04\x02\x00\x00" + text("ear")))
            writer.write(packet(SUBSCRIBE, 2, b"\x00\x01" + text(self._filter) + b"\x00"))
            while True:
                await self._one(reader)
        finally:
            self._writer = None
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader) -> None:
        first = (await reader.readexactly(1))[0]
        size, shift = 0, 0
        while True:
            digit = (await reader.readexactly(1))[0]
            size, shift = size | (digit & 0x7F) << shift, shift + 7
            if not digit & 0x80:
                break
        body = await reader.readexactly(size)
        if first >> 4 == SUBACK:
            self.ready.set()
        elif first >> 4 == PUBLISH:
            (length,) = struct.unpack_from(">H", body)
            self._hear(body[2 : 2 + length].decode(), body[2 + length :], bool(first & 1))

    def publish(self, topic: str, payload: bytes) -> None:
        """QoS 1, so that the broker keeps it for a device that is away. Raises OSError without a session."""
        if self._writer is None:
            raise OSError("no session")
        self._mid = self._mid % 65_535 + 1
        self._writer.write(packet(PUBLISH, 2, text(topic) + struct.pack(">H", self._mid) + payload))


class Proxy:
    """Between agent and broker; `cut` ends every connection after a random number of further bytes.

    `gate` says when the broker is to be reached at all. `cuts` counts the connections' ends that were real.
    """

    def __init__(self, target_port: int, dice: random.Random, gate: asyncio.Event | None = None) -> None:
        self._target, self._dice, self._gate = target_port, dice, gate
        self._left: int | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.cuts = 0

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._end_all()

    def cut(self) -> None:
        self._left = self._dice.randrange(0, 2_000)

    def calm(self) -> None:
        self._left = None

    def _end_all(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if self._gate is not None:
                await self._gate.wait()
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            self._writers.discard(writer)
            writer.transport.abort()
            return
        self._writers.add(far_writer)
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer), return_exceptions=True)
        self._writers -= {writer, far_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(4096):
                if self._left is None:
                    writer.write(data)
                    continue
                data, self._left = data[: self._left], self._left - len(data)
                writer.write(data)
                if self._left <= 0:
                    self._left = None
                    self.cuts += 1
                    self._end_all()
                    return
        finally:
            writer.transport.abort()
