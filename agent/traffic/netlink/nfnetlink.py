"""Requests of nf_tables and their answers, of our own: pyroute2's would load modules that nothing else here needs.

Used by nftables.py and device_counters.py, in the kernel's thread.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterable, Iterator

NETLINK_NETFILTER = 12
NLMSG_ERROR, NLMSG_DONE = 2, 3
REQUEST, ACK, DUMP, CREATE, APPEND = 0x1, 0x4, 0x300, 0x400, 0x800  # NLM_F_*
SUBSYSTEM = 10  # NFNL_SUBSYS_NFTABLES
BATCH_BEGIN, BATCH_END = 0x10, 0x11
NEWTABLE, NEWCHAIN, NEWRULE, GETRULE, NEWSET, GETSETELEM = (SUBSYSTEM << 8 | kind for kind in (0, 3, 6, 7, 9, 13))
NFPROTO_UNSPEC, NFPROTO_INET = 0, 1
NLA_F_NESTED, NLA_TYPE_MASK = 0x8000, 0x3FFF
TABLE_OWNER = 0x2
LATE = 1_000  # priority: after every filter
NAME_BYTES = 16  # IFNAMSIZ

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_FAMILY = struct.Struct(">BBH")  # nfgenmsg: family, version, resource
_ATTRIBUTE = struct.Struct("=HH")

# What the attributes are called in linux/netfilter/nf_tables.h.
TABLE_NAME, TABLE_FLAGS = 1, 2
CHAIN_TABLE, CHAIN_NAME, CHAIN_HOOK, CHAIN_TYPE = 1, 3, 4, 7
HOOK_HOOKNUM, HOOK_PRIORITY = 1, 2
RULE_TABLE, RULE_CHAIN, RULE_EXPRESSIONS = 1, 2, 4
LIST_ELEM, EXPR_NAME, EXPR_DATA = 1, 1, 2
META_DREG, META_KEY = 1, 2
PAYLOAD_DREG, PAYLOAD_BASE, PAYLOAD_OFFSET, PAYLOAD_LEN = 1, 2, 3, 4
CMP_SREG, CMP_OP, CMP_DATA, DATA_VALUE = 1, 2, 3, 1
COUNTER_BYTES = 1
IIFNAME, OIFNAME, IIFTYPE, NFPROTO, L4PROTO = 6, 7, 8, 15, 16  # NFT_META_*
TRANSPORT_HEADER, REGISTER, EQUAL = 2, 1, 0

Request = tuple[int, int, bytes]  # kind, flags, attributes


# -- what is asked -------------------------------------------------------------------------------------------------


def meta(key: int) -> bytes:
    return expression("meta", (META_DREG, REGISTER), (META_KEY, key))


def equal(value: bytes) -> bytes:
    data = nested(CMP_DATA, attribute(DATA_VALUE, value))
    return expression("cmp", (CMP_SREG, REGISTER), (CMP_OP, EQUAL), more=data)


def expression(name: str, *numbers: tuple[int, int], more: bytes = b"") -> bytes:
    data = b"".join(attribute(kind, u32(value)) for kind, value in numbers) + more
    return nested(LIST_ELEM, attribute(EXPR_NAME, text(name)) + nested(EXPR_DATA, data))


def message(
    kind: int, flags: int, number: int, body: bytes = b"", *, family: int = NFPROTO_UNSPEC, resource: int = 0
) -> bytes:
    length = _HEADER.size + _FAMILY.size + len(body)
    return _HEADER.pack(length, kind, flags, number, 0) + _FAMILY.pack(family, 0, resource) + body


def attribute(kind: int, value: bytes) -> bytes:
    padding = bytes(-len(value) % 4)
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + padding


def nested(kind: int, value: bytes) -> bytes:
    return attribute(kind | NLA_F_NESTED, value)


def text(value: str) -> bytes:
    return value.encode() + b"\0"


def u32(value: int) -> bytes:
    return value.to_bytes(4, "big")


# -- what is answered ----------------------------------------------------------------------------------------------


def body_of(message: bytes) -> bytes:
    """A message's attributes, behind the family."""
    return message[_FAMILY.size :]


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place + _ATTRIBUTE.size <= len(data):
        size, kind = _ATTRIBUTE.unpack_from(data, place)
        if size < _ATTRIBUTE.size:
            raise OSError(errno.EBADMSG, "an attribute of no length")
        yield kind & NLA_TYPE_MASK, data[place + _ATTRIBUTE.size : place + size]
        place += (size + 3) & ~3


