"""What goes on by itself in a module: the signal that wanders, the seconds of faults and positions, periodic URCs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from simulator.modem.rules import Later
from simulator.modem.serial_port import NmeaPort

if TYPE_CHECKING:
    from simulator.modem.modem import SimModem

_FADE_STEP_S = 5.0


class Pulse:
    """Nothing of it runs while nobody wants it: a month must pass in a moment in simulated time."""

    def __init__(self, modem: SimModem) -> None:
        self.modem = modem
        self.fade_db = 0.0
        self._fading = self._counting = False

    def start(self) -> None:
        self.fade()
        for periodic in self.modem.profile.periodic:
            self._periodic(periodic)

    def fade(self) -> None:
        """Begin to wander when radio.fade_db asks for it."""
        if self.modem.state.radio.fade_db and not self._fading:
            self._fading = True
            self._again(_FADE_STEP_S, self._wander)

    def _wander(self) -> None:
        """A slow random walk around the mean, never further from it than fade_db."""
        self._fading = False
        modem = self.modem
        width = modem.state.radio.fade_db
        before = modem.covered
        step = modem.chance.uniform(-1, 1) * width / 3
        self.fade_db = min(max(self.fade_db * 0.9 + step, -width), width) if width else 0.0
        if modem.covered != before:
            modem.refresh()
        self.fade()

    def seconds(self) -> None:
        """From now on something happens every second: a fault, or a positioning port that somebody reads."""
        if not self._counting:
            self._counting = True
            self._again(1.0, self._second)

    def _second(self) -> None:
        self._counting = False
        modem = self.modem
        for fault in list(modem.faults.values()):
            fault.on_second()
        positions = [port for port in modem.ports if isinstance(port, NmeaPort) and port.on_output is not None]
        if modem.state.power.state == "on":
            for port in positions:
                port.sentence()
        if modem.faults or positions:
            self.seconds()

    def _periodic(self, what: Later) -> None:
        if self.modem.state.power.state == "on":
            self.modem.later(what)
        self._again(max(what.every_s, 0.1), lambda: self._periodic(what))

    def _again(self, period_s: float, action: Callable[[], None]) -> None:
        self.modem.after(period_s, action, pace=1.0)
