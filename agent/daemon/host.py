"""What the operating system must do for the agent: report readiness, reboot, know the machine's name."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence

from agent.errors import AgentError

log = logging.getLogger(__name__)

# The first that exists is used; each is the system's own orderly way (systemd, then OpenWrt's procd).
REBOOT_COMMANDS: Sequence[tuple[str, ...]] = (("/bin/systemctl", "reboot"), ("/sbin/reboot",))

# Where the agent is installed as a service without the right to reboot, systemd watches for this file and reboots
# (systemd/modem-agent-reboot.path).
REBOOT_WATCHER = "/etc/systemd/system/multi-user.target.wants/modem-agent-reboot.path"
REBOOT_REQUEST = "/run/modem-agent/reboot"


async def reboot(reason: str, *, watcher: str = REBOOT_WATCHER, request: str = REBOOT_REQUEST) -> None:
    """Ask the system to reboot. Raises AgentError when it refuses."""
    if _requested(watcher, request):
        log.warning("asked systemd to reboot: %s", reason)
        return
    for command in REBOOT_COMMANDS:
        if not os.access(command[0], os.X_OK):
            continue
        log.warning("asking the system to reboot: %s", reason)
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        _, problem = await process.communicate()
        if process.returncode == 0:
            return
        raise AgentError(f"{' '.join(command)}: {problem.decode(errors='replace').strip() or process.returncode}")
    raise AgentError("no way to reboot this system: neither systemctl nor reboot is there")


def _requested(watcher: str, request: str) -> bool:
    """Whether systemd watches for the file, which then is there."""
    if not os.path.lexists(watcher) or not os.access(os.path.dirname(request), os.W_OK):
        return False
    os.close(os.open(request, os.O_WRONLY | os.O_CREAT, 0o644))
    return True
