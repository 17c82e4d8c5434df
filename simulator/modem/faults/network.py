"""Faults of the radio and of the operator's network."""

from __future__ import annotations

from abc import ABC, abstractmethod

from simulator.errors import SimulatorError
from simulator.modem.fault import Fault
from simulator.modem.port import AtPort
from simulator.modem.reply import Reply
from simulator.modem.state import Cell


class _Setting(Fault, ABC):
    """A fault that is nothing but settings, put back when it ends."""

    @abstractmethod
    def values(self) -> dict[str, object]:
        """Names of the modem's settings, and what they are while the fault lasts."""

    def start(self) -> None:
        wanted = self.values()
        self._before = {name: self.modem.get(name) for name in wanted}
        for name, value in wanted.items():
            self.modem.put(name, value)
        self.modem.refresh()

    def stop(self) -> None:
        for name, value in self._before.items():
            self.modem.put(name, value)
        self.modem.refresh()


class _Recurring(Fault, ABC):
    """A fault that strikes at its start and every N seconds from then on, until it is cleared."""

    every_s = 0.0

    @abstractmethod
    def strike(self) -> None:
        """What happens each time."""

    def start(self) -> None:
        self._round()

    def _round(self) -> None:
        if self.modem.faults.get(self.name) is self:
            self.strike()
            self.modem.after(self.amount(self.every_s), self._round)


class Denied(_Setting):
    name = "denied"
    number = 11
    help = "the network refuses registration (argument: the EMM cause, default 11)"

    def values(self) -> dict[str, object]:
        return {"network.accepts": False, "network.reject_cause": int(self.amount(11))}


class NoCoverage(_Setting):
    name = "no-coverage"
    number = 11
    help = "no cell is heard: searching for ever"

    def values(self) -> dict[str, object]:
        return {"radio.coverage": False}


class LteOnly(_Setting):
    name = "lte-only"
    number = 11
    help = "no circuit-switched service: +CREG says 4 while +CEREG says 1"

    def values(self) -> dict[str, object]:
        return {"network.voice": False}


class WrongApn(_Setting):
    name = "wrong-apn"
    number = 11
    help = "the network accepts only the access point given (default: one nobody has); contexts are refused with 133"
    numeric = False

    def values(self) -> dict[str, object]:
        return {"network.apns": [self.argument or "subscribed.example"]}

    def start(self) -> None:
        super().start()
        self.modem.registration.drop_contexts()
        self.modem.refresh()


class Outage(_Setting):
    name = "outage"
    number = 24
    help = (
        "registered, attached, with an address, and nothing gets through: the operator's own network is down "
        "(argument deactivation: it takes the present contexts away too, and gives new ones)"
    )
    numeric = False

    def values(self) -> dict[str, object]:
        if self.argument not in ("", "deactivation"):
            raise SimulatorError(f"fault outage: {self.argument!r} is not deactivation")
        return {"network.data": False}

    def start(self) -> None:
        super().start()
        if self.argument:
            self.modem.registration.drop_contexts()
            self.modem.after(1.0, self.modem.refresh)


class Throttled(_Setting):
    name = "throttled"
    number = 24
    help = "the operator itself lets only N bit/s through (argument: N, default 512000)"

    def values(self) -> dict[str, object]:
        return {"network.data_bps": int(self.amount(512_000))}


_TOUR = (
    Cell(),
    Cell(rat="WCDMA", tac=0x75, ci=0x6FE0090, pci=58, earfcn=10736, band=1, bandwidth_mhz=5),
    Cell(rat="GSM", tac=0xDC51, ci=0xB919, pci=26, earfcn=50, band=900, bandwidth_mhz=5),
    Cell(rat="NR5G-NSA", ci=0x328261F, pci=280, earfcn=275, band=1, bandwidth_mhz=20, tac=0xBE3),
    Cell(rat="NR5G-SA", duplex="TDD", ci=0x12AA54086, pci=262, tac=0x15EC, earfcn=634080, band=78, bandwidth_mhz=100),
)


class RatTour(_Recurring):
    name = "rat-tour"
    number = 12
    every_s = 30.0
    help = "another radio access technology every N seconds, and none in between (argument: N, default 30)"

    def start(self) -> None:
        self._cells, self._step = list(self.modem.state.radio.cells), 0
        super().start()

    def strike(self) -> None:
        radio, round_of = self.modem.state.radio, len(_TOUR) + 1
        place = self._step % round_of
        radio.coverage = place < len(_TOUR)
        radio.cells, radio.serving = [_TOUR[place % len(_TOUR)]], 0
        self._step += 1
        self.modem.registration.refresh(at_once=True)

    def stop(self) -> None:
        self.modem.state.radio.cells, self.modem.state.radio.coverage = self._cells, True
        self.modem.registration.refresh(at_once=True)


class ScanDrops(Fault):
    name = "scan-drops"
    number = 13
    help = "+COPS=? takes 60 s and more, keeps the port and drops the data connection"

    def on_reply(self, port: AtPort, element: str, reply: Reply) -> Reply:
        if element.upper() == "+COPS=?":
            reply.delay_s = max(reply.delay_s, self.amount(60.0))
            self.modem.registration.drop_contexts()
            reply.then = self.modem.refresh
        return reply


class Ucs2Operator(Fault):
    name = "ucs2"
    number = 18
    help = "the operator's name comes as UCS2 hex, whatever +CSCS says"

    def start(self) -> None:
        network = self.modem.state.network
        self._before = (network.long_name, network.short_name)
        network.long_name = network.long_name.encode("utf-16-be").hex().upper()
        network.short_name = network.short_name.encode("utf-16-be").hex().upper()

    def stop(self) -> None:
        self.modem.state.network.long_name, self.modem.state.network.short_name = self._before


class NoTime(Fault):
    name = "no-time"
    number = 19
    help = "the network does not tell the time: the clock says 80/01/06 until the fault is cleared"

    def start(self) -> None:
        self.modem.state.network.nitz = False
        self.modem.state.clock.synchronised = False

    def stop(self) -> None:
        self.modem.state.network.nitz = True
        self.modem.network_time_arrives()


class AddressChange(_Recurring):
    name = "address-change"
    number = 24
    every_s = 60.0
    help = "the network takes the address away and gives another every N seconds (argument: N, default 60)"

    def strike(self) -> None:
        self.modem.registration.drop_contexts()
        self.modem.after(1.0, self.modem.refresh)


class AttachBlocked(_Setting):
    name = "attach-block"
    number = 25
    help = "more than N attaches in an hour, and the network refuses for 30 minutes (argument: N, default 5)"

    def values(self) -> dict[str, object]:
        return {"network.attaches_per_hour": int(self.amount(5))}

    def stop(self) -> None:
        self.modem.registration.blocked_until = 0.0
        super().stop()
