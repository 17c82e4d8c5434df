"""What the device's own names and time (DNS, NTP) have cost, as far as the household is not to pay for it.

Read by the daemon at every tick, whatever the line is shaped with and while it is not shaped at all; entered in the
ledger as the device's, beside what the session counts on its own socket.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from agent.errors import KernelError
from agent.traffic.model import Link, Management
from agent.traffic.netlink.thread import Kernel

log = logging.getLogger(__name__)

FREE_BYTES, FREE_BYTES_PER_S = 100_000, 20.0
AGAIN_S = 600.0  # after the kernel has refused to count


class NamesMeter:
    """What names and time have cost since the last look.

    Whoever sits behind the modem asks through its name server, and could lead a tunnel through that. So no more is free
    than a device needs by far: 100 kB, and 20 bytes a second.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._free, self._at_s = float(FREE_BYTES), 0.0
        self._refusal, self._again_s = "", 0.0

    async def read(self, links: Sequence[Link], now_s: float) -> Management:
        """Bytes since the last call. Where the kernel cannot count them they are the household's: 0."""
        if now_s < self._again_s:
            return Management()
        try:
            more = await self._kernel.names(links)
        except KernelError as error:
            self._refused(str(error), now_s)
            return Management()
        return self.free_of(more, now_s)

    def _refused(self, refusal: str, now_s: float) -> None:
        level = logging.DEBUG if refusal == self._refusal else logging.WARNING
        log.log(level, "DNS and NTP are charged to the household: %s", refusal)
        self._refusal, self._again_s = refusal, now_s + AGAIN_S

    def free_of(self, more: Management, now_s: float) -> Management:
        """The part of it that is free, and is taken off what may be free from now on."""
        self._free = min(FREE_BYTES, self._free + (now_s - self._at_s) * FREE_BYTES_PER_S)
        self._at_s = now_s
        received = min(more.received_bytes, int(self._free))
        sent = min(more.sent_bytes, int(self._free) - received)
        self._free -= received + sent
        return Management(received, sent)
