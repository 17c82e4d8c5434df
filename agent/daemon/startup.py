"""The household's line and the count of what it carries: what is put right before the rest of the agent is even read.

Opened by main.py. After a power cut the kernel shapes nothing until the agent does, and a small board takes longer to
read the modules for commands, module, broker and control socket than for all that stands here. So nothing in this file
may import those: tests/daemon/test_imports.py holds it to that.
"""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from agent import config_start
from agent.clock import Clock
from agent.commands import pushed_config
from agent.config import Config
from agent.daemon.accounting import Accounting
from agent.daemon.tasks.counting import Counting
from agent.daemon.tasks.shaping import Shaping
from agent.events import Events
from agent.keeper import Keeper
from agent.plan import Ledger
from agent.store import Store, erasure
from agent.traffic import Kernel, Shaper

DATABASE, CAPABILITIES = config_start.DATABASE, "capabilities.json"


@dataclass(frozen=True, slots=True)
class Line:
    """The parts that keep the line; `config` is the file's with what the operator has pushed."""

    config: Config
    clock: Clock
    store: Store
    keeper: Keeper
    kernel: Kernel
    events: Events
    accounting: Accounting
    counting: Counting
    shaping: Shaping
    faults: Counter[str]

    def close(self) -> None:
        self.kernel.close()
        self.store.close()


async def open_line(config: Config) -> Line:
    """Read the ledger, and have the line as it says. Raises StoreError; a kernel that refuses is asked again later."""
    with ExitStack() as undo:
        # The kernel's thread reads pyroute2 while the disk is asked.
        kernel, events, faults = Kernel(), Events(), Counter[str]()
        emit = events.emit
        undo.callback(kernel.close)
        kernel.start(asyncio.get_running_loop(), events.emit)
        database = Path(config.device.state_dir) / DATABASE
        erasure.finish(database, Path(config.device.run_dir))
        store = Store(database)
        undo.callback(store.close)
        ledger = await store.run(lambda database: database.load_ledger())
        floor = ledger.latest if ledger else None
        now = Clock(config.clock, floor=floor).now()
        pushed = functools.partial(pushed_config.effective, config, boot=now.boot_id, boot_s=now.boot_s)
        config = await store.run(lambda database: pushed(database))
        clock = Clock(config.clock, floor=floor)
        first = ledger or Ledger.new(config.plan, clock.now())
        keeper = Keeper(store, clock, config.plan, first, faults, outbox_comes=bool(config.operator.url), emit=emit)
        accounting = Accounting(config.plan, clock, keeper, faults, emit)
        patterns = config.wan.interfaces
        run, state = Path(config.device.run_dir), Path(config.device.state_dir)
        shaper = Shaper(kernel, config.shaper, cache=run / CAPABILITIES, memory=state / CAPABILITIES)
        shaping = Shaping(kernel, shaper, patterns, accounting.decision.rates, emit)
        counting = Counting(kernel, patterns, accounting, emit)
        await shaping.reconcile()
        shaper.expect([config.plan.full, *(step.rates for step in config.plan.steps)])
        undo.pop_all()
    return Line(config, clock, store, keeper, kernel, events, accounting, counting, shaping, faults)
