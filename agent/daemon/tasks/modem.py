"""Keeps the cellular module open and read: opens it when it is there, polls it, and says in one word how it is.

A module that is gone, busy or hung is no fault of the daemon: this task notes it, waits and tries again, while
counting and shaping go on without it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

from agent.at.engine.urc import changes
from agent.backoff import Backoff
from agent.clock import Clock
from agent.config import ModemSettings
from agent.errors import ModemError, ModemOccupied, PortAbsent, PortBusy
from agent.events import Emit, ModemChanged, ModemRead, Occurrence, PortLost, Progressed, UnsolicitedLine, unheard
from agent.modem import Modem, Reading
from agent.wake import Wake

log = logging.getLogger(__name__)

FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 15.0
GAP_S = 1.0  # between two polls: a storm of unsolicited codes must not make the module answer without a pause
OCCUPIED_S = 5.0  # so soon a module that works on something long is asked again
LONGEST_POLL_S = 300.0  # a module that answers each command just before its time limit


def essence(reading: Reading) -> tuple[object, ...]:
    """What of a reading is worth a report of its own; the strengths move at every poll and go with the beat."""
    registration, sim = reading.registration, reading.sim
    return (
        reading.identity, sim.state, sim.iccid, registration.stat, registration.reject_cause, registration.tac,
        registration.ci, reading.operator, reading.access_technology, reading.signal.band, reading.address,
        reading.attached,
    )  # fmt: skip


class Watching:
    """The module as it was last read; `state` is absent, busy, hung or ready."""

    def __init__(self, settings: ModemSettings, clock: Clock, faults: Counter[str], emit: Emit = unheard) -> None:
        self._settings, self._clock, self._emit = settings, clock, emit
        self.module = Modem(settings, boot_clock=lambda: clock.now().boot_s, faults=faults, emit=self._heard)
        self.modem: Modem | None = None  # the module while its port is open
        self.reading: Reading | None = None
        self.state = "absent"
        self.reason = ""
        self.wake = Wake()

    async def run(self) -> None:
        """Open, poll, and begin again for ever."""
        backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S)
        while True:
            try:
                await self._attend(backoff)
            except ModemError as error:
                self._lost(error)
            pause_s = backoff.next_s()
            # To open the port and to greet the module take their time too.
            self._emit(Progressed("modem", pause_s + LONGEST_POLL_S))
            await self.wake.wait(pause_s)

    async def _attend(self, backoff: Backoff) -> None:
        modem = self.module
        try:
            await modem.open()
            self.modem = modem
            await modem.wake_radio()
            while True:
                self._emit(Progressed("modem", self._settings.poll_s + LONGEST_POLL_S))
                try:
                    self._read(await modem.poll())
                except ModemOccupied:  # not hung: what was read last stands until it hears us again
                    await self._let_finish(modem)
                    continue
                backoff.reset()
                await asyncio.sleep(GAP_S)
                await self.wake.wait(self._settings.poll_s - GAP_S)
        finally:
            self.modem = None
            modem.close()

    async def _let_finish(self, modem: Modem) -> None:
        """Wait until the module is done with what nobody waits for any more; it may have been the radio going off."""
        while True:
            self._emit(Progressed("modem", OCCUPIED_S + LONGEST_POLL_S))
            await asyncio.sleep(OCCUPIED_S)
            try:
                await modem.wake_radio()
            except ModemOccupied:
                continue
            return

    def _heard(self, event: Occurrence) -> None:
        """What an unsolicited line says is read properly by polling at once."""
        match event:
            case UnsolicitedLine(line) if changes(line):
                self.wake.set()
            case PortLost():
                self.wake.set()

    def _read(self, reading: Reading) -> None:
        if reading.network_time is not None and reading.network_time_boot_s is not None:
            self._clock.offer_network_time(reading.network_time, reading.network_time_boot_s)
        changed = self.state != "ready" or self.reading is None or essence(reading) != essence(self.reading)
        if self.state != "ready":
            log.info("modem ready: %s", reading.identity.model)
        self.reading, self.state, self.reason = reading, "ready", ""
        self._emit(ModemRead(reading))
        if changed:
            self._emit(ModemChanged())

    def _lost(self, error: ModemError) -> None:
        state = "busy" if isinstance(error, PortBusy) else "absent" if isinstance(error, PortAbsent) else "hung"
        if (state, str(error)) != (self.state, self.reason):
            log.warning("modem %s: %s", state, error)
        changed = state != self.state
        self.state, self.reason, self.reading = state, str(error), None
        if changed:
            self._emit(ModemChanged())
