"""The network's end of a dial-up connection: PPP over bytes, so that a client gets the address of its context.

RFC 1661 (LCP), 1662 (framing), 1332 and 1877 (IPCP and its name servers), 5072 (IPV6CP). It waits for the client to
begin, as a module does, and asks for no authentication.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

FLAG, ESCAPE, FLIP = 0x7E, 0x7D, 0x20
LCP, IPCP, IPV6CP, IPV4, IPV6 = 0xC021, 0x8021, 0x8057, 0x0021, 0x0057
REQUEST, ACK, NAK, REJECT, TERMINATE, TERMINATED, CODE_REJECT, PROTOCOL_REJECT, ECHO, ECHOED, DISCARD = range(1, 12)
_MTU = 1_500  # RFC 1661 6.1: the default MRU
_GOOD_CHECK = 0xF0B8  # RFC 1662 C.2: the check over a frame and its own check

# Options of LCP that are taken as the client wants them: MRU, ACCM, magic number, both field compressions (RFC 1661 6).
_LCP_TAKEN = {1, 2, 5, 7, 8}
_ADDRESS, _DNS = 3, (129, 131)  # RFC 1332 3.3, RFC 1877 1.1 and 1.3
_INTERFACE = 1  # RFC 5072 4.1


def _check_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ 0x8408 if byte & 1 else byte >> 1
        table.append(byte)
    return table


_TABLE = _check_table()


def check(data: bytes) -> int:
    """The running frame check of RFC 1662 C.2, before its last inversion."""
    value = 0xFFFF
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return value


def framed(protocol: int, payload: bytes) -> bytes:
    """A frame with every control character escaped, which any receiver must take (RFC 1662 4.2)."""
    body = b"\xff\x03" + protocol.to_bytes(2, "big") + payload
    body += (check(body) ^ 0xFFFF).to_bytes(2, "little")
    out = bytearray([FLAG])
    for byte in body:
        out += bytes([ESCAPE, byte ^ FLIP]) if byte < 0x20 or byte in (FLAG, ESCAPE) else bytes([byte])
    return bytes([*out, FLAG])


def unframed(frame: bytes) -> tuple[int, bytes] | None:
    """Protocol and payload of what stood between two flags; None when it was damaged."""
    body, escaped = bytearray(), False
    for byte in frame:
        if escaped:
            body.append(byte ^ FLIP)
            escaped = False
        elif byte == ESCAPE:
            escaped = True
        else:
            body.append(byte)
    if len(body) < 4 or check(bytes(body)) != _GOOD_CHECK:
        return None
    start = 2 if body[:2] == b"\xff\x03" else 0  # address and control may be left out
    length = 1 if body[start] & 1 else 2  # so may the protocol's first octet
    return int.from_bytes(body[start : start + length], "big"), bytes(body[start + length : -2])


def options(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value of each option. Raises ValueError where a length is impossible."""
    while data:
        if len(data) < 2 or not 2 <= data[1] <= len(data):
            raise ValueError("an option's length is impossible")
        yield data[0], data[2 : data[1]]
        data = data[data[1] :]


def packed(found: Mapping[int, bytes]) -> bytes:
    return b"".join(bytes([kind, len(value) + 2]) + value for kind, value in found.items())


@dataclass(frozen=True)
class Offer:
    """What the network gives to a context."""

    address: str
    gateway: str
    name_servers: tuple[str, ...]
    ipv4: bool = True
    ipv6: bool = False


