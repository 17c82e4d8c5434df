"""Ping and traceroute without a privilege and without a program: ICMP echo sockets and the UDP error queue of Linux.

Blocking; for worker threads. Every wait has a deadline.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import time
from dataclasses import dataclass

from agent.errors import AgentError
from agent.net.spending import Spent
from agent.net.wire_cost import Cost

IP_RECVERR, MSG_ERRQUEUE = 11, 0x2000  # linux/in.h, linux/socket.h; the socket module names neither
IPPROTO_ICMPV6 = 58
FIRST_PORT = 33_434  # traceroute's
PROBE_BYTES, UDP_HEADER_BYTES, ICMP_HEADER_BYTES = 32, 8, 8


@dataclass(frozen=True, slots=True)
class Address:
    family: socket.AddressFamily
    host: str


def resolve(host: str, *, ipv4_only: bool = False) -> Address:
    """The first address of a name, which is then asked, whatever the name leads to later. Raises AgentError."""
    try:
        family = socket.AF_INET if ipv4_only else socket.AF_UNSPEC
        found = socket.getaddrinfo(host, None, family, socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise AgentError(f"{host}: {getattr(error, 'strerror', None) or error}") from error
    return Address(found[0][0], str(found[0][4][0]))


def _echo_socket(family: socket.AddressFamily) -> tuple[socket.socket, bool]:
    """An ICMP socket, and whether the kernel hands over the IP header too (raw sockets do on IPv4)."""
    protocol = socket.IPPROTO_ICMP if family == socket.AF_INET else IPPROTO_ICMPV6
    try:
        return socket.socket(family, socket.SOCK_DGRAM, protocol), False
    except OSError as error:  # net.ipv4.ping_group_range keeps this user out
        try:
            return socket.socket(family, socket.SOCK_RAW, protocol), family == socket.AF_INET
        except OSError:
            raise AgentError(
                f"ICMP echo is not permitted: {error.strerror}; allow it in net.ipv4.ping_group_range"
            ) from error


def _ip_header_bytes(family: int) -> int:
    return 20 if family == socket.AF_INET else 40


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    total = 0
    for (word,) in struct.iter_unpack("!H", data + b"\0" * (len(data) % 2)):
        total += int(word)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo(address: Address, spent: Spent, *, number: int, timeout_s: float, size_bytes: int = 56) -> float | None:
    """One echo request; milliseconds to its reply, None when there was none in time. Raises AgentError, OSError."""
    made, with_header = _echo_socket(address.family)
    request_type, reply_type = (8, 0) if address.family == socket.AF_INET else (128, 129)
    identifier = os.getpid() & 0xFFFF
    token = os.urandom(8)
    body = token + b"\0" * max(0, size_bytes - len(token))
    head = struct.pack("!BBHHH", request_type, 0, 0, identifier, number)
    if address.family == socket.AF_INET:  # the kernel sums ICMPv6 itself, and ping sockets in any case
        head = struct.pack("!BBHHH", request_type, 0, _checksum(head + body), identifier, number)
    with made:
        began = time.monotonic()
        made.sendto(head + body, (address.host, 0))
        size = _ip_header_bytes(address.family) + len(head) + len(body)
        spent.add(Cost(sent_bytes=size))
        while (left_s := began + timeout_s - time.monotonic()) > 0:
            made.settimeout(left_s)
            try:
                answer = made.recv(2048)
            except TimeoutError:
                return None
            if with_header:
                answer = answer[(answer[0] & 0x0F) * 4 :]
            # The identifier is the kernel's own on ping sockets; number and token say that it is our reply.
            if answer[:1] == bytes([reply_type]) and answer[6:8] == head[6:8] and answer[8:16] == token:
                spent.add(Cost(received_bytes=size))
                return (time.monotonic() - began) * 1000
    return None


@dataclass(frozen=True, slots=True)
class Hop:
    """Who answered for one TTL; host is empty when nobody did."""

    host: str
    ms: float | None
    reached: bool = False


def hop(host: str, spent: Spent, ttl: int, *, timeout_s: float) -> Hop:
    """One step of a traceroute on IPv4: a UDP datagram with this TTL, and who complains about it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        probe.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        probe.connect((host, FIRST_PORT + ttl))
        began = time.monotonic()
        probe.send(b"\0" * PROBE_BYTES)
        size = _ip_header_bytes(socket.AF_INET) + UDP_HEADER_BYTES + PROBE_BYTES
        spent.add(Cost(sent_bytes=size))
        waiting = select.poll()
        waiting.register(probe, 0)  # POLLERR is always reported: something stands in the error queue
        if not waiting.poll(timeout_s * 1000):
            return Hop("", None)
        took_ms = (time.monotonic() - began) * 1000
        # The complaint quotes the datagram (RFC 1812, 4.3.2.3) behind headers of its own.
        spent.add(Cost(received_bytes=_ip_header_bytes(socket.AF_INET) + ICMP_HEADER_BYTES + size))
        try:
            _, control, _, _ = probe.recvmsg(512, 512, MSG_ERRQUEUE)
        except OSError as error:
            if error.errno == errno.EAGAIN:
                return Hop("", None)
            raise
    for level, kind, data in control:
        if level == socket.IPPROTO_IP and kind == IP_RECVERR:
            return _offender(data, took_ms)
    return Hop("", None)


def _offender(data: bytes, took_ms: float) -> Hop:
    """struct sock_extended_err, then the address of who sent the ICMP error."""
    icmp_type = data[5]
    family = struct.unpack_from("=H", data, 16)[0] if len(data) >= 24 else 0
    host = socket.inet_ntoa(data[20:24]) if family == socket.AF_INET else ""
    return Hop(host, took_ms, reached=icmp_type == 3)  # 3: unreachable port, so the packet arrived
