"""The running agent as commands and reports see it: agent.commands.Agent, made of the daemon's parts.

Nothing here blocks, and nothing here decides: counting, watching, shaping and reporting do, each in its own file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

from agent import __version__
from agent.commands.config_trial import ConfigTrials
from agent.config import refused
from agent.daemon import host
from agent.daemon.startup import Line
from agent.daemon.tasks.modem import Watching
from agent.errors import AgentError
from agent.events import RebirthAsked
from agent.household.metered import Announced
from agent.keeper import Event
from agent.modem import Modem, sms
from agent.mqtt.session_state import SessionState
from agent.plan import Sample, newest
from agent.plan.period import local_clock
from agent.status import SimHistory, Snapshot
from agent.traffic import DeviceBytes
from agent.traffic.uplink import Mismatch
from agent.update import verdict


class LiveAgent:
    """Holds the parts together; `device` is empty until the module or the store has told who we are."""

    def __init__(self, line: Line, watching: Watching) -> None:
        self._emit = line.events.emit
        self.config, self.clock, self.store = line.config, line.clock, line.store
        self.keeper, self.accounting, self.watching, self.shaping = line.keeper, line.accounting, watching, line.shaping
        self._kernel, self.faults = line.kernel, line.faults
        self._started_boot_s = self.clock.now().boot_s
        self.device = self.config.device.id
        # As the parts reported it last (app.py).
        self.session = SessionState()
        self.cause = "none"
        self.mismatch: Mismatch | None = None
        self.announced = Announced()
        self.pin_refusal = ""
        self.alarms: tuple[str, ...] = ()
        self.trials = ConfigTrials(self)
        self.ending: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def modem(self) -> Modem | None:
        return self.watching.modem

    def snapshot(self) -> Snapshot:
        accounting, outbox = self.accounting, self.keeper.outbox
        return Snapshot(
            moment=self.clock.now(),
            device=self.device,
            version=__version__,
            started_boot_s=self._started_boot_s,
            modem_state=self.watching.state,
            modem_reason=self._modem_reason(),
            modem_tried=self.watching.module.tried,
            pin_refusal=self.pin_refusal,
            sim=self._sim(),
            cause=self.cause,
            reading=self.watching.reading,
            links=self.shaping.links,
            usage=accounting.usage(),
            period=accounting.period,
            decision=accounting.decision,
            operator_count=newest(accounting.ledger.operator_counts),
            shaper=self.shaping.state,
            session=self.session,
            outbox_rows=outbox.rows if outbox else 0,
            outbox_dropped=outbox.dropped if outbox else 0,
            faults=dict(self.faults),
            store_state=self.store.state,
            alarms=self.alarms,
            mismatch=self.mismatch,
            announced=self.announced,
            config_refused=refused(self.config.device.run_dir),
            update=verdict.read(self.config.device.state_dir),
        )

    def _modem_reason(self) -> str:
        """Why the module is as it is; of one that works on something long, what and since when."""
        occupied = self.watching.module.occupied
        if occupied is None:
            return self.watching.reason
        since = self.clock.now().wall - timedelta(seconds=occupied[1])
        return f"busy: {occupied[0]} since {local_clock(since, self.config.plan.timezone):%H:%M}"

    async def samples(self) -> Sequence[Sample]:
        """The counters of the WAN links as the kernel has them now. Raises KernelError."""
        return await self._kernel.samples(self.config.wan.interfaces)

    async def devices(self) -> DeviceBytes:
        """What each device of the household has carried since the last call. Raises KernelError."""
        return await self._kernel.devices(self.shaping.links)

    def _sim(self) -> SimHistory:
        ledger = self.accounting.ledger
        return SimHistory(
            ledger.foreign, ledger.sim.partition(" ")[0], ledger.sim_before.partition(" ")[0], ledger.sim_since
        )

    async def refresh(self) -> None:
        """Read the link counters now; a kernel that refuses leaves what was known."""
        self.accounting.take_all(await self._kernel.survey(self.config.wan.interfaces))

    def charge(self, received_bytes: int, sent_bytes: int) -> None:
        self.accounting.charge(received_bytes, sent_bytes)
        self.keeper.save_soon()
        self.accounting.wake.set()

    def event(self, name: str, details: dict[str, object]) -> None:
        self.keeper.event(Event(name, details))
        self.accounting.wake.set()

    async def rebirth(self) -> None:
        self._emit(RebirthAsked())

    def end(self, why: str) -> None:
        """End the daemon in order; the first reason stands."""
        if not self.ending.done():
            self.ending.set_result(why)

    async def restart(self) -> None:
        self.end("restart asked for")

    async def reboot(self, reason: str) -> None:
        await self.keeper.commit()
        await host.reboot(reason)

    async def reset_modem(self, level: str) -> Mapping[str, object]:
        """One rung of the recovery ladder by hand; USB and power need no module that answers."""
        self.event("modem-reset", {"level": level, "by": "command"})
        return await self.watching.module.reset(level)

    async def send_sms(self, number: str, text: str) -> dict[str, object]:
        return await self._present_modem().send_sms(number, text)

    async def unread_sms(self) -> Sequence[sms.Incoming]:
        return await sms.unread(self._present_modem())

    async def delete_sms(self, index: int) -> None:
        await sms.delete(self._present_modem(), index)

    def trial_begun(self) -> None:
        self.trials.begun()

    def _present_modem(self) -> Modem:
        if self.watching.modem is None:
            raise AgentError(f"modem {self.watching.state}: {self.watching.reason or 'not opened yet'}")
        return self.watching.modem
