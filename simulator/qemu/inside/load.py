"""Datagrams both ways over the device's mobile link, more than it may carry: `python3 -m … load FOLDER` in the guest.

Runs until FOLDER has a file `stop`, then leaves in `load.json` what came through. Each direction is read at its far
end: what arrives there has passed the shaper, or the gap where one should have been. Root, in a device guest only.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from pathlib import Path

from simulator.demo.network import inside
from simulator.qemu.inside import network

RATE_BPS = 1_000_000  # offered in each direction; more costs an emulated processor much and shows no more
_PORT, _PAYLOAD = 9, 1_372
DATAGRAM_BYTES = _PAYLOAD + 28  # with the headers of UDP and IP, which the shaper counts too
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h; the socket module lacks it
_ROOM_BYTES = 8 << 20  # for what arrives while the reader waits for a slow machine's processor


class Direction:
    """One sender and one receiver, each a thread, until stopped."""

    def __init__(self, source: socket.socket, sink: socket.socket, to: str) -> None:
        self._source, self._sink, self._to = source, sink, to
        self._going = True
        self.passed_bytes = 0
        self.longest_pause_s = 0.0
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._send, self._receive)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        self._source.setblocking(False)  # a link that takes nothing more would hold the sender for ever
        began, sent, datagram = time.monotonic(), 0, os.urandom(_PAYLOAD)
        while self._going:
            if sent < (time.monotonic() - began) * RATE_BPS / 8:
                try:
                    self._source.sendto(datagram, (self._to, _PORT))
                except OSError:  # its queue is full
                    time.sleep(0.01)
                sent += DATAGRAM_BYTES
            else:
                time.sleep(0.02)

    def _receive(self) -> None:
        self._sink.settimeout(0.2)
        last = None
        while self._going:
            try:
                self._sink.recv(_PAYLOAD)
            except TimeoutError:
                continue
            now = time.monotonic()
            self.longest_pause_s = max(self.longest_pause_s, now - (last or now))
            last = now
            self.passed_bytes += DATAGRAM_BYTES

    def stop(self) -> None:
        self._going = False
        for thread in self._threads:
            thread.join(10)


def _ends(address: str) -> tuple[socket.socket, socket.socket]:
    """A socket that sends, and one that listens at this address, of the namespace that this thread is in."""
    source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM_BYTES)
    sink.bind((address, _PORT))
    return source, sink


def main() -> None:
    folder = Path(sys.argv[1])
    device_source, device_sink = _ends(network.DEVICE)
    with inside(network.NAMESPACE):
        operator_source, operator_sink = _ends(network.OPERATOR)
    began = time.monotonic()
    directions = {
        "down": Direction(operator_source, device_sink, network.DEVICE),
        "up": Direction(device_source, operator_sink, network.OPERATOR),
    }
    while not (folder / "stop").exists():
        time.sleep(0.1)
    seconds = time.monotonic() - began
    for direction in directions.values():
        direction.stop()
    found = {
        name: {"passed_bytes": direction.passed_bytes, "longest_pause_s": round(direction.longest_pause_s, 3)}
        for name, direction in directions.items()
    }
    (folder / "load.new").write_text(json.dumps({"seconds": round(seconds, 3), **found}))
    (folder / "load.new").replace(folder / "load.json")


if __name__ == "__main__":
    main()
