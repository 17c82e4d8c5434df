"""Long work shows what it does: a line that changes on a terminal, plain lines elsewhere, all on stderr.

stdout stays clean for the result, so a pipe or a --json consumer never sees progress.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType

from agent.cli import screen

PATIENCE_S = 3.0  # from then on a step on a terminal says how long it lasts


class Steps:
    """`with Steps() as steps: steps.tell("asking the modem", 10)`; wait() once a second while nothing is told."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live = not quiet and screen.is_tty(sys.stderr)
        self._shown = 0
        self._line = ""
        self._since_s = 0.0

    def tell(self, what: str, percent: int | None = None) -> None:
        if self._quiet:
            return
        text = screen.clean(what)
        if self._live:
            gauge = "" if percent is None else f"{screen.bar(percent / 100, 22)} {percent:3d} %  "
            self._line, self._since_s = gauge + text, time.monotonic()
            self._draw(self._line)
        elif text != self._line:
            sys.stderr.write(text + ("" if percent is None else f" ({percent} %)") + "\n")
            self._line = text
        sys.stderr.flush()

    def wait(self) -> None:
        """The step goes on."""
        lasting = time.monotonic() - self._since_s
        if self._live and self._shown and lasting >= PATIENCE_S:
            tail = f"  {screen.age(lasting)}"
            self._draw(self._line[: screen.width(sys.stderr) - 1 - len(tail)] + tail)
            sys.stderr.flush()

    def _draw(self, line: str) -> None:
        line = line[: screen.width(sys.stderr) - 1]
        sys.stderr.write("\r" + line.ljust(self._shown))
        self._shown = len(line)

    def clear(self) -> None:
        """Take the live line away, so that what follows stands on a clean one."""
        if self._live and self._shown:
            sys.stderr.write("\r" + " " * self._shown + "\r")
            sys.stderr.flush()
            self._shown = 0

    def __enter__(self) -> Steps:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.clear()
