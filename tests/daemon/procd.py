"""A stand-in for OpenWrt's procd, which Debian does not have: keeps one instance running as its parameters say.

It does what `procd_set_param respawn THRESHOLD TIMEOUT RETRY` does with RETRY 0: whatever the exit status, the
instance is started again after TIMEOUT seconds, for ever. It does not imitate: ubus, triggers and reloads, stdout and
stderr through logd, `limits`, `no_new_privs` and jails, and the count of crashes (THRESHOLD matters only where RETRY is
not 0).
procd has no watchdog for its instances, so neither has this.
"""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

INIT = Path(__file__).parents[2] / "firmware-config/openwrt/modem-agent/files/modem-agent.init"
RESPAWN = re.compile(r"procd_set_param respawn (\d+) (\d+) (\d+)")


class Procd:
    """Runs `start()` again and again; `statuses` are those of the instances that have ended."""

    def __init__(self, start: Callable[[], subprocess.Popen[str]], *, pace: float = 1.0) -> None:
        found = RESPAWN.search(INIT.read_text())
        assert found is not None
        _, timeout_s, retry = (int(number) for number in found.groups())
        assert retry == 0, "procd would give up after so many crashes"
        self._start, self._timeout_s = start, timeout_s / pace
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self.statuses: list[int] = []
        self.process: subprocess.Popen[str] | None = None

    def _keep(self) -> None:
        while not self._stopping.is_set():
            self.process = self._start()
            self.statuses.append(self.process.wait())
            self._stopping.wait(self._timeout_s)

    def __enter__(self) -> Procd:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """As `/etc/init.d/… stop`, but for the time that it gives."""
        self._stopping.set()
        if self.process is not None:
            self.process.kill()
        self._thread.join()
