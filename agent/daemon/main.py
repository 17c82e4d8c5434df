"""Composes the parts, runs them as supervised tasks, and ends them in order: the only file that knows all the others.

Called by `modem-agent run`. The kernel's shaping is left in place at the end: a restart must neither give free speed
nor leave a gap.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import sys
from collections import Counter
from pathlib import Path

from agent.clock import Clock
from agent.commands import staging
from agent.config import Config
from agent.daemon.accounting import Accounting
from agent.daemon.agent import LiveAgent
from agent.daemon.assembly import Daemon
from agent.daemon.counting import Counting
from agent.daemon.instance import InstanceLock
from agent.daemon.reporting import Reporting
from agent.daemon.shaping import Shaping
from agent.daemon.watching import Watching
from agent.errors import AgentError
from agent.plan import Ledger
from agent.store import Store
from agent.traffic import Kernel, Shaper

log = logging.getLogger(__name__)

DATABASE = "agent.db"


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
        shaper.expect([config.plan.full, *(step.rates for step in config.plan.steps)])
        shaping = Shaping(kernel, shaper, patterns, lambda: accounting.decision.rates)
        watching = Watching(config.modem, clock, faults)
        agent = LiveAgent(config, clock, store, kernel, accounting, watching, shaping, faults)
        daemon = Daemon(agent, kernel, Counting(kernel, patterns, accounting), Reporting(agent), faults)
        _tell_damage(store, agent, faults)
        kernel.start(loop, daemon.link_event)
        return await daemon.run()
    finally:
        kernel.close()
        store.close()


def _tell_damage(store: Store, agent: LiveAgent, faults: Counter[str]) -> None:
    """A database that was damaged, or gone and made up from its last good generation: the operator hears of it."""
    if store.set_aside is None and not store.restored:
        return
    faults["store.damaged"] += 1
    now = "the last good generation is used" if store.restored else "there is no good generation: counting begins anew"
    aside = store.set_aside.name if store.set_aside else ""
    log.error("the database was damaged%s; %s", f", it is kept as {aside}" if aside else " or gone", now)
    agent.event("store", {"state": "damaged", "reason": now, "set_aside": aside})
