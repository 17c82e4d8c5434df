"""How many bytes of DNS and NTP this device itself has exchanged over its WAN links, by two chains of nf_tables.

Used by thread.py alone, in its thread. The chains hang on the hooks of local input and output, so they see what the
device asks and is answered, and never what it forwards for the household; they count whatever the qdiscs are, and
without any. They decide nothing. The table belongs to the socket that made it (Linux 5.12): nobody else can flush it,
and it goes with the socket, after a crash too, so that nothing is counted twice and nothing stays behind.

A few requests of our own: pyroute2's nftables would load modules that nothing else here needs.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.errors import KernelError
from agent.traffic.model import Management

NETLINK_NETFILTER = 12
NLMSG_ERROR, NLMSG_DONE = 2, 3
REQUEST, ACK, DUMP, CREATE, APPEND = 0x1, 0x4, 0x300, 0x400, 0x800  # NLM_F_*
SUBSYSTEM = 10  # NFNL_SUBSYS_NFTABLES
BATCH_BEGIN, BATCH_END = 0x10, 0x11
NEWTABLE, NEWCHAIN, NEWRULE, GETRULE = (SUBSYSTEM << 8 | kind for kind in (0, 3, 6, 7))
NFPROTO_UNSPEC, NFPROTO_INET = 0, 1
NLA_F_NESTED, NLA_TYPE_MASK = 0x8000, 0x3FFF
TABLE_OWNER = 0x2
LATE = 1_000  # priority: after every filter; what a firewall drops is nobody's name or time
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
IIFNAME, OIFNAME, L4PROTO = 6, 7, 16  # NFT_META_*
TRANSPORT_HEADER, REGISTER, EQUAL = 2, 1, 0


@dataclass(frozen=True, slots=True)
class Chain:
    """One direction: where it is counted, and where the far end's port stands."""

    name: str
    hook: int  # NF_INET_LOCAL_IN, NF_INET_LOCAL_OUT
    ifname_key: int
    port_offset: int


CHAINS = (Chain("received", 1, IIFNAME, 0), Chain("sent", 3, OIFNAME, 2))
TCP, UDP = 6, 17
COUNTED = ((UDP, 53), (TCP, 53), (UDP, 123))  # DNS, and NTP


class NamesTable:
    """The table of one process, from the first reading to the last. One thread only."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._ifnames: tuple[str, ...] = ()
        self._told = Management()

    def more(self, ifnames: tuple[str, ...]) -> Management:
        """IP bytes since the last call; from now on over the links of these names. A link that has gone stays meant:
        it mostly comes back. KernelError where the kernel refuses, and the next call begins anew."""
        try:
            since = self._since() if self._socket else Management()
            if not set(ifnames) <= set(self._ifnames):
                self.close()
                self._open(ifnames)
        except OSError as error:
            self.close()
            raise KernelError("counting names and time", error.errno, error.strerror or str(error)) from error
        return since

    def close(self) -> None:
        """The table goes with its socket."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._ifnames, self._told = None, (), Management()

    def _open(self, ifnames: tuple[str, ...]) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        self._socket.settimeout(10)  # the kernel answers before send() returns; loading modules is part of it
        self._socket.bind((0, 0))
        messages = table(self._name(), ifnames)
        self._socket.send(b"".join(messages))
        _answered(self._socket, len(messages) - 2)  # the last before the batch's end
        self._ifnames = ifnames

    def _name(self) -> str:
        """Of its own: other agents may run in the same namespace."""
        assert self._socket is not None
        return f"modem-agent-{self._socket.getsockname()[0]}"

    def _since(self) -> Management:
        assert self._socket is not None
        self._socket.send(_message(GETRULE, REQUEST | DUMP, 0, _attribute(RULE_TABLE, _text(self._name()))))
        counts = dict.fromkeys((chain.name for chain in CHAINS), 0)
        for message in _dumped(self._socket):
            name, octets = count(message)
            counts[name] += octets
        before = self._told  # a dump that another change of the rules cut short tells less, never more
        received = max(before.received_bytes, counts["received"])
        sent = max(before.sent_bytes, counts["sent"])
        self._told = Management(received, sent)
        return Management(received - before.received_bytes, sent - before.sent_bytes)


# -- what is asked -------------------------------------------------------------------------------------------------


