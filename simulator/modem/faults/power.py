"""Faults of the module as a whole: hangs, restarts and heat."""

from __future__ import annotations

from simulator.modem.fault import Fault
from simulator.modem.serial_port import NmeaPort


class Renumber(Fault):
    name = "renumber"
    number = 14
    help = "the module restarts by itself and comes back after 15 to 60 s under another number (argument: seconds)"

    def start(self) -> None:
        self.modem.restart(gone_s=0.0)

    def boot_s(self, seconds: float) -> float:
        return self.amount(self.chance.uniform(15.0, 60.0))

    def boot_line_s(self, seconds: float) -> float:
        """SMS DONE and PB DONE come in either order."""
        return seconds + self.chance.uniform(0.0, 1.0) if seconds >= 3.0 else seconds


class Hang(Fault):
    name = "hang"
    number = 15
    help = "answers nothing until it is reset N times (argument: N, default 1)"
    ends_with_power = True

    def start(self) -> None:
        power = self.modem.state.power
        power.state, power.resets_to_wake = "hung", int(self.amount(1))

    def on_boot(self) -> None:
        self.modem.faults.pop(self.name, None)

    def stop(self) -> None:
        if self.modem.state.power.state == "hung":
            self.modem.state.power.state = "on"
        self.modem.state.power.resets_to_wake = 0


class HangForPower(Fault):
    name = "hang-power"
    number = 15
    help = "answers nothing until its supply is taken away"
    ends_with_power = True

    def start(self) -> None:
        self.modem.state.power.state, self.modem.state.power.resets_to_wake = "hung", -1

    def on_boot(self) -> None:
        self.modem.faults.pop(self.name, None)  # pulled out and pushed in again: its supply was gone

    def stop(self) -> None:
        if self.modem.state.power.state == "hung":
            self.modem.state.power.state = "on"
        self.modem.state.power.resets_to_wake = 0


class Heat(Fault):
    name = "heat"
    number = 23
    help = "the temperature rises by N degrees a minute up to 95 (argument: N, default 6)"

    def start(self) -> None:
        self._before = self.modem.state.temperature_c

    def on_second(self) -> None:
        state = self.modem.state
        state.temperature_c = min(95.0, state.temperature_c + self.amount(6.0) / 60)

    def stop(self) -> None:
        self.modem.state.temperature_c = self._before


class ChattyPort(Fault):
    name = "nmea-flood"
    number = 20
    help = "NMEA sentences on the AT ports too"

    def on_second(self) -> None:
        if self.modem.state.power.state == "on":
            for port in self.modem.ports:
                if not isinstance(port, NmeaPort) and port.role != "diag":
                    port.send(b"$GPGGA,,,,,,0,,,,,,,,*66\r\n")
