"""How many bytes each device of the household has sent and received over the WAN links, by dynamic sets of nf_tables.

Used by thread.py alone, in its thread. Two rules a family in a chain of the forward hook: what leaves by a WAN link is
counted by the Ethernet address and the IP address of its sender, what comes in by the IP address that it goes to. The
first tells whose the second is, so that no neighbour table is read. The forward hook sees nothing of the router itself.
The chain decides nothing.

A set is bounded, and forgets who was silent for an hour; a full one counts no newcomer and hinders nobody. What passes
by the forward hook (flow offload) is not counted.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.traffic.model import DeviceBytes
from agent.traffic.netlink.links_table import LinksTable
from agent.traffic.netlink.nfnetlink import (
    COUNTER_BYTES,
    CREATE,
    DATA_VALUE,
    EXPR_DATA,
    EXPR_NAME,
    GETSETELEM,
    IIFNAME,
    IIFTYPE,
    NAME_BYTES,
    NEWSET,
    NFPROTO,
    NFPROTO_INET,
    OIFNAME,
    PAYLOAD_BASE,
    PAYLOAD_DREG,
    PAYLOAD_LEN,
    PAYLOAD_OFFSET,
    OwnedTable,
    Request,
    attribute,
    attributes,
    body_of,
    chain,
    equal,
    expression,
    meta,
    nested,
    rule,
    text,
    u32,
)

# linux/netfilter/nf_tables.h
SET_TABLE, SET_NAME, SET_FLAGS, SET_KEY_TYPE, SET_KEY_LEN, SET_DESC, SET_ID, SET_TIMEOUT = 1, 2, 3, 4, 5, 9, 10, 11
SET_DESC_SIZE = 1
FLAG_TIMEOUT, FLAG_EVAL = 0x10, 0x20  # NFT_SET_*
DYNSET_SET_NAME, DYNSET_SET_ID, DYNSET_OP, DYNSET_SREG_KEY, DYNSET_EXPR = 1, 2, 3, 4, 7
OP_UPDATE = 1  # NFT_DYNSET_OP_UPDATE: adds, or begins the timeout anew
ELEM_TABLE, ELEM_SET, ELEM_ELEMENTS = 1, 2, 3  # NFTA_SET_ELEM_LIST_*
ELEM_KEY, ELEM_EXPR = 1, 7
LINK_HEADER, NETWORK_HEADER = 0, 1  # NFT_PAYLOAD_*
REG_1, REG32_2 = 1, 10  # NFT_REG_1 is NFT_REG32_00 (8); an Ethernet address takes two of them
FORWARD = 2  # NF_INET_FORWARD
ARPHRD_ETHER = 1
MAC_BYTES, MAC_ROOM = 6, 8
MAC_OFFSET = 6  # of the sender in an Ethernet header

CHAIN = "devices"
SIZE = 1_024  # a device has one IPv4 address and a few of IPv6: 200 devices
FORGOTTEN_S = 3_600
Counts = dict[bytes, int]


@dataclass(frozen=True, slots=True)
class Set:
    """One direction of one family: where the address stands in its header, and how long it is."""

    name: str
    number: int
    family: int  # NFPROTO_IPV4, NFPROTO_IPV6
    up: bool
    offset: int  # RFC 791, 3.1 and RFC 8200, 3
    size: int

    @property
    def key_bytes(self) -> int:
        return self.size + (MAC_ROOM if self.up else 0)


SETS = (
    Set("up4", 1, 2, True, 12, 4), Set("down4", 2, 2, False, 16, 4),
    Set("up6", 3, 10, True, 8, 16), Set("down6", 4, 10, False, 24, 16),
)  # fmt: skip


class DeviceCounters(LinksTable[DeviceBytes]):
    """IP bytes of each device of the household."""

    name, what = "modem-agent-devices", "counting by device"

    def _begin(self) -> DeviceBytes:
        self._told: dict[str, Counts] = {}
        return DeviceBytes()

    def _requests(self, name: str, ifnames: Sequence[str]) -> Iterator[Request]:
        return requests(name, ifnames)

    def _since(self, table: OwnedTable) -> DeviceBytes:
        sent: dict[tuple[str, str], int] = {}
        received: dict[str, int] = {}
        for one in SETS:
            for key, octets in self._growth(one.name, self._read(table, one)).items():
                if one.up:
                    mac, address = key[:MAC_BYTES], key[MAC_ROOM:]
                    sent[mac.hex(":"), _address(address)] = octets
                else:
                    received[_address(key)] = octets
        return DeviceBytes(sent, received)

    def _growth(self, name: str, counts: Counts) -> Counts:
        """A counter that fell is that of an element which was forgotten and came back."""
        before = self._told.get(name, {})
        self._told[name] = counts
        grown = {
            key: octets - (before.get(key, 0) if octets >= before.get(key, 0) else 0) for key, octets in counts.items()
        }
        return {key: octets for key, octets in grown.items() if octets}

    @staticmethod
    def _read(table: OwnedTable, one: Set) -> Counts:
        asked = attribute(ELEM_TABLE, text(table.name)) + attribute(ELEM_SET, text(one.name))
        found: Counts = {}
        for message in table.dump(GETSETELEM, asked, family=NFPROTO_INET):
            found.update(elements(message, one.key_bytes))
        return found


def _address(octets: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(octets) == 4 else socket.AF_INET6, octets)


# -- what is asked -------------------------------------------------------------------------------------------------


def requests(name: str, ifnames: Sequence[str]) -> Iterator[Request]:
    """What fills the table: a set a direction and family, a chain, and in it a rule a link and set."""
    for one in SETS:
        yield NEWSET, CREATE, _set(name, one)
    yield chain(name, CHAIN, FORWARD)
    for ifname in ifnames:
        for one in SETS:
            yield rule(name, CHAIN, _counted(one, ifname))


def _set(name: str, one: Set) -> bytes:
    parts = (
        (SET_TABLE, text(name)), (SET_NAME, text(one.name)), (SET_FLAGS, u32(FLAG_EVAL | FLAG_TIMEOUT)),
        (SET_KEY_TYPE, u32(0)), (SET_KEY_LEN, u32(one.key_bytes)), (SET_ID, u32(one.number)),
        (SET_TIMEOUT, (FORGOTTEN_S * 1000).to_bytes(8, "big")),
    )  # fmt: skip
    return b"".join(attribute(*part) for part in parts) + nested(SET_DESC, attribute(SET_DESC_SIZE, u32(SIZE)))


def _counted(one: Set, ifname: str) -> bytes:
    wan = meta(OIFNAME if one.up else IIFNAME) + equal(ifname.encode().ljust(NAME_BYTES, b"\0"))
    family = meta(NFPROTO) + equal(bytes([one.family]))
    if not one.up:
        return wan + family + _loaded(REG_1, NETWORK_HEADER, one.offset, one.size) + _updated(one)
    ethernet = meta(IIFTYPE) + equal(ARPHRD_ETHER.to_bytes(2, sys.byteorder))
    mac = _loaded(REG_1, LINK_HEADER, MAC_OFFSET, MAC_BYTES)
    return wan + family + ethernet + mac + _loaded(REG32_2, NETWORK_HEADER, one.offset, one.size) + _updated(one)


def _loaded(register: int, base: int, offset: int, size: int) -> bytes:
    parts = (PAYLOAD_DREG, register), (PAYLOAD_BASE, base), (PAYLOAD_OFFSET, offset), (PAYLOAD_LEN, size)
    return expression("payload", *parts)


def _updated(one: Set) -> bytes:
    counter = nested(DYNSET_EXPR, attribute(EXPR_NAME, text("counter")) + nested(EXPR_DATA, b""))
    place = attribute(DYNSET_SET_NAME, text(one.name))
    parts = (DYNSET_SET_ID, one.number), (DYNSET_OP, OP_UPDATE), (DYNSET_SREG_KEY, REG_1)
    return expression("dynset", *parts, more=place + counter)


# -- what is answered ----------------------------------------------------------------------------------------------


def elements(message: bytes, key_bytes: int) -> Iterator[tuple[bytes, int]]:
    """Key and bytes of each element of a set that a message has, the message without its header."""
    for _, element in attributes(dict(attributes(body_of(message))).get(ELEM_ELEMENTS, b"")):
        parts = dict(attributes(element))
        key = dict(attributes(parts.get(ELEM_KEY, b""))).get(DATA_VALUE, b"")
        data = dict(attributes(dict(attributes(parts.get(ELEM_EXPR, b""))).get(EXPR_DATA, b"")))
        if len(key) == key_bytes:
            yield key, int.from_bytes(data.get(COUNTER_BYTES, b""), "big")
