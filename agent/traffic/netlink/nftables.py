"""How many bytes of DNS and NTP this device itself has exchanged over its WAN links, by two chains of nf_tables.

Used by thread.py alone, in its thread. The chains hang on the hooks of local input and output, so they see what the
device asks and is answered, and never what it forwards for the household; they count whatever the qdiscs are, and
without any. They decide nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.traffic.model import Management
from agent.traffic.netlink.links_table import LinksTable
from agent.traffic.netlink.nfnetlink import (
    COUNTER_BYTES,
    EXPR_DATA,
    EXPR_NAME,
    GETRULE,
    IIFNAME,
    L4PROTO,
    NAME_BYTES,
    OIFNAME,
    PAYLOAD_BASE,
    PAYLOAD_DREG,
    PAYLOAD_LEN,
    PAYLOAD_OFFSET,
    REGISTER,
    RULE_CHAIN,
    RULE_EXPRESSIONS,
    RULE_TABLE,
    TRANSPORT_HEADER,
    OwnedTable,
    Request,
    attribute,
    attributes,
    body_of,
    chain,
    equal,
    expression,
    meta,
    rule,
    text,
)


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


class NamesTable(LinksTable[Management]):
    """IP bytes of DNS and NTP."""

    name, what = "modem-agent", "counting DNS and NTP"

    def _begin(self) -> Management:
        self._told = Management()
        return self._told

    def _requests(self, name: str, ifnames: Sequence[str]) -> Iterator[Request]:
        return requests(name, ifnames)

    def _since(self, table: OwnedTable) -> Management:
        counts = dict.fromkeys((chain.name for chain in CHAINS), 0)
        for message in table.dump(GETRULE, attribute(RULE_TABLE, text(table.name))):
            name, octets = count(message)
            counts[name] += octets
        before = self._told  # a dump that another change of the rules cut short tells less, never more
        received = max(before.received_bytes, counts["received"])
        sent = max(before.sent_bytes, counts["sent"])
        self._told = Management(received, sent)
        return Management(received - before.received_bytes, sent - before.sent_bytes)


def requests(name: str, ifnames: Sequence[str]) -> Iterator[Request]:
    """What fills the table: a chain a direction, and in it a rule a link and service."""
    for direction in CHAINS:
        yield chain(name, direction.name, direction.hook)
    for ifname in ifnames:
        for direction in CHAINS:
            for protocol, port in COUNTED:
                yield rule(name, direction.name, _counted(direction, ifname, protocol, port))


def _counted(direction: Chain, ifname: str, protocol: int, port: int) -> bytes:
    port_in_header = expression(
        "payload",
        (PAYLOAD_DREG, REGISTER), (PAYLOAD_BASE, TRANSPORT_HEADER),
        (PAYLOAD_OFFSET, direction.port_offset), (PAYLOAD_LEN, 2),
    )  # fmt: skip
    return (
        meta(direction.ifname_key) + equal(ifname.encode().ljust(NAME_BYTES, b"\0"))
        + meta(L4PROTO) + equal(bytes([protocol]))
        + port_in_header + equal(port.to_bytes(2, "big"))
        + expression("counter")
    )  # fmt: skip


def count(message: bytes) -> tuple[str, int]:
    """Chain of one rule and the bytes that it has counted, from the message without its header."""
    found = dict(attributes(body_of(message)))
    octets = 0
    for _, part in attributes(found.get(RULE_EXPRESSIONS, b"")):
        said = dict(attributes(part))
        if said.get(EXPR_NAME) == text("counter"):
            octets += int.from_bytes(dict(attributes(said[EXPR_DATA])).get(COUNTER_BYTES, b""), "big")
    return found[RULE_CHAIN].rstrip(b"\0").decode(), octets