def table(name: str, ifnames: Sequence[str]) -> list[bytes]:
    """The batch that makes the table, numbered from 0; the last message within it is answered."""
    requests = [(NEWTABLE, CREATE, _attribute(TABLE_NAME, _text(name)) + _attribute(TABLE_FLAGS, _u32(TABLE_OWNER)))]
    for chain in CHAINS:
        hook = _attribute(HOOK_HOOKNUM, _u32(chain.hook)) + _attribute(HOOK_PRIORITY, _u32(LATE))
        attributes = [(CHAIN_TABLE, _text(name)), (CHAIN_NAME, _text(chain.name)), (CHAIN_TYPE, _text("filter"))]
        body = b"".join(_attribute(*a) for a in attributes) + _nested(CHAIN_HOOK, hook)
        requests.append((NEWCHAIN, CREATE, body))
    for ifname in ifnames:
        for chain in CHAINS:
            requests += [(NEWRULE, CREATE | APPEND, _rule(name, chain, ifname, *counted)) for counted in COUNTED]
    last = len(requests)
    batch = [_message(BATCH_BEGIN, REQUEST, 0, resource=SUBSYSTEM)]
    for number, (kind, flags, body) in enumerate(requests, 1):
        acknowledged = ACK if number == last else 0
        batch.append(_message(kind, REQUEST | flags | acknowledged, number, body, family=NFPROTO_INET))
    return [*batch, _message(BATCH_END, REQUEST, last + 1, resource=SUBSYSTEM)]


def _rule(name: str, chain: Chain, ifname: str, protocol: int, port: int) -> bytes:
    port_in_header = _expression(
        "payload",
        (PAYLOAD_DREG, REGISTER), (PAYLOAD_BASE, TRANSPORT_HEADER),
        (PAYLOAD_OFFSET, chain.port_offset), (PAYLOAD_LEN, 2),
    )  # fmt: skip
    expressions = (
        _meta(chain.ifname_key) + _equal(ifname.encode().ljust(NAME_BYTES, b"\0"))
        + _meta(L4PROTO) + _equal(bytes([protocol]))
        + port_in_header + _equal(port.to_bytes(2, "big"))
        + _expression("counter")
    )  # fmt: skip
    place = _attribute(RULE_TABLE, _text(name)) + _attribute(RULE_CHAIN, _text(chain.name))
    return place + _nested(RULE_EXPRESSIONS, expressions)


def _meta(key: int) -> bytes:
    return _expression("meta", (META_DREG, REGISTER), (META_KEY, key))


def _equal(value: bytes) -> bytes:
    data = _nested(CMP_DATA, _attribute(DATA_VALUE, value))
    return _expression("cmp", (CMP_SREG, REGISTER), (CMP_OP, EQUAL), more=data)


def _expression(name: str, *numbers: tuple[int, int], more: bytes = b"") -> bytes:
    data = b"".join(_attribute(kind, _u32(value)) for kind, value in numbers) + more
    return _nested(LIST_ELEM, _attribute(EXPR_NAME, _text(name)) + _nested(EXPR_DATA, data))


def _message(
    kind: int, flags: int, number: int, body: bytes = b"", *, family: int = NFPROTO_UNSPEC, resource: int = 0
) -> bytes:
    length = _HEADER.size + _FAMILY.size + len(body)
    return _HEADER.pack(length, kind, flags, number, 0) + _FAMILY.pack(family, 0, resource) + body


def _attribute(kind: int, value: bytes) -> bytes:
    padding = bytes(-len(value) % 4)
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + padding


def _nested(kind: int, value: bytes) -> bytes:
    return _attribute(kind | NLA_F_NESTED, value)


def _text(value: str) -> bytes:
    return value.encode() + b"\0"


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "big")


# -- what is answered ----------------------------------------------------------------------------------------------


def count(message: bytes) -> tuple[str, int]:
    """Chain of one rule and the bytes that it has counted, from the message without its header."""
    found = dict(_attributes(message[_FAMILY.size :]))
    octets = 0
    for _, expression in _attributes(found.get(RULE_EXPRESSIONS, b"")):
        said = dict(_attributes(expression))
        if said.get(EXPR_NAME) == _text("counter"):
            octets += int.from_bytes(dict(_attributes(said[EXPR_DATA])).get(COUNTER_BYTES, b""), "big")
    return found[RULE_CHAIN].rstrip(b"\0").decode(), octets


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
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
