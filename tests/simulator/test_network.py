"""serve --network: what a dial-up client sends arrives in a network namespace, and what is there answers it."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import select
import socket
import struct
import subprocess
import time
from collections.abc import Iterator

import pytest

import simulator
from simulator.errors import SimulatorError
from simulator.modem import ppp

HOST = "192.0.2.1"  # RFC 5737: for examples


@pytest.fixture
def namespace() -> Iterator[str]:
    """One with a single host in it."""
    name = f"modem-sim-test-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode or not os.access("/dev/net/tun", os.W_OK):
        pytest.skip(f"root: a network namespace and a TUN device need it ({made.stderr.strip()})")
    try:
        for words in (("link", "set", "lo", "up"), ("address", "add", f"{HOST}/32", "dev", "lo")):
            subprocess.run(["ip", "-n", name, *words], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


class Line:
    """A client's end of PPP on a terminal, which agrees to whatever it is offered."""

    def __init__(self, path: str) -> None:
        self.port = os.open(path, os.O_RDWR | os.O_NOCTTY)
        self._rest = b""
        os.write(self.port, b"ATD*99#\r")
        limit = time.monotonic() + 20
        while b"CONNECT 150000000\r\n" not in self._rest:
            assert time.monotonic() < limit
            self._read()
        self._rest = b""

    def _read(self) -> None:
        if select.select([self.port], [], [], 0.2)[0]:
            self._rest += os.read(self.port, 4096)

    def send(self, protocol: int, payload: bytes) -> None:
        os.write(self.port, ppp.framed(protocol, payload))

    def until(self, protocol: int, code: int | None = None) -> bytes:
        """The next packet of a protocol (with this code), requests acknowledged on the way."""
        limit = time.monotonic() + 20
        while time.monotonic() < limit:
            *frames, self._rest = self._rest.split(b"\x7e")
            for place, frame in enumerate(frames):
                found = ppp.unframed(frame) if frame else None
                if found is None:
                    continue
                if found[0] != ppp.IPV4 and found[1][0] == ppp.REQUEST:
                    self.send(found[0], bytes([ppp.ACK]) + found[1][1:])
                if found[0] == protocol and code in (None, found[1][0]):
                    self._rest = b"\x7e".join([*frames[place + 1 :], self._rest])
                    return found[1]
            self._read()
        raise AssertionError(f"no packet of {protocol:#x}")

    def agree(self) -> str:
        """The address."""
        self.send(ppp.LCP, b"\x01\x01\x00\x04")
        self.until(ppp.LCP, ppp.ACK)
        self.until(ppp.LCP, ppp.REQUEST)
        self.send(ppp.IPCP, b"\x01\x01\x00\x0a\x03\x06" + bytes(4))
        offered = self.until(ppp.IPCP, ppp.NAK)[4:]
        self.send(ppp.IPCP, b"\x01\x02\x00\x0a" + offered)
        self.until(ppp.IPCP, ppp.ACK)
        return str(ipaddress.ip_address(offered[2:]))


def checked(data: bytes) -> bytes:
    """RFC 1071."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF)


def ping(source: str, target: str) -> bytes:
    echo = b"\x08\x00%b\x00\x01\x00\x01" % checked(b"\x08\x00\x00\x00\x00\x01\x00\x01")
    head = [b"\x45\x00\x00\x1c\x00\x00\x00\x00\x40\x01", b"\0\0", socket.inet_aton(source) + socket.inet_aton(target)]
    head[1] = checked(b"".join(head))
    return b"".join(head) + echo


def addresses(namespace: str) -> str:
    listed = ["ip", "-n", namespace, "-4", "-o", "address", "show"]
    return subprocess.run(listed, capture_output=True, text=True, check=True).stdout


def test_a_client_is_answered_from_the_namespace(namespace: str) -> None:
    with simulator.serve("quectel-ec25", network=namespace) as running:
        line = Line(running.path)
        address = line.agree()
        assert address == running.modem.state.contexts[0].address
        assert f"peer {address}/32" in addresses(namespace)
        line.send(ppp.IPV4, ping(address, HOST))
        answer = line.until(ppp.IPV4)
        assert (answer[12:16], answer[16:20], answer[20]) == (socket.inet_aton(HOST), socket.inet_aton(address), 0)
        counters = running.modem.state.counters
        assert (counters.sent_bytes, counters.received_bytes) == (28, 28)
        os.close(line.port)
        limit = time.monotonic() + 20
        while "peer" in addresses(namespace) and time.monotonic() < limit:
            time.sleep(0.05)  # another thread's doing
        assert "peer" not in addresses(namespace)
    left = subprocess.run(["ip", "-n", namespace, "link"], capture_output=True, text=True, check=True).stdout
    assert "modem" not in left, "the device goes with the module"


def test_a_namespace_that_is_not_there_is_named() -> None:
    with contextlib.ExitStack() as stack, pytest.raises(SimulatorError, match="--network no-such-namespace: "):
        stack.enter_context(simulator.serve("quectel-ec25", network="no-such-namespace"))
