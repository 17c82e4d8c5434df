"""The CLI in a real pseudo-terminal, driven as a technician's fingers and eyes would."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from types import TracebackType

LIMIT_S = 30.0


def _take_terminal() -> None:
    """In the new process. A shell that started the tests in its background had them, and this, ignore Ctrl-C."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """`with Terminal(["status"]) as t: t.expect("Used"); t.send("y\\n"); t.wait()`"""

    def __init__(
        self, words: list[str], *, columns: int = 80, rows: int = 24, env: dict[str, str] | None = None
    ) -> None:
        self.master, slave = os.openpty()
        self.resize(columns, rows)
        self.seen = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agent.cli", *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={"PATH": os.environ["PATH"], "TERM": "vt100", **(env or {})},
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(slave)

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, text: str) -> None:
        os.write(self.master, text.encode())

    def interrupt(self) -> None:
        """Ctrl-C, through the line discipline."""
        self.send("\x03")

    def expect(self, pattern: str) -> str:
        """Read until the pattern stands in what came since the last match."""
        until = time.monotonic() + LIMIT_S
        while (found := re.search(pattern, self.seen)) is None:
            if not self._read(until):
                raise AssertionError(f"{pattern!r} did not come; on the screen: {self.seen!r}")
        self.seen = self.seen[found.end() :]
        return found[0]

    def wait(self) -> int:
        """Read to the end and give the exit status; the rest is in `seen`."""
        until = time.monotonic() + LIMIT_S
        while self._read(until):
            pass
        return self.process.wait(LIMIT_S)

    def _read(self, until: float) -> bool:
        left = until - time.monotonic()
        if left <= 0 or not select.select([self.master], [], [], left)[0]:
            return False
        try:
            data = os.read(self.master, 65_536)
        except OSError:  # EIO: the last process on the terminal has closed it
            return False
        self.seen += data.decode()
        return bool(data)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        os.close(self.master)


def plain(text: str) -> str:
    """What stands on the screen, without the sequences that put it there."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")
