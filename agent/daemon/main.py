"""Composes the parts, runs them as supervised tasks, and ends them in order: the only file that knows all the others.

Called by `modem-agent run`. The kernel's shaping is left in place at the end: a restart must neither give free speed
nor leave a gap.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections import Counter
from pathlib import Path

from agent import __version__
from agent.clock import Clock
from agent.commands import execute
from agent.config import Config
from agent.control.server import ControlServer
from agent.daemon import notify
from agent.daemon.accounting import Accounting
from agent.daemon.agent import LiveAgent
from agent.daemon.instance import InstanceLock
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
