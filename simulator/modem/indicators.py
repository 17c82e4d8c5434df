"""What a phone shows on its display, as numbers (27.007 8.9, +CIND), and as events where +CMER asks for them.

The names are those of 27.007; the steps of "signal" are the maker's choice: here fifths of +CSQ's scale.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from simulator.modem import parameters
from simulator.modem.sms import REC_UNREAD

if TYPE_CHECKING:
    from simulator.modem.modem import SimModem


def _signal(modem: SimModem) -> int:
    heard = modem.covered and modem.state.power.functionality == 1
    csq = int(modem.render("{csq}"))
    return min(5, 1 + csq // 6) if heard else 0


# Name -> highest value, and how it is worked out.
INDICATORS: dict[str, tuple[int, Callable[[SimModem], int]]] = {
    "battchg": (5, lambda modem: 5),  # fed from the bus
    "signal": (5, _signal),
    "service": (1, lambda modem: int(modem.registration.registered)),
    "message": (1, lambda modem: int(any(m.status == REC_UNREAD for m in modem.sms.messages.values()))),
    "call": (1, lambda modem: int(modem.calling)),
    "roam": (1, lambda modem: int(modem.registration.registered and modem.state.network.roaming)),
    "smsfull": (1, lambda modem: int(modem.sms.full)),
}


class Indicators:
    def __init__(self, modem: SimModem) -> None:
        self.modem = modem
        self._told: list[int] = []

    def values(self) -> list[int]:
        return [work_out(self.modem) for _, work_out in INDICATORS.values()]

    def report(self) -> None:
        """+CIEV for each that has changed since it was last looked at, in the mode that +CMER has."""
        reporting = self.modem.state.reporting
        if "+CMER" not in reporting.kept:  # this is asked after each command, and hardly any host wants it
            return
        mode, indicates = (parameters.value(reporting, "+CMER", place) for place in (0, 3))
        if not mode or not indicates:
            self._told = []
            return
        now = self.values()
        for place, (before, value) in enumerate(zip(self._told, now, strict=False), 1):
            if value != before:
                self.modem.unsolicited(f"+CIEV: {place},{value}", keep=mode == 2)
        self._told = now
