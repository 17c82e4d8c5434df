"""Many packets in one read, cut anywhere; many PUBACKs in one piece; many events in one wake of the loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from agent.mqtt.paho_client import Client, made
from agent.mqtt.transport import Connection, Event, Published, Target
from tests.bench.operator_ear import CONNACK, CONNECT, PUBACK, PUBLISH, packet, text

TARGET = Target("127.0.0.1", 1883, "x", 60, protocol="3.1.1")
BODIES = [b"", b"a", bytes(200), bytes(70_000), b"last"]  # none, one length byte, two, longer than a read, after it


class Counted(socket.socket):
    """Counts how often it is read."""

    reads = 0

    def recv(self, *args: int) -> bytes:
        self.reads += 1
        return super().recv(*args)


@dataclass
class Wire:
    """paho's client at one end of a socket pair, the test at the other."""

    client: Client
    near: Counted
    far: socket.socket
    payloads: list[bytes] = field(default_factory=list)

    def read(self) -> None:
        """As paho's thread and the simulator's fleet do: once for each time that the socket has something."""
        self.client.loop_read()
        assert self.client._taken == len(self.client._ahead)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    mine, far = socket.socketpair()
    near = Counted(fileno=mine.detach())
    client = made(TARGET)
    monkeypatch.setattr(client, "_create_socket_connection", lambda: near)
    client.connect("127.0.0.1", 1883)
    assert far.recv(1_000)[0] == CONNECT << 4
    far.sendall(packet(CONNACK, 0, b"\0\0"))
    client.loop_read()
    wire = Wire(client, near, far)
    client.on_message = lambda client, data, message: wire.payloads.append(bytes(message.payload))
    yield wire
    near.close()
    far.close()


def messages(bodies: list[bytes]) -> bytes:
    return b"".join(packet(PUBLISH, 2, text("t") + mid.to_bytes(2, "big") + body) for mid, body in enumerate(bodies, 1))


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 8, 300, 65_535, 65_536, 65_537])
def test_packets_cut_anywhere_are_read_whole(wire: Wire, cut: int) -> None:
    wire.far.setblocking(False)
    data = messages(BODIES)
    begin, size = (0, cut) if cut > 8 else (len(data) - 300, cut)
    pieces = [data[:begin]] + [data[at : at + size] for at in range(begin, len(data), size)]
    for piece in pieces:
        while piece:
            with contextlib.suppress(BlockingIOError):
                piece = piece[wire.far.send(piece) :]
            wire.read()
    while len(wire.payloads) < len(BODIES):
        wire.read()
    assert wire.payloads == BODIES


def test_a_hundred_packets_are_one_read(wire: Wire) -> None:
    bodies = [str(n).encode() for n in range(100)]
    wire.far.sendall(messages(bodies))
    before = wire.near.reads
    wire.read()
    assert wire.payloads == bodies
    assert wire.near.reads == before + 1


def test_an_end_is_noticed_after_what_came_before_it(wire: Wire) -> None:
    wire.far.sendall(messages([b"1", b"2"]))
    wire.far.close()
    wire.read()
    assert wire.payloads == [b"1", b"2"]
    wire.read()
    assert wire.client.socket() is None


def test_acknowledgements_are_one_piece_with_a_packet_for_each(wire: Wire) -> None:
    wire.client.acknowledge([1, 258, 65_535])
    wire.client.loop_write()
    assert wire.far.recv(1_000) == b"".join(packet(PUBACK, 0, mid) for mid in (b"\0\1", b"\1\2", b"\xff\xff"))


def test_events_keep_their_order_and_one_that_fails_stops_no_other() -> None:
    async def story() -> None:
        seen: asyncio.Queue[int] = asyncio.Queue()
        failed: list[object] = []

        def take(event: Event) -> None:
            assert isinstance(event, Published)
            if event.mid == 3:
                raise ValueError("this one")
            seen.put_nowait(event.mid)

        asyncio.get_running_loop().set_exception_handler(lambda loop, context: failed.append(context["exception"]))
        connection = Connection(TARGET, take)

        def hand_over(mids: range) -> None:
            for mid in mids:
                connection._hand_over(Published(mid, 0))

        for mids in (range(1, 6), range(6, 8)):
            await asyncio.to_thread(hand_over, mids)
            for mid in mids:
                if mid != 3:
                    assert await asyncio.wait_for(seen.get(), 30) == mid
        assert [str(error) for error in failed] == ["this one"]

    asyncio.run(story())