class PppPeer:
    """receive() what the client sent, carry() a packet to it.

    `send` gets frames, `packet` the client's IPv4 packets; `closed` is called when the client ends the link.
    """

    def __init__(
        self,
        offer: Offer,
        send: Callable[[bytes], None],
        closed: Callable[[], None],
        packet: Callable[[bytes], None] = lambda packet: None,
    ) -> None:
        self.send, self.closed, self.packet = send, closed, packet
        self._frame = bytearray()
        self._dns = dict(
            zip(_DNS, (ipaddress.ip_address(server).packed for server in offer.name_servers), strict=False)
        )
        self._address = ipaddress.ip_address(offer.address).packed
        # Interface identifiers need only differ on the link (RFC 5072 4.1): made from the address that is unique.
        self._client_interface = b"\x02\x00\x00\x00" + self._address
        own_interface = b"\x02\x00\x00\x01" + self._address
        self._asked: dict[int, dict[int, bytes]] = {LCP: {5: self._address[::-1]}}
        if offer.ipv4:
            self._asked[IPCP] = {_ADDRESS: ipaddress.ip_address(offer.gateway).packed}
        if offer.ipv6:
            self._asked[IPV6CP] = {_INTERFACE: own_interface}
        self._acknowledged: dict[int, bool] = {}  # ours by the client
        self._accepted: dict[int, bool] = {}  # the client's by us
        self._number = 0

    def receive(self, data: bytes) -> None:
        for byte in data:
            if byte != FLAG:
                self._frame.append(byte)
                del self._frame[: -2 * _MTU - 16]
                continue
            frame, self._frame = bytes(self._frame), bytearray()
            found = unframed(frame) if frame else None
            if found is not None:
                self._packet(*found)

    def opened(self, protocol: int) -> bool:
        """Whether both sides have agreed."""
        return self._accepted.get(protocol, False) and self._acknowledged.get(protocol, False)

    def carry(self, packet: bytes) -> None:
        """An IPv4 packet of the network's."""
        self.send(framed(IPV4, packet))

    def terminate(self) -> None:
        """This side ends the link (RFC 1661 5.5); the client's answer is not waited for, as the carrier goes too."""
        if self.opened(LCP):
            self._say(LCP, TERMINATE, self._next(), b"")

    def _packet(self, protocol: int, payload: bytes) -> None:
        if protocol != LCP and not self.opened(LCP):
            return
        if protocol in self._asked:
            self._control(protocol, payload)
        elif protocol == IPV4 and self.opened(IPCP):
            self.packet(payload)
        elif protocol not in (IPV4, IPV6):
            self._say(LCP, PROTOCOL_REJECT, self._next(), protocol.to_bytes(2, "big") + payload[:_MTU])

    def _control(self, protocol: int, payload: bytes) -> None:
        if len(payload) < 4 or not 4 <= int.from_bytes(payload[2:4], "big") <= len(payload):
            return
        code, number, data = payload[0], payload[1], payload[4 : int.from_bytes(payload[2:4], "big")]
        if code == REQUEST:
            self._requested(protocol, number, data)
        elif code == ACK:
            self._acknowledged[protocol] = True
        elif code in (NAK, REJECT):
            self._refused(protocol, code, data)
        elif code == TERMINATE:
            self._say(protocol, TERMINATED, number, data)
            self._acknowledged[protocol] = self._accepted[protocol] = False
            if protocol == LCP:
                self.closed()
        elif code == ECHO and protocol == LCP:
            self._say(LCP, ECHOED, number, self._asked[LCP].get(5, bytes(4)) + data[4:])
        elif code not in (TERMINATED, CODE_REJECT, PROTOCOL_REJECT, ECHOED, DISCARD):
            self._say(protocol, CODE_REJECT, self._next(), payload)

    def _requested(self, protocol: int, number: int, data: bytes) -> None:
        """Reject what is not known, else correct what is wrong, else agree (RFC 1661 5.1 to 5.4)."""
        try:
            wanted = dict(options(data))
        except ValueError:
            return
        if self.opened(protocol):  # it begins anew: so does this side, with all that stands on it
            for each in (protocol,) if protocol != LCP else tuple(self._asked):
                self._accepted[each] = self._acknowledged[each] = False
        wrong = {kind: value for kind, value in wanted.items() if not self._known(protocol, kind)}
        if wrong:
            self._say(protocol, REJECT, number, packed(wrong))
        elif better := self._better(protocol, wanted):
            self._say(protocol, NAK, number, packed(better))
        else:
            self._say(protocol, ACK, number, data)
            self._accepted[protocol] = True
        if not self._acknowledged.get(protocol):
            self._say(protocol, REQUEST, self._next(), packed(self._asked[protocol]))

    def _known(self, protocol: int, kind: int) -> bool:
        return kind in {LCP: _LCP_TAKEN, IPCP: {_ADDRESS, *_DNS}, IPV6CP: {_INTERFACE}}[protocol]

    def _better(self, protocol: int, wanted: Mapping[int, bytes]) -> dict[int, bytes]:
        """The options of a request whose values must be others, with those values."""
        if protocol == IPCP:
            right = {_ADDRESS: self._address, **self._dns}
        elif protocol == IPV6CP:
            right = {_INTERFACE: self._client_interface}
        else:
            right = {}
        return {kind: right[kind] for kind, value in wanted.items() if kind in right and value != right[kind]}

    def _refused(self, protocol: int, code: int, data: bytes) -> None:
        """The client does not want something of ours: do without it, or take the magic number that it proposes."""
        try:
            named = dict(options(data))
        except ValueError:
            return
        ours = self._asked[protocol]
        for kind, value in named.items():
            if code == REJECT:
                ours.pop(kind, None)
            elif protocol == LCP and kind in ours:
                ours[kind] = value
        self._say(protocol, REQUEST, self._next(), packed(ours))

    def _next(self) -> int:
        self._number = self._number % 255 + 1
        return self._number

    def _say(self, protocol: int, code: int, number: int, data: bytes) -> None:
        self.send(framed(protocol, bytes([code, number]) + (len(data) + 4).to_bytes(2, "big") + data))
