"""A dial-up connection on one port: the context it stands on, the PPP peer behind it, and the way back to commands."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from simulator.modem.facts import gateway
from simulator.modem.ppp import IPCP, Offer, PppPeer
from simulator.modem.state import Context
from simulator.modem.v250 import ESCAPE_LIMIT, LineSettings

if TYPE_CHECKING:
    from simulator.modem.modem import SimModem


class Network(Protocol):
    """What is behind a module: the packets of its dial-up connections go there and come from there."""

    def join(self, offer: Offer, deliver: Callable[[bytes], None]) -> None: ...

    def leave(self, offer: Offer) -> None: ...

    def send(self, packet: bytes) -> None: ...


class DataCall:
    """Bytes of the host go to the peer, whose frames `send` gets; `ended` is called when the host closes the link."""

    def __init__(
        self, modem: SimModem, context: Context, send: Callable[[bytes], None], ended: Callable[[], None]
    ) -> None:
        self.context = context
        self.escape = Escape(modem.now)
        self._modem = modem
        self._offer = Offer(
            context.address,
            gateway(context.address),
            tuple(modem.state.network.name_servers),
            ipv4=context.pdp_type != "IPV6",
            ipv6=context.pdp_type in ("IPV6", "IPV4V6"),
        )
        self.peer = PppPeer(self._offer, send, ended, self._sent)
        if modem.network is not None:
            modem.network.join(self._offer, self._came)

    def _sent(self, packet: bytes) -> None:
        self._modem.carry(0, len(packet))
        if self._modem.network is not None:
            self._modem.network.send(packet)

    def _came(self, packet: bytes) -> None:
        """Lost while no address is agreed on, and in an outage."""
        with self._modem.lock:
            if self._modem.state.network.data and self.peer.opened(IPCP):
                self._modem.carry(len(packet), 0)
                self.peer.carry(packet)

    def end(self) -> None:
        """The connection is over."""
        if self._modem.network is not None:
            self._modem.network.leave(self._offer)


class Escape:
    """Three escape characters with silence before them; the port waits for the silence after them.

    The Hayes escape sequence with its S2 and S12, not in V.250. The silence tells it from a file that has +++ in it.
    """

    def __init__(self, now: float) -> None:
        self.last = now
        self.count = 0

    def take(self, byte: int, now: float, settings: LineSettings) -> bool:
        """Whether `byte` was the third."""
        silence, guard_s = now - self.last, settings.guard_s
        self.last = now
        if byte != settings.registers[2] or byte > ESCAPE_LIMIT:
            self.count = 0
        elif 0 < self.count < 3 and silence <= (guard_s or math.inf):
            self.count += 1
        else:
            self.count = int(silence >= guard_s)
        return self.count == 3
