"""Runs the agent: first the line, then everything else. Called by `modem-agent run`.

The kernel's shaping is left in place at the end: a restart must neither give free speed nor leave a gap.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
from pathlib import Path

from agent.config import Config
from agent.daemon.instance_lock import InstanceLock, NamespaceLock
from agent.daemon.startup import open_line
from agent.daemon.watchdog import Watchdog
from agent.errors import AgentError

log = logging.getLogger(__name__)


def run(config: Config) -> int:
    """Run until SIGTERM, SIGINT or a fatal fault; the exit status."""
    logging.basicConfig(level=config.log.level.upper(), stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    if config.problem:
        log.error("%s; running on %s", config.problem, config.file)
    try:
        with (
            contextlib.closing(NamespaceLock()) as lock,
            contextlib.closing(InstanceLock(Path(config.device.state_dir))),
        ):
            return asyncio.run(_serve(config, lock))
    except AgentError as error:
        log.error("%s", error)
        return 1


async def _serve(config: Config, lock: NamespaceLock) -> int:
    """Everything from the store to the farewell."""
    lock.serve(asyncio.get_running_loop())
    watchdog = Watchdog()
    watchdog.start()
    line = await open_line(config)
    try:
        gc.enable()  # the command line has put it off: to look for rubbish in what is just imported takes time
        from agent.daemon.app import assemble  # only now: it reads all the other modules (startup.py says why)

        return await assemble(line, watchdog).run()
    finally:
        line.close()
