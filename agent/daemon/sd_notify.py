"""Tells the service manager how the agent is: sd_notify(3) without libsystemd. Called by the daemon alone.

A datagram to the socket that $NOTIFY_SOCKET names. Where there is none (procd, a terminal, the demo) every call does
nothing. It must never raise and never block: a full or vanished socket costs a message, not the agent.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


class Notifier:
    """The way to the service manager. `watchdog_s` is how often to call alive(), or None if nobody counts."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self.watchdog_s = _watchdog_s(environment)
        self._status = ""

    def ready(self) -> None:
        """Start-up is done: the line is shaped and counted."""
        self._send("READY=1")

    def alive(self) -> None:
        """Every task makes progress. Not called while one does not: the manager then ends and restarts the agent."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`; said only when it changes."""
        line = " ".join(text.split())
        if line != self._status:
            self._status = line
            self._send(f"STATUS={line}")

    def stopping(self) -> None:
        """The agent was told to stop and saves what it knows."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if self._address is None:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as way:
            way.setblocking(False)
            way.sendto(message.encode(), self._address)


def _address(name: str) -> str | None:
    """A path, or an abstract name, which begins with a NUL and is written with an @ (sd_notify(3))."""
    if name.startswith("@"):
        return "\0" + name[1:]
    return name if name.startswith("/") else None


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """Half of the manager's limit (sd_watchdog_enabled(3)); None if it is meant for another process."""
    limit, process = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not limit.isdecimal() or int(limit) == 0 or (process and process != str(os.getpid())):
        return None
    return int(limit) / 2_000_000