def _answered(connection: socket.socket, number: int) -> None:
    """Wait for the answer to a request; OSError for the first that was refused, which undoes the whole batch."""
    for kind, answered, body in _received(connection):
        code = _code(body) if kind == NLMSG_ERROR else 0
        if code:
            raise OSError(code, os.strerror(code))
        if kind == NLMSG_ERROR and answered == number:
            return


def _dumped(connection: socket.socket) -> Iterator[bytes]:
    """The messages of a dump, without their headers."""
    for kind, _, body in _received(connection):
        if kind == NLMSG_DONE:
            return
        if kind == NLMSG_ERROR:
            raise OSError(_code(body), os.strerror(_code(body)))
        yield body


def _received(connection: socket.socket) -> Iterator[tuple[int, int, bytes]]:
    """Type, number and body of each message that comes, until the caller has enough."""
    while True:
        data, place = connection.recv(1 << 16), 0
        while place + _HEADER.size <= len(data):
            length, kind, _, number, _ = _HEADER.unpack_from(data, place)
            if length < _HEADER.size:
                raise OSError(errno.EBADMSG, "an answer of no length")
            yield kind, number, data[place + _HEADER.size : place + length]
            place += (length + 3) & ~3


def _code(body: bytes) -> int:
    """The errno that an answer carries, 0 for a plain acknowledgement."""
    return -int(struct.unpack_from("=i", body)[0])


# -- a table of our own --------------------------------------------------------------------------------------------


class OwnedTable:
    """A table that belongs to the socket that made it (Linux 5.12): nobody else can flush it, and it goes with the
    socket, after a crash too, so that nothing is counted twice and nothing stays behind. One thread only.

    `body(name)` are the requests that fill it: (kind, flags, attributes).
    """

    def __init__(self, prefix: str, body: Callable[[str], Iterable[Request]]) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        try:
            self._socket.settimeout(10)  # the kernel answers before send() returns; loading modules is part of it
            self._socket.bind((0, 0))
            # Of its own: other agents may run in the same namespace.
            self.name = f"{prefix}-{self._socket.getsockname()[0]}"
            messages = batch(self.name, body(self.name))
            self._socket.send(b"".join(messages))
            _answered(self._socket, len(messages) - 2)  # the last before the batch's end
        except OSError:
            self._socket.close()
            raise

    def dump(self, kind: int, body: bytes, *, family: int = NFPROTO_UNSPEC) -> Iterator[bytes]:
        """The messages of a dump, without their headers."""
        self._socket.send(message(kind, REQUEST | DUMP, 0, body, family=family))
        yield from _dumped(self._socket)

    def close(self) -> None:
        """The table goes with its socket."""
        self._socket.close()


def batch(name: str, body: Iterable[Request]) -> list[bytes]:
    """The batch that makes a table and fills it, numbered from 0; the last message within it is answered."""
    owned = attribute(TABLE_NAME, text(name)) + attribute(TABLE_FLAGS, u32(TABLE_OWNER))
    requests = [(NEWTABLE, CREATE, owned), *body]
    last = len(requests)
    out = [message(BATCH_BEGIN, REQUEST, 0, resource=SUBSYSTEM)]
    for number, (kind, flags, parts) in enumerate(requests, 1):
        acknowledged = ACK if number == last else 0
        out.append(message(kind, REQUEST | flags | acknowledged, number, parts, family=NFPROTO_INET))
    return [*out, message(BATCH_END, REQUEST, last + 1, resource=SUBSYSTEM)]


def chain(name: str, chain_name: str, hook: int) -> Request:
    """A chain that only looks, after every filter: what a firewall drops is counted by nobody."""
    place = attribute(HOOK_HOOKNUM, u32(hook)) + attribute(HOOK_PRIORITY, u32(LATE))
    parts = [(CHAIN_TABLE, text(name)), (CHAIN_NAME, text(chain_name)), (CHAIN_TYPE, text("filter"))]
    return NEWCHAIN, CREATE, b"".join(attribute(*part) for part in parts) + nested(CHAIN_HOOK, place)


def rule(name: str, chain_name: str, expressions: bytes) -> Request:
    """One more rule at the end of a chain."""
    place = attribute(RULE_TABLE, text(name)) + attribute(RULE_CHAIN, text(chain_name))
    return NEWRULE, CREATE | APPEND, place + nested(RULE_EXPRESSIONS, expressions)
