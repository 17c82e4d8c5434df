"""Real TCP load between household and operator, and a ping beside it. Run as a process inside a namespace:

    python -m simulator.demo.load serve ADDRESS PORT
    python -m simulator.demo.load down|up ADDRESS PORT SECONDS FLOWS
    python -m simulator.demo.load ping ADDRESS SECONDS

Loads print the bytes their applications got as JSON at the end; ping prints its round trips in milliseconds.
Every run is bounded in time.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import struct
import sys
import threading
import time

CHUNK = bytes(16_384)
PING_INTERVAL_S = 0.1


def serve(address: str, port: int) -> None:
    """A sink and a source: the first byte of a connection says which (d: we send, u: we take)."""
    listener = socket.create_server((address, port), backlog=64)
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve_one, args=(connection,), daemon=True).start()


def _serve_one(connection: socket.socket) -> None:
    with connection:
        try:
            if connection.recv(1) == b"d":
                while True:
                    connection.sendall(CHUNK)
            while connection.recv(65_536):
                pass
        except OSError:
            pass  # the household closed first, as it always does


def load(direction: str, address: str, port: int, seconds: float, flows: int) -> dict[str, float]:
    """Keep `flows` connections full in one direction for some seconds."""
    deadline = time.monotonic() + seconds
    moved = 0
    with selectors.DefaultSelector() as selector:
        for _ in range(flows):
            connection = socket.create_connection((address, port), timeout=30)
            connection.sendall(direction[:1].encode())
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_READ if direction == "down" else selectors.EVENT_WRITE)
        while (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(min(left, 0.2)):
                peer = key.fileobj
                assert isinstance(peer, socket.socket)
                moved += len(peer.recv(65_536)) if direction == "down" else peer.send(CHUNK)
        for key in list(selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                _abort(key.fileobj)
    return {"bytes": moved, "seconds": seconds}


def _abort(connection: socket.socket) -> None:
    """Close with RST: what still stands in the queues must not go on flowing into the next measurement."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def ping(address: str, seconds: float) -> list[float | None]:
    """ICMP echo ten times a second; a lost one is None."""
    sent: dict[int, float] = {}
    times: dict[int, float] = {}
    identity = os.getpid() & 0xFFFF
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        start = time.monotonic()
        sequence = 0
        while (now := time.monotonic()) < start + seconds + 1.0:
            if now < start + seconds and now >= start + sequence * PING_INTERVAL_S:
                sequence += 1
                sent[sequence] = time.monotonic()
                raw.sendto(_echo(identity, sequence), (address, 0))
            raw.settimeout(0.01)
            try:
                packet = raw.recv(2_048)
            except TimeoutError:
                continue
            arrived = time.monotonic()
            kind, _, _, number, order = struct.unpack("!BBHHH", packet[20:28])
            if kind == 0 and number == identity and order in sent and order not in times:
                times[order] = (arrived - sent[order]) * 1_000
            if len(times) == sequence and now >= start + seconds:
                break
    return [times.get(order) for order in sorted(sent)]


def _echo(identity: int, sequence: int) -> bytes:
    body = bytes(56)
    head = struct.pack("!BBHHH", 8, 0, 0, identity, sequence)
    total = sum(struct.unpack(f"!{(len(head) + len(body)) // 2}H", head + body))
    total = (total >> 16) + (total & 0xFFFF)
    return struct.pack("!BBHHH", 8, 0, ~(total + (total >> 16)) & 0xFFFF, identity, sequence) + body


def main(words: list[str]) -> None:
    match words:
        case ["serve", address, port]:
            serve(address, int(port))
        case [("down" | "up") as direction, address, port, seconds, flows]:
            print(json.dumps(load(direction, address, int(port), float(seconds), int(flows))))
        case ["ping", address, seconds]:
            print(json.dumps(ping(address, float(seconds))))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
