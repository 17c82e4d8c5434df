"""What the demo shows: progress and live rates on a terminal, plain lines elsewhere, and the table at the end."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

EXPECTED_S = 132.0  # how long the story takes; the bar's full length


@dataclass(frozen=True, slots=True)
class Promise:
    """One row of the table: what was promised, what was measured, whether it was kept."""

    what: str
    promised: str
    measured: str
    kept: bool


class Display:
    """Lines of the story above, one line of bar and rates below (on a terminal only)."""

    def __init__(self, elapsed_s: Callable[[], float], rates: Callable[[], tuple[float, float]]) -> None:
        self.console = Console(highlight=False)
        self._elapsed_s, self._rates = elapsed_s, rates
        self._live: Live | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._refresh, daemon=True)

    def start(self) -> None:
        if sys.stdout.isatty():
            self._live = Live(self._line(), console=self.console, auto_refresh=False, transient=True)
            self._live.start()
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._live:
            self._thread.join()
            self._live.stop()

    def say(self, text: str, style: str = "") -> None:
        """One line of the story with the time since the start."""
        line = Text(f"{self._elapsed_s():6.1f} s  ", style="dim") + Text(text, style=style)
        self.console.print(line, soft_wrap=True)

    def _refresh(self) -> None:
        while not self._stop.wait(0.25):
            if self._live:
                self._live.update(self._line(), refresh=True)

    def _line(self) -> Table:
        down, up = self._rates()
        grid = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=EXPECTED_S, completed=min(self._elapsed_s(), EXPECTED_S), width=40)
        grid.add_row(bar, f"down {down / 1000:6.0f} kbit/s", f"up {up / 1000:6.0f} kbit/s")
        return grid

    def promises(self, rows: list[Promise]) -> None:
        """The table of what was promised and what was measured."""
        table = Table(title="Promised and measured", title_justify="left", show_edge=False)
        for heading in ("", "what", "promised", "measured"):
            table.add_column(heading, overflow="fold")
        for row in rows:
            mark = Text("kept", style="green") if row.kept else Text("MISSED", style="bold red")
            table.add_row(mark, row.what, row.promised, row.measured)
        self.console.print()
        self.console.print(table)


def markdown(rows: list[Promise]) -> str:
    """The same table for a README."""
    lines = ["| what | promised | measured | |", "|---|---|---|---|"]
    lines += [f"| {r.what} | {r.promised} | {r.measured} | {'kept' if r.kept else '**missed**'} |" for r in rows]
    return "\n".join(lines) + "\n"
