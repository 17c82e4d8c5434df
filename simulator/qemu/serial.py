"""A shell on a guest's serial console, for an image that has nothing of ours in it.

Commands go in as typed lines; between two marks comes what they said, and after the second mark their exit code.
"""

from __future__ import annotations

import re
import socket
import time
from pathlib import Path

from simulator.qemu.errors import GuestError
from simulator.qemu.guest import Result
from simulator.qemu.machine import Machine

_ASK_AGAIN_S = 2.0


class SerialShell:
    """Connects to the console's socket, wakes the shell behind it, runs commands one at a time."""

    def __init__(self, path: Path, machine: Machine, timeout_s: float) -> None:
        self._machine, self._heard, self._last = machine, "", 0
        self._socket = socket.socket(socket.AF_UNIX)
        limit = time.monotonic() + timeout_s
        while True:
            try:
                self._socket.connect(str(path))
                break
            except OSError as error:
                if time.monotonic() > limit or not machine.running:
                    raise GuestError(f"QEMU does not run\n{machine.last_lines()}") from error
                time.sleep(0.05)
        try:
            self._wake(limit)
        except BaseException:
            self._socket.close()
            raise

    def _wake(self, limit_s: float) -> None:
        """Enter activates the console (OpenWrt asks for it); a shell then answers. Asked again until it does."""
        while True:
            # The line's own echo must not be taken for the answer, hence the sum.
            self._socket.sendall(b"\necho up-$((40 + 2))\n")
            if self._hear(re.compile(r"up-42"), min(limit_s, time.monotonic() + _ASK_AGAIN_S)):
                self._socket.sendall(b"stty -echo 2>/dev/null; PS1=; PS2=\n")
                return
            if time.monotonic() > limit_s:
                raise GuestError("no shell on the serial console")

    def run(self, text: str, timeout_s: float) -> Result:
        """Run a line of shell; its output and exit code. GuestError when it takes too long."""
        self._last += 1
        mark, self._heard = f"mark-{self._last}", ""
        self._socket.sendall(f"echo begin-'{mark}'; ( {text} ); echo end-'{mark}' $?\n".encode())
        whole = re.compile(rf"begin-{mark}\r?\n(.*?)end-{mark} (\d+)", re.DOTALL)
        found = self._hear(whole, time.monotonic() + timeout_s)
        if found is None:
            raise GuestError(f"not done after {timeout_s:g} s: {text}\n{self._machine.last_lines()}")
        return Result(int(found[2]), found[1].replace("\r", ""))

    def _hear(self, wanted: re.Pattern[str], limit_s: float) -> re.Match[str] | None:
        while not (found := wanted.search(self._heard)):
            left = limit_s - time.monotonic()
            if left <= 0:
                return None
            self._socket.settimeout(left)
            try:
                received = self._socket.recv(65536)
            except TimeoutError:
                return None
            if not received:
                raise GuestError(f"the guest is gone\n{self._machine.last_lines()}")
            self._heard += received.decode(errors="replace")
        return found

    def close(self) -> None:
        self._socket.close()
