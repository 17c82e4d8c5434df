"""Power-up, restart and the USB bus: when a module is there, and what it has forgotten when it comes back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from simulator.modem.state import Reporting

if TYPE_CHECKING:
    from simulator.modem.modem import SimModem


class Life:
    """SimModem's comings and goings; called with its lock held."""

    def __init__(self, modem: SimModem) -> None:
        self.modem = modem
        self.unplugged = False

    def restart(self, gone_s: float | None = None) -> None:
        modem = self.modem
        timing = modem.profile.timing
        until_gone = timing.gone_s if gone_s is None else gone_s
        modem.state.power.restarts += 1
        modem.note("restart")
        boot_s = timing.boot_s
        for fault in modem.faults.values():
            boot_s = fault.boot_s(boot_s)
        modem.after(until_gone, self.leave)
        modem.after(until_gone + boot_s, self._return)

    def _return(self) -> None:
        if not self.unplugged and self.modem.state.power.state == "gone":
            self.arrive()

    def leave(self) -> None:
        """Off the bus: readers get a hang-up."""
        modem = self.modem
        if modem.state.power.state == "gone":
            return
        modem.registration.drop_contexts()
        modem.state.power.state = "gone"
        modem.registration.overall = 0
        modem.note("gone from the bus")
        for tell in list(modem.on_presence):
            tell(False)

    def arrive(self) -> None:
        """Enumerate and boot: a cold start, all that the host had set is forgotten."""
        modem = self.modem
        power, sim = modem.state.power, modem.state.sim
        power.state, power.functionality = "on", 1
        modem.state.reporting = Reporting()
        modem.state.clock.synchronised = False
        modem.state.attached = True
        if sim.pin_enabled and not sim.locked:
            sim.locked = "SIM PIN"
        for port in modem.ports:
            port.reset()
        modem.note("back on the bus")
        for tell in list(modem.on_presence):
            tell(True)
        for fault in list(modem.faults.values()):
            fault.on_boot()
        for later in modem.profile.boot:
            delay_s = later.delay_s
            for fault in modem.faults.values():
                delay_s = fault.boot_line_s(delay_s)
            modem.later(replace(later, delay_s=delay_s))
        if not sim.busy:
            sim.busy = 14
            modem.after(modem.profile.timing.sim_s, self._sim_ready)
        modem.refresh()

    def _sim_ready(self) -> None:
        self.modem.state.sim.busy = 0
        self.modem.refresh()
