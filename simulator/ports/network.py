"""The packets of dial-up connections, as a TUN device in a network namespace, whose content is the operator's network.

The namespace is made beforehand (`ip netns add NAME`). The device's end has the gateway's address, the client's is
routed to it; whatever else the namespace has, forwards or answers is found by the client as its operator's.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import ipaddress
import os
import struct
import subprocess
from collections.abc import Callable

from simulator.errors import SimulatorError
from simulator.modem.ppp import Offer
from simulator.ports.host import Host

# <linux/if_tun.h>, Documentation/networking/tuntap.rst
_TUNSETIFF = 0x400454CA
_TUN, _WITHOUT_HEADER = 0x0001, 0x1000
_LARGEST = 65_536


class NamespaceNetwork:
    """A simulator.modem.data_call.Network. Root, as whoever makes devices and enters namespaces has to be."""

    def __init__(self, host: Host, namespace: str) -> None:
        self._host, self._namespace = host, namespace
        self._calls: dict[bytes, Callable[[bytes], None]] = {}
        try:
            self._tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise SimulatorError(f"--network {namespace}: /dev/net/tun: {error.strerror}") from error
        try:
            made = fcntl.ioctl(self._tun, _TUNSETIFF, struct.pack("16sH22x", b"modem%d", _TUN | _WITHOUT_HEADER))
            self.device = made[:16].rstrip(b"\0").decode()
            self._ip("link", "set", self.device, "netns", namespace)
            self._ip("-n", namespace, "link", "set", self.device, "up")
        except BaseException as error:
            os.close(self._tun)
            if isinstance(error, OSError):
                raise SimulatorError(f"--network {namespace}: {error.strerror}") from error
            raise
        host.call(lambda: host.loop.add_reader(self._tun, self._readable))

    def _ip(self, *words: str) -> None:
        done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SimulatorError(f"--network {self._namespace}: ip {' '.join(words)}: {done.stderr.strip()}")

    def join(self, offer: Offer, deliver: Callable[[bytes], None]) -> None:
        self._calls[ipaddress.ip_address(offer.address).packed] = deliver
        ends = (offer.gateway, "peer", offer.address)
        self._ip("-n", self._namespace, "address", "add", *ends, "dev", self.device)

    def leave(self, offer: Offer) -> None:
        if self._calls.pop(ipaddress.ip_address(offer.address).packed, None) is not None:
            ends = (offer.gateway, "peer", offer.address)
            self._ip("-n", self._namespace, "address", "delete", *ends, "dev", self.device)

    def send(self, packet: bytes) -> None:
        with contextlib.suppress(OSError):  # no IP packet, or the namespace is gone: the network drops it
            os.write(self._tun, packet)

    def _readable(self) -> None:
        try:
            packet = os.read(self._tun, _LARGEST)
        except OSError as error:
            if error.errno != errno.EAGAIN:  # the device went with its namespace
                self._host.loop.remove_reader(self._tun)
            return
        deliver = self._calls.get(packet[16:20]) if packet[0] >> 4 == 4 else None  # RFC 791 3.1: destination
        if deliver is not None:
            deliver(packet)

    def close(self) -> None:
        self._host.call(lambda: self._host.loop.remove_reader(self._tun))
        os.close(self._tun)
