"""One question to a name server (RFC 1035), so that support sees which server answers what and how fast.

Blocking; for worker threads.
"""

from __future__ import annotations

import random
import socket
import struct
import time
from dataclasses import dataclass

from agent.errors import AgentError

TYPES = {"A": 1, "AAAA": 28}
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}


@dataclass(frozen=True, slots=True)
class Answer:
    server: str
    rcode: str
    addresses: tuple[str, ...]
    ms: float


def question(name: str, kind: str, number: int) -> bytes:
    """A recursive query of one name. Raises AgentError."""
    try:
        labels = [label for label in name.encode("idna").split(b".") if label]
    except UnicodeError:
        raise AgentError(f"{name[:80]!r} is no host name") from None
    if not labels or any(len(label) > 63 for label in labels):
        raise AgentError(f"{name[:80]!r} is no host name")
    packed = b"".join(bytes([len(label)]) + label for label in labels)
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + packed + b"\0" + struct.pack(">2H", TYPES[kind], 1)


def read_answer(data: bytes, kind: str) -> tuple[str, tuple[str, ...]]:
    """Result code and addresses. Raises AgentError on what is no answer."""
    try:
        _, flags, questions, answers, _, _ = struct.unpack_from(">6H", data)
        offset = 12
        for _ in range(questions):
            offset = _skip_name(data, offset) + 4
        found = []
        for _ in range(answers):
            offset = _skip_name(data, offset)
            record, _, _, length = struct.unpack_from(">HHIH", data, offset)
            offset += 10
            if record == TYPES[kind]:
                family = socket.AF_INET if kind == "A" else socket.AF_INET6
                found.append(socket.inet_ntop(family, data[offset : offset + length]))
            offset += length
    except (struct.error, ValueError, IndexError):
        raise AgentError("the name server's answer is malformed") from None
    return RCODES.get(flags & 0x0F, f"rcode {flags & 0x0F}"), tuple(found)


def _skip_name(data: bytes, offset: int) -> int:
    while True:
        length = data[offset]
        if length == 0:
            return offset + 1
        if length & 0xC0 == 0xC0:  # a pointer ends the name
            return offset + 2
        offset += length + 1


def ask(server: str, name: str, kind: str, *, timeout_s: float) -> Answer:
    """Ask one server, twice. Raises AgentError."""
    number = random.randrange(65_536)
    query = question(name, kind, number)
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    began = time.monotonic()
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect((server, 53))
            for _ in range(2):
                asking.settimeout(timeout_s / 2)
                asking.send(query)
                try:
                    data = asking.recv(4096)
                except TimeoutError:
                    continue
                if data[:2] == query[:2]:
                    rcode, addresses = read_answer(data, kind)
                    return Answer(server, rcode, addresses, (time.monotonic() - began) * 1000)
    except OSError as error:
        raise AgentError(f"{server}: {error.strerror or error}") from error
    raise AgentError(f"{server}: no answer within {timeout_s:g} s")
