"""The daemon's parts, wired: who acts on what, which tasks run, how it ends. Made by main.py around the line.

The only file that knows all the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from agent import __version__
from agent.commands import audit
from agent.commands.execute import admit, execute
from agent.control.server import ControlServer
from agent.daemon import line_speed, memory, meter_difference, sd_notify
from agent.daemon.live_agent import LiveAgent
from agent.daemon.startup import Line
from agent.daemon.status_file import StatusFile
from agent.daemon.supervisor import Supervisor
from agent.daemon.tasks.announcing import Announcing
from agent.daemon.tasks.modem import Watching
from agent.daemon.tasks.page import Page
from agent.daemon.tasks.recovery import Recovering
from agent.daemon.tasks.reporting import Reporting
from agent.daemon.tasks.statement import Sealing
from agent.daemon.tasks.uplink import Uplink
from agent.daemon.watchdog import END_S, LOOK_S, Endings, Patience, Watchdog
from agent.doctor.readings_log import Diary
from agent.errors import AgentError
from agent.events import (
    AlarmsChanged,
    Charged,
    Decided,
    LedgerChanged,
    LineJudged,
    ModemChanged,
    ModemRead,
    NonceUsedUp,
    Noticed,
    Occurrence,
    PinRefused,
    PortLost,
    Progressed,
    RebirthAsked,
    RetainedLost,
    Reviewed,
    Saved,
    SessionChanged,
    Shaped,
    ShapingJudged,
    SignalsAnnounced,
    SpeedJudged,
    UnsolicitedLine,
    UplinkJudged,
)
from agent.household.balance import Balance
from agent.household.notifier import Household
from agent.keeper import Change
from agent.modem import Reading
from agent.mqtt.session_state import SessionState
from agent.traffic import Link, LinkEvent, ShaperState, uplink
from agent.traffic.proof import ALARM, Proof, Verdict
from agent.update import folders
from agent.wake import Wake

log = logging.getLogger(__name__)

SOCKET, ENDED = "control.sock", "ended"
LAST_WORDS_S = 0.6
SETTLED_S = 20.0  # by then the module is identified, the link shaped, the broker told
FAULT = "fatal fault"


class Part(Protocol):
    """One concern of the daemon: runs for ever, and emits `Progressed` under the name of its task."""

    async def run(self) -> None: ...


def assemble(line: Line, watchdog: Watchdog) -> Daemon:
    """All parts around the line. It raises nothing: what may fail has its own task, which is started again."""
    emit = line.events.emit
    agent = LiveAgent(line, Watching(line.config.modem, line.clock, line.faults, emit))
    daemon = Daemon(agent, line, Reporting(agent, emit), watchdog)
    _tell_damage(agent, line.faults)
    line.events.dispatch_to(daemon.dispatch)
    return daemon


def _tell_damage(agent: LiveAgent, faults: Counter[str]) -> None:
    """A database that was damaged, or gone and made up from its last good generation: the operator hears of it."""
    store = agent.store
    if not store.damaged:
        return
    faults["store.damaged"] += 1
    anew = "what it still holds is used" if store.went_back else "there is no good generation: counting begins anew"
    now = "the last good generation is used" if store.restored else anew
    aside = store.set_aside.name if store.set_aside else ""
    what = f"damaged, it is kept as {aside}" if aside else "damaged, emptied, gone or older than it was"
    log.error("the database was %s; %s", what, now)
    noted = audit.entry(agent.clock.now(), "damaged", type="store", id=aside, issuer="agent", role="", reason=now)
    agent.keeper.put(Change(audit=noted))
    agent.event("store", {"state": "damaged", "reason": now, "set_aside": aside})


class Daemon:
    """The parts, wired: who acts on what, which tasks run, how it ends."""

    def __init__(self, agent: LiveAgent, line: Line, reporting: Reporting, watchdog: Watchdog) -> None:
        self._agent, self._counting, self._reporting = agent, line.counting, reporting
        self._supervisor = Supervisor(line.faults, on_fatal=self._fail)
        self._watchdog, self._patience, self._faults = watchdog, Patience(), line.faults
        self._endings = Endings(Path(agent.config.device.run_dir) / ENDED, lambda: agent.clock.now().boot_s)
        self._notifier = sd_notify.Notifier()
        self._control = ControlServer(
            Path(agent.config.device.run_dir) / SOCKET,
            functools.partial(execute, agent),
            admit=functools.partial(admit, agent),
            read_group=agent.config.device.read_group,
            act_group=agent.config.device.act_group,
        )
        config = agent.config
        emit = line.events.emit
        self._recovering = Recovering(agent, emit)
        self._household = Household(
            config.household, config.plan, agent.store, agent.send_sms, lambda: agent.accounting.period.label
        )
        self._announcing = Announcing(config.household, emit, lambda: agent.clock.now().boot_s)
        self._announcing.want(agent.accounting.decision.state)
        self._page = Page(agent, emit, lambda: self._recovering.online)
        self._balance = Balance(
            config.household, agent, agent.send_sms, self._page.view, lambda: agent.clock.now().boot_s
        )
        self._uplink = Uplink(lambda: uplink.look(config.wan.interfaces), lambda: agent.clock.now().boot_s, emit)
        self._sealing = Sealing(agent, emit)
        self._meters = meter_difference.MeterDifference()
        self._diary = Diary(Path(config.device.run_dir))
        self._status_file = StatusFile(Path(config.device.run_dir))
        self._shaped_anew = Wake()
        self._proof = Proof(line.kernel, emit, sleep=self._shaped_anew.wait)

    # -- who acts on what

    def dispatch(self, event: Occurrence) -> None:
        """All that the parts emit. What is only shown is kept where the snapshot is drawn from."""
        agent, reporting = self._agent, self._reporting
        match event:
            case Progressed(task, within_s):
                self._supervisor.beat(task, within_s)
            case LinkEvent():
                self._counting.link_event(event)
                agent.shaping.link_event(event)
            case LedgerChanged():
                agent.accounting.changed()
                reporting.changed()
            case Saved():
                self._saved()
            case Charged(received_bytes, sent_bytes):
                agent.accounting.charge(received_bytes, sent_bytes)
            case Noticed(notice):
                reporting.notice(notice)
                self._household.notice(notice)
            case Decided(decision):
                agent.shaping.want(decision.rates)
                self._announcing.want(decision.state)
                self._changed()
            case Reviewed():
                self._page.wake.set()
            case SpeedJudged(details):
                reporting.alarm(line_speed.ALARM, details)
            case Shaped(links, state):
                self._shaped(links, state)
            case ShapingJudged(verdict):
                self._proved(verdict)
            case UplinkJudged(mismatch):
                agent.mismatch = mismatch
                reporting.alarm(uplink.ALARM, mismatch.to_dict() if mismatch else None)
            case ModemRead(reading):
                self._read(reading)
            case ModemChanged():
                self._recovering.wake.set()
                self._changed()
            case LineJudged(cause):
                agent.cause = cause
                self._show()
            case PinRefused(reason):
                agent.pin_refusal = reason
            case SessionChanged(state):
                self._session_changed(state)
            case NonceUsedUp():
                reporting.renew_nonce()
            case RetainedLost():
                reporting.raise_again()
            case AlarmsChanged(names):
                agent.alarms = names
            case SignalsAnnounced(announced):
                agent.announced = announced
            case RebirthAsked():
                reporting.rebirth()
            case UnsolicitedLine() | PortLost():
                pass  # the module's own task acts on them

    def _changed(self) -> None:
        self._show()
        self._status_file.write(self._agent.snapshot().to_dict())
        self._reporting.changed()

    def _session_changed(self, state: SessionState) -> None:
        before, self._agent.session = self._agent.session, state
        self._agent.shaping.manage(state.peer)
        if state.standing != before.standing:
            self._changed()

    def _show(self) -> None:
        """The household's sign, and its page."""
        self._page.wake.set()
        self._household.look(online=self._recovering.online, slow=self._agent.accounting.decision.slow)

    def _read(self, reading: Reading) -> None:
        """Once a poll: the module's own counters beside the ledger, a line in the diary."""
        received, sent = reading.module_bytes_received, reading.module_bytes_sent
        if received is not None and sent is not None:
            self._agent.accounting.witness(received, sent, reading.at_boot_s)
        self._card(reading)
        self._meters.note(reading.signal.rsrp_dbm, self._agent.clock.now())
        self._reporting.alarm(meter_difference.ALARM, self._meters.details(self._agent.accounting.ledger))
        drift = {"reason": "the module counts other bytes than the kernel"}
        self._reporting.alarm("counter-drift", drift if self._agent.accounting.drifting else None)
        if self._diary.due(self._agent.clock.now().boot_s):
            self._diary.note(self._agent.snapshot().to_dict())
        self._reporting.changed()

    def _card(self, reading: Reading) -> None:
        """Usage is the contract's, and the contract's card may have been taken out."""
        accounting, reporting = self._agent.accounting, self._reporting
        before = accounting.card(reading.sim.iccid, reading.sim.imsi)
        ledger = accounting.ledger
        now = ledger.sim.partition(" ")[0]
        if before is not None:
            log.warning("another SIM: %s in place of %s", now, before.partition(" ")[0])
            swap = {"state": "swapped", "ICCID": now, "PreviousICCID": before.partition(" ")[0]}
            self._agent.event("sim", {**swap, "Foreign": ledger.foreign})
        apart = {"reason": "the SIM is not the contract's: its bytes are counted apart, nothing is cut", "ICCID": now}
        reporting.alarm("foreign-sim", apart if ledger.foreign else None)

    def _saved(self) -> None:
        """After each try to save: whether the disk takes what is counted."""
        store = self._agent.store
        self._reporting.alarm("store", {"reason": store.state, "text": store.problem} if store.problem else None)

    def _proved(self, verdict: Verdict) -> None:
        """What the counters say of the shaping: it bites, or something leads around it."""
        bad = {"reason": verdict.cause, "text": verdict.text} if not verdict.effective else None
        self._reporting.alarm(ALARM, bad)
        if verdict.cause == "blocked":
            self._agent.shaping.remake()

    def _shaped(self, links: Sequence[Link], state: ShaperState) -> None:
        broken = state.state in ("unenforced", "foreign")
        self._reporting.alarm("shaper", {"reason": state.reason, "advice": state.advice} if broken else None)
        self._reporting.changed()
        self._proof.shaped(links, state)
        self._shaped_anew.set()

    # -- life

    async def run(self) -> int:
        """Serve until a signal, a fatal fault or a command ends it; the exit status."""
        ending, loop = self._agent.ending, asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._agent.end, number.name)
        await self._control.start()
        self._start_tasks()
        self._agent.event("boot", {"version": __version__})
        self._notifier.ready()
        log.info("modem-agent %s runs, %s", __version__, self._agent.config.file)
        try:
            await ending
        finally:
            await self._end(ending.result() if ending.done() else "interrupted")
        return 1 if ending.result() == FAULT else 0

    def _start_tasks(self) -> None:
        agent, supervisor = self._agent, self._supervisor
        parts: dict[str, Part] = {
            "counting": self._counting,
            "shaping": agent.shaping,
            "modem": agent.watching,
            "operator": self._reporting,
            "recovery": self._recovering,
            "uplink": self._uplink,
            "page": self._page,
            "statement": self._sealing,
        }
        for name, part in parts.items():
            supervisor.start(name, part.run, fatal=part is self._counting)
        supervisor.start("watchdog", self._watch)
        supervisor.start("proof", self._proof.run)
        supervisor.start("trial", agent.trials.run)
        supervisor.start("household", self._household.run)
        supervisor.start("announcing", self._announcing.run)
        supervisor.start("balance", self._balance.run)
        if folders.on_trial(agent.config.device.state_dir):
            supervisor.start("update", self._tell_health)

    async def _tell_health(self) -> None:
        """While this version, or another, is on trial."""
        from agent.update import health

        device = self._agent.config.device
        await health.tell(self._agent.snapshot, state_dir=device.state_dir, run_dir=device.run_dir)
        await asyncio.Event().wait()

    async def _watch(self) -> None:
        """Look whether every task keeps what its last beat promised, and say that the loop itself lives."""
        asyncio.get_running_loop().call_later(SETTLED_S, memory.settle)
        while not self._agent.ending.done():
            self._watchdog.feed()
            for name in self._patience.look(self._supervisor.stalled()):
                log.critical("no progress: %s", name)
                self._faults[f"stalled.{name}"] += 1
                self._agent.event("stalled", {"task": name})
            for name in self._patience.lost():
                self._fail(name, "no progress")
            self._notifier.alive()
            self._notifier.status(_status_line(self._agent))
            self._look_at_ourselves()
            await asyncio.sleep(self._notifier.watchdog_s or LOOK_S)

    def _fail(self, task: str, reason: str) -> bool:
        """End with status 1: the service manager starts the agent anew, which carries on from what is on the disk.
        False if that was tried a short while ago."""
        if not self._endings.allows(task):
            return False
        self._endings.note()
        self._agent.event("fault", {"task": task, "reason": reason})
        self._agent.end(FAULT)
        return True

    def _look_at_ourselves(self) -> None:
        """What nothing in the agent reports by itself: its status for others, a configuration that was refused."""
        snapshot = self._agent.snapshot()
        self._status_file.write(snapshot.to_dict())
        problem, file = self._agent.config.problem or snapshot.config_refused, self._agent.config.file
        self._reporting.alarm("configuration", {"reason": problem, "file": file} if problem else None)

    async def _end(self, why: str) -> None:
        """Under a second: the service manager kills what lingers. What the kernel shapes it goes on shaping."""
        self._watchdog.feed(END_S)
        log.info("ending: %s", why)
        self._notifier.stopping()
        await self._control.close()
        with contextlib.suppress(AgentError, asyncio.TimeoutError, TimeoutError):
            await asyncio.wait_for(self._last_words(why), LAST_WORDS_S)
        await self._supervisor.close()
        self._status_file.remove()
        await self._agent.keeper.commit()
        await self._agent.keeper.close()

    async def _last_words(self, why: str) -> None:
        with contextlib.suppress(AgentError):
            await self._counting.sample()
        await self._reporting.stop("stopping" if why.startswith("restart") else "offline")


def _status_line(agent: LiveAgent) -> str:
    used = agent.accounting.usage()
    plan, modem = agent.accounting.decision, agent.watching
    return f"{plan.state}: {plan.reason}; modem {modem.state}; shaper {agent.shaping.state.state}; {used.percent:.1f} %"
