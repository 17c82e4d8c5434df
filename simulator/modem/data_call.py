"""A dial-up connection on one port: the context it stands on, the PPP peer behind it, and the way back to commands."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from simulator.modem.facts import gateway
from simulator.modem.ppp import Offer, PppPeer
from simulator.modem.state import Context
from simulator.modem.v250 import ESCAPE_LIMIT, LineSettings

if TYPE_CHECKING:
    from simulator.modem.modem import SimModem


class DataCall:
    """Bytes of the host go to the peer, whose frames `send` gets; `ended` is called when the host closes the link."""

    def __init__(
        self, modem: SimModem, context: Context, send: Callable[[bytes], None], ended: Callable[[], None]
    ) -> None:
        self.context = context
        self.escape = Escape(modem.now)
        offer = Offer(
            context.address,
            gateway(context.address),
            tuple(modem.state.network.name_servers),
            ipv4=context.pdp_type != "IPV6",
            ipv6=context.pdp_type in ("IPV6", "IPV4V6"),
        )
        self.peer = PppPeer(offer, send, ended)


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
