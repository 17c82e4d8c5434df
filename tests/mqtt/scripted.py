"""An MQTT 5 broker that says what mosquitto never says: busy, use another server, quota exceeded, or nothing at all."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.bench.operator_ear import CONNACK, CONNECT, PUBACK, PUBLISH, SUBACK, SUBSCRIBE, packet, text

DISCONNECT, PINGREQ, PINGRESP = 14, 12, 13
SERVER_REFERENCE, RECEIVE_MAXIMUM, TOPIC_ALIAS_MAXIMUM = 0x1C, 0x21, 0x22  # MQTT 5, 2.2.2.2


def reference(server: str) -> bytes:
    return bytes([SERVER_REFERENCE]) + text(server)


def two_bytes(name: int, value: int) -> bytes:
    return bytes([name]) + struct.pack(">H", value)


@dataclass
class Says:
    """What one connection is told; `ends` is the DISCONNECT that comes once something was published."""

    code: int = 0
    properties: bytes = b""
    ends: int | None = None
    ends_with: bytes = b""
    acknowledges: bool = True
    puback: Callable[[bytes], int] = lambda body: 0


@dataclass
class Scripted:
    """`script` is spoken one entry a connection, the last one for ever. `published` holds topics as they came."""

    script: Sequence[Says] = (Says(),)
    connections: int = 0
    published: list[bytes] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    port: int = 0

    async def __aenter__(self) -> Scripted:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def bodies(self, part: bytes) -> list[Any]:
        """JSON payloads of the topics that contain `part`."""
        return [json.loads(p) for topic, p in zip(self.published, self.payloads, strict=True) if part in topic]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        says = self.script[min(self.connections, len(self.script) - 1)]
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            while True:
                kind, flags, body = await _read(reader)
                if not self._answer(writer, says, kind, flags, body):
                    break
                await writer.drain()
            # Closing over unread data resets the connection, and the last word may be lost with it.
            await asyncio.wait_for(reader.read(), 5)
        writer.close()

    def _answer(self, writer: asyncio.StreamWriter, says: Says, kind: int, flags: int, body: bytes) -> bool:
        """Whether the connection goes on."""
        match kind:
            case _ if kind == CONNECT:
                properties = bytes([len(says.properties)]) + says.properties
                writer.write(packet(CONNACK, 0, bytes([0, says.code]) + properties))
                return not says.code
            case _ if kind == SUBSCRIBE:
                writer.write(packet(SUBACK, 0, body[:2] + b"\x00\x01"))
            case _ if kind == PINGREQ:
                writer.write(packet(PINGRESP, 0, b""))
            case _ if kind == PUBLISH:
                return self._published(writer, says, body)
            case _ if kind == DISCONNECT:
                return False
        return True

    def _published(self, writer: asyncio.StreamWriter, says: Says, body: bytes) -> bool:
        (length,) = struct.unpack_from(">H", body)
        self.published.append(body[2 : 2 + length])
        properties = body[4 + length]  # their length: below 128 here
        self.payloads.append(body[5 + length + properties :])
        if says.ends is not None:
            writer.write(packet(DISCONNECT, 0, bytes([says.ends, len(says.ends_with)]) + says.ends_with))
            return False
        if says.acknowledges:
            writer.write(packet(PUBACK, 0, body[2 + length : 4 + length] + bytes([says.puback(body)])))
        return True


async def _read(reader: asyncio.StreamReader) -> tuple[int, int, bytes]:
    first = (await reader.readexactly(1))[0]
    size = shift = 0
    while True:
        digit = (await reader.readexactly(1))[0]
        size, shift = size | (digit & 0x7F) << shift, shift + 7
        if not digit & 0x80:
            return first >> 4, first & 0x0F, await reader.readexactly(size)
