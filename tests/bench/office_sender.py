"""Many devices' reports over one plain MQTT 3.1.1 connection, as fast as the broker takes them.

What had no PUBACK when a connection ended is sent again over the next: what is `sent` in the end had one, each of them.
Packets are made here, since the benches measure the other end on the same two cores.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Iterable

WINDOW = 500  # PUBLISH without PUBACK yet


def publish_packet(topic: str, payload: bytes, mid: int) -> bytes:
    """MQTT 3.1.1, 3.3: QoS 1."""
    name = topic.encode()
    body = struct.pack("!H", len(name)) + name + struct.pack("!H", mid) + payload
    return b"\x32" + _length(len(body)) + body


def _length(number: int) -> bytes:
    """2.2.3: seven bits a byte, the least first."""
    out = bytearray()
    while True:
        number, low = divmod(number, 128)
        out.append(low | (128 if number else 0))
        if not number:
            return bytes(out)


class Sender:
    """`await send(reports)` returns once the broker has acknowledged every one of them."""

    def __init__(self, port: int, name: str) -> None:
        self._port, self._name = port, name
        self.resent = 0

    async def send(self, reports: Iterable[tuple[str, bytes]], pace_s: float = 0.0) -> None:
        source = iter(reports)
        waiting: dict[int, tuple[str, bytes]] = {}
        done = False
        while not done:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                done = await self._connection(source, waiting, pace_s)
            if not done:
                await asyncio.sleep(0.2)  # the broker is on its way back

    async def _connection(
        self, source: Iterable[tuple[str, bytes]], waiting: dict[int, tuple[str, bytes]], pace_s: float
    ) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            name = self._name.encode()
            body = b"\0\4MQTT\4\2\0\0" + struct.pack("!H", len(name)) + name
            writer.write(b"\x10" + _length(len(body)) + body)
            if await reader.readexactly(4) != b"\x20\2\0\0":
                raise OSError("no CONNACK")
            self.resent += len(waiting)
            for mid, (topic, payload) in list(waiting.items()):
                writer.write(publish_packet(topic, payload, mid))
            mid = max(waiting, default=0)
            for topic, payload in source:  # from here on it is in `waiting`, whatever happens to the connection
                mid = self._next(mid, waiting)
                waiting[mid] = (topic, payload)
                writer.write(publish_packet(topic, payload, mid))
                if pace_s:
                    await asyncio.sleep(pace_s)
                if reader.at_eof() or writer.is_closing():
                    raise OSError("the broker ended the connection")
                while len(waiting) >= WINDOW:
                    await self._acknowledged(reader, writer, waiting)
            while waiting:
                await self._acknowledged(reader, writer, waiting)
            return True
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    @staticmethod
    def _next(mid: int, waiting: dict[int, tuple[str, bytes]]) -> int:
        while True:
            mid = mid % 65_535 + 1
            if mid not in waiting:
                return mid

    @staticmethod
    async def _acknowledged(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, waiting: dict[int, tuple[str, bytes]]
    ) -> None:
        await writer.drain()
        data = await reader.read(4 * WINDOW)
        if not data:
            raise OSError("the broker ended the connection")
        data += await reader.readexactly(-len(data) % 4)
        for at in range(0, len(data), 4):
            if data[at : at + 2] != b"\x40\2":
                raise OSError("not a PUBACK")
            waiting.pop(int.from_bytes(data[at + 2 : at + 4], "big"), None)
