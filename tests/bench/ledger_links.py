"""The three sorts of WAN link that the ledger's benches send real frames over. Used by ledger_line.py.

A veth loses its peer before it is deleted, and with it what it had received; tap and tun are as the links of real
modules, whose deletion carries both counters: tap as an Ethernet-like one (ECM, NCM), tun as raw IP (QMI, MBIM).
Every octet is counted as it is sent, so what passed is known without asking the kernel.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess

ETHERNET = b"\x02\0\0\0\0\x01" + b"\x02\0\0\0\0\x02" + b"\x88\xb5"  # IEEE 802 local experimental: nobody answers it
IPV4 = b"\x45" + bytes(19)  # not a packet that any host takes, but one by its first octet
MTU = "65500"
ETH_P_IP = 0x0800
TUNSETIFF, IFF_TUN, IFF_TAP, IFF_NO_PI = 0x400454CA, 1, 2, 0x1000


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def packet_socket(name: str, protocol: int = 0) -> socket.socket:
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind((name, protocol))
    return raw


class Veth:
    """A pair; frames are received from its far end."""

    header = ETHERNET
    tells_received = False  # whether its deletion carries what it had received

    def __init__(self, name: str) -> None:
        ip("link", "add", name, "mtu", MTU, "type", "veth", "peer", "name", "far0", "mtu", MTU)
        ip("link", "set", "far0", "up")

    def open(self, name: str) -> None:
        self._near, self._far = packet_socket(name), packet_socket("far0")

    def close(self) -> None:
        self._near.close()
        self._far.close()

    def delete(self, name: str) -> None:
        ip("link", "del", name)

    def receive(self, frame: bytes) -> None:
        self._far.send(frame)

    def send(self, frame: bytes) -> None:
        self._near.send(frame)


class Tap:
    """An Ethernet device whose wire is this process; it goes when its file is closed."""

    header = ETHERNET
    tells_received = True
    mode, protocol = IFF_TAP, 0

    def __init__(self, name: str) -> None:
        self._wire = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        fcntl.ioctl(self._wire, TUNSETIFF, struct.pack("16sH22x", name.encode(), self.mode | IFF_NO_PI))
        ip("link", "set", name, "mtu", MTU)

    def open(self, name: str) -> None:
        self._near = packet_socket(name, self.protocol)

    def close(self) -> None:
        self._near.close()

    def delete(self, name: str) -> None:
        os.close(self._wire)

    def receive(self, frame: bytes) -> None:
        os.write(self._wire, frame)

    def send(self, frame: bytes) -> None:
        """Counted by the kernel when the wire takes it."""
        self._near.send(frame)
        os.read(self._wire, 1 << 16)


class Tun(Tap):
    """The same without Ethernet: a frame is an IP packet."""

    header = b""
    mode, protocol = IFF_TUN, socket.htons(ETH_P_IP)


Link = Veth | Tap


def kinds() -> tuple[type[Veth] | type[Tap], ...]:
    """The sorts that this machine lets us make."""
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError:
        return (Veth,)
    return Veth, Tap, Tun
