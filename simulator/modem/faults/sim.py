"""Faults of the SIM."""

from __future__ import annotations

from simulator.modem.fault import Fault


class SimBusy(Fault):
    name = "sim-busy"
    number = 9
    help = "the SIM is not ready for N seconds: +CME ERROR 14, then 515, then READY (argument: N, default 10)"

    def start(self) -> None:
        self.on_boot()

    def on_boot(self) -> None:
        sim, after = self.modem.state.sim, self.amount(10.0)
        sim.busy = 14
        self.modem.refresh()
        self.modem.after(after / 2, lambda: self._become(515))
        self.modem.after(after, lambda: self._become(0))

    def stop(self) -> None:
        self._become(0)

    def _become(self, busy: int) -> None:
        self.modem.state.sim.busy = busy
        self.modem.refresh()


class SimAbsent(Fault):
    name = "sim-absent"
    number = 10
    help = "no SIM in the holder; it is back when the fault is cleared"

    def start(self) -> None:
        self.modem.state.sim.present = False
        self._report("+CPIN: NOT INSERTED", 0)

    def stop(self) -> None:
        self.modem.state.sim.present = True
        self._report("+CPIN: READY", 1)

    def _report(self, urc: str, inserted: int) -> None:
        if self.modem.state.reporting.sim_insert:
            self.modem.unsolicited(f"+QSIMSTAT: 1,{inserted}")
        self.modem.unsolicited(urc)
        self.modem.refresh()


class SimPin(Fault):
    name = "sim-pin"
    number = 10
    help = "the SIM asks for its PIN, N tries left (argument: N, default 3); at none it asks for the PUK"

    def start(self) -> None:
        sim = self.modem.state.sim
        sim.pin_enabled, sim.pin_left = True, int(self.amount(3))
        sim.locked = "SIM PIN" if sim.pin_left else "SIM PUK"
        self.modem.refresh()

    def stop(self) -> None:
        sim = self.modem.state.sim
        sim.pin_enabled, sim.locked, sim.pin_left = False, "", 3
        self.modem.refresh()
