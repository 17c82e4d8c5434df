"""Composes the parts, runs them as supervised tasks, and ends them in order: the only file that knows all the others.

Called by `modem-agent run`. The kernel's shaping is left in place at the end: a restart must neither give free speed
nor leave a gap.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from agent import __version__
from agent.clock import Clock
from agent.commands import execute, staging
from agent.config import Config
from agent.control.server import ControlServer
from agent.daemon import notify
from agent.daemon.accounting import Accounting
from agent.daemon.agent import LiveAgent
from agent.daemon.counting import Counting
from agent.daemon.instance import InstanceLock
from agent.daemon.recovering import Recovering
from agent.daemon.reporting import Reporting
from agent.daemon.shaping import Shaping
from agent.daemon.supervisor import Supervisor
from agent.daemon.watching import Watching
from agent.errors import AgentError
from agent.plan import Ledger
from agent.store import Store
from agent.traffic import Kernel, LinkEvent, Shaper

log = logging.getLogger(__name__)

DATABASE = "agent.db"
SOCKET = "control.sock"
WATCHDOG_S = 30.0  # where no service manager says how often it wants to hear
LAST_WORDS_S = 0.6
FAULT = "fatal fault"


def run(config: Config) -> int:
    """Run until SIGTERM, SIGINT or a fatal fault; the exit status."""
    logging.basicConfig(level=config.log.level.upper(), stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        lock = InstanceLock(Path(config.device.state_dir))
    except AgentError as error:
        log.error("%s", error)
        return 1
    try:
        return asyncio.run(_serve(config))
    except AgentError as error:
        log.error("%s", error)
        return 1
    finally:
        lock.close()


async def _serve(config: Config) -> int:
    """Everything from the store to the farewell."""
    loop, faults = asyncio.get_running_loop(), Counter[str]()
    store = Store(Path(config.device.state_dir) / DATABASE)
    kernel = Kernel()
    try:
        ledger = await store.run(lambda database: database.load_ledger())
        floor = ledger.latest if ledger else None
        now = Clock(config.clock, floor=floor).now()
        pushed = functools.partial(staging.effective, config, boot=now.boot_id, boot_s=now.boot_s)
        config = await store.run(lambda database: pushed(database))
        clock = Clock(config.clock, floor=floor)
        accounting = Accounting(config.plan, clock, store, ledger or Ledger.new(config.plan, clock.now()), faults)
        patterns = config.wan.interfaces
        shaper = Shaper(kernel, config.shaper, cache=Path(config.device.run_dir) / "capabilities.json")
        shaping = Shaping(kernel, shaper, patterns, lambda: accounting.decision.rates)
        watching = Watching(config.modem, clock, faults)
        agent = LiveAgent(config, clock, store, kernel, accounting, watching, shaping, faults)
        daemon = Daemon(agent, kernel, Counting(kernel, patterns, accounting), Reporting(agent), faults)
        kernel.start(loop, daemon.link_event)
        return await daemon.run()
    finally:
        kernel.close()
        store.close()


class Part(Protocol):
    """One concern of the daemon: runs for ever, and says when it will have made progress again."""

    on_beat: Callable[[float], None]

    async def run(self) -> None: ...


class Daemon:
    """The parts, wired: who hears of what, which tasks run, how it ends."""

    def __init__(
        self, agent: LiveAgent, kernel: Kernel, counting: Counting, reporting: Reporting, faults: Counter[str]
    ) -> None:
        self._agent, self._kernel, self._counting, self._reporting = agent, kernel, counting, reporting
        self._supervisor = Supervisor(faults, on_fatal=lambda: agent.end(FAULT))
        self._notifier = notify.Notifier()
        self._control = ControlServer(
            Path(agent.config.device.run_dir) / SOCKET,
            functools.partial(execute, agent),
            read_group=agent.config.device.read_group,
            act_group=agent.config.device.act_group,
        )
        agent.accounting.on_notice = reporting.notice
        agent.accounting.on_decision = lambda decision: self._decided()
        agent.accounting.companion = reporting.companion
        agent.watching.on_change = reporting.changed
        agent.shaping.on_change = self._shaped

    # -- who hears of what

    def link_event(self, event: LinkEvent) -> None:
        self._counting.link_event(event)
        self._agent.shaping.wake.set()

    def _decided(self) -> None:
        self._agent.shaping.wake.set()
        self._reporting.changed()

    def _shaped(self) -> None:
        state = self._agent.shaping.state
        broken = state.state in ("unenforced", "foreign")
        self._reporting.alarm("shaper", {"reason": state.reason, "advice": state.advice} if broken else None)
        self._reporting.changed()

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
            "recovery": Recovering(agent),
        }
        for name, part in parts.items():
            part.on_beat = functools.partial(supervisor.beat, name)
            supervisor.start(name, part.run, fatal=part is self._counting)
        supervisor.start("watchdog", self._watchdog)

    async def _watchdog(self) -> None:
        """Tell the service manager that all is well, as long as every task keeps what its last beat promised."""
        while True:
            stalled = self._supervisor.stalled()
            if stalled:
                log.critical("no progress: %s", ", ".join(stalled))
            else:
                self._notifier.alive()
            self._notifier.status(_status_line(self._agent))
            await asyncio.sleep(self._notifier.watchdog_s or WATCHDOG_S)

    async def _end(self, why: str) -> None:
        """Under a second: the service manager kills what lingers. What the kernel shapes it goes on shaping."""
        log.info("ending: %s", why)
        self._notifier.stopping()
        await self._control.close()
        with contextlib.suppress(AgentError, asyncio.TimeoutError, TimeoutError):
            await asyncio.wait_for(self._last_words(why), LAST_WORDS_S)
        await self._supervisor.close()
        await self._agent.accounting.commit()

    async def _last_words(self, why: str) -> None:
        with contextlib.suppress(AgentError):
            await self._counting.sample()
        await self._reporting.stop("stopping" if why.startswith("restart") else "offline")


def _status_line(agent: LiveAgent) -> str:
    used = agent.accounting.usage()
    plan, modem = agent.accounting.decision, agent.watching
    return f"{plan.state}: {plan.reason}; modem {modem.state}; shaper {agent.shaping.state.state}; {used.percent:.1f} %"
