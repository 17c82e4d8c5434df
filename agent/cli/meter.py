"""The meter for aiming an antenna: what is heard now, the best so far and when, and where it goes. Pure.

Used by `signal --watch`. It is given beats and times and gives lines; it writes nothing and reads no clock, so a test
can turn an antenna in no time. Everything fits 80 by 24 characters of seven bits, and 40 by 24 with less beside it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from agent import quality
from agent.cli import screen
from agent.cli.language import N_, _, ngettext, spoken

if TYPE_CHECKING:
    from agent import status_schema as schema

NAMES = ("rsrp_dbm", "rsrq_db", "sinr_db", "rssi_dbm")
LEADING = ("rsrp_dbm", "sinr_db", "rssi_dbm")  # the first that the technology has is what the trend is drawn of
KEPT = 60  # beats in the trend
ROWS = 6  # lines of the trend
STEP = {"rsrp_dbm": 2.0, "sinr_db": 1.5, "rssi_dbm": 2.0}  # what counts as rising: above the jitter of a still antenna


TRENDS = {"...": "...", "rising": N_("rising"), "falling": N_("falling"), "steady": N_("steady")}


@dataclass(frozen=True, slots=True)
class Best:
    value: float
    at: datetime


class Meter:
    """Feed it with take(); ask it for lines()."""

    def __init__(self) -> None:
        self.beats = 0
        self.best: dict[str, Best] = {}
        self.answer: schema.Heard = {}
        self.problem = ""
        self.cells: list[str] = []
        self._history: deque[float | None] = deque(maxlen=KEPT)

    # -- in --------------------------------------------------------------------------------------------------------

    def take(self, answer: schema.Heard, at: datetime) -> bool:
        """One beat; True when it set a new best of the leading value, which is worth a beep."""
        self.beats += 1
        self.answer, self.problem = answer, ""
        cell = self._cell()
        if cell and (not self.cells or self.cells[-1] != cell):
            self.cells = [*self.cells[-9:], cell]
        leading, better, levels = self.leading, False, self.levels
        for name, value in levels.items():
            if value is not None and (name not in self.best or value > self.best[name].value):
                better = better or (name == leading and name in self.best)
                self.best[name] = Best(value, at)
        self._history.append(levels[leading] if leading else None)
        return better

    def fail(self, problem: str) -> None:
        """A beat without an answer; the meter goes on, the modem may come back."""
        self.beats += 1
        self.problem = problem
        self._history.append(None)

    # -- out -------------------------------------------------------------------------------------------------------

    @property
    def values(self) -> schema.Signal:
        found = self.answer.get("signal")
        return found if isinstance(found, Mapping) else {}

    @property
    def levels(self) -> dict[str, float | None]:
        return quality.levels(self.values)

    @property
    def leading(self) -> str | None:
        levels = self.levels
        return next((name for name in LEADING if levels[name] is not None), None)

    @property
    def trend(self) -> str:
        """rising, falling or steady: the mean of the last five beats against the five before."""
        known = [v for v in self._history if v is not None]
        if self.leading is None or len(known) < 4:
            return "..."
        half = min(5, len(known) // 2)
        change = sum(known[-half:]) / half - sum(known[-2 * half : -half]) / half
        if abs(change) < STEP[self.leading]:
            return "steady"
        return "rising" if change > 0 else "falling"

    def to_dict(self) -> dict[str, object]:
        """One line of the --json stream."""
        best = {name: {"value": b.value, "at": b.at.isoformat(timespec="seconds")} for name, b in self.best.items()}
        words = {name: quality.word(name, value) for name, value in self.levels.items()}
        out = {**self.answer, "v": 1, "quality": quality.overall(self.values), "words": words, "best": best}
        return {**out, "trend": self.trend, "problem": self.problem or None}

    def lines(self, columns: int, now: datetime) -> list[str]:
        """The whole screen, at most 23 lines of at most `columns` characters."""
        head = f"{now:%H:%M:%S}  {self._network()}"
        cell = screen.wrap(self._cell_line(), columns)[:2] or [""]
        body = [head, *cell, "", *[line for name in NAMES for line in self._gauge(name, columns)]]
        if self.problem:
            body += ["", *screen.wrap("! " + spoken(self.problem), columns)[:2]]
        body += ["", *self._plot(columns), "", *self._scale(columns), _("Ctrl-C ends.")]
        return [screen.clean(line)[:columns] for line in body]

    def summary(self) -> str:
        """The last word, for the notebook: best values and when."""
        if not self.best:
            return _("no signal was read")
        found = [
            _(
                "{name} {value:g} {unit} at {time}",
                name=_label(n),
                value=b.value,
                unit=quality.SCALES[n][0],
                time=f"{b.at:%H:%M:%S}",
            )
            for n, b in self.best.items()
            if n != "rssi_dbm" or len(self.best) == 1
        ]
        return _("best: {values}", values=", ".join(found))

    def _network(self) -> str:
        from agent.cli.verbs.status import network

        return network(self.answer) or _("not registered")

    def _cell(self) -> str:
        registration = self.answer.get("registration") or {}
        pci, ci = self.values.get("pci"), registration.get("ci")
        return "" if pci is None and ci is None else f"{ci}/{pci}"

    def _cell_line(self) -> str:
        registration = self.answer.get("registration") or {}
        ci, words = registration.get("ci"), []
        if isinstance(ci, int):
            # 36.413: an E-UTRAN cell identity is a base station's number and a sector of eight bits
            words.append(_("cell {cell} (mast {mast}, sector {sector})", cell=ci, mast=ci >> 8, sector=ci & 0xFF))
        elif ci is not None:
            words.append(_("cell {cell}", cell=ci))
        words += [f"{n.upper()} {self.values[n]}" for n in ("pci", "earfcn") if self.values.get(n) is not None]
        if len(self.cells) > 1:
            words.append(ngettext("{count} change of cell", "{count} changes of cell", len(self.cells) - 1))
        return ", ".join(words)

    def _gauge(self, name: str, columns: int) -> list[str]:
        value = self.levels[name]
        if value is None and name not in self.best:
            return []
        unit = quality.SCALES[name][0]
        shown = "   -" if value is None else f"{value:4g}"
        word = spoken(quality.word(name, value) or "").ljust(max(len(spoken(each)) for each in quality.WORDS))
        left = f"{_label(name)} {shown} {unit:<3} {word} "
        right = ""
        if name in self.best:
            best = self.best[name]
            right = _(" best {value:g} {unit}", value=best.value, unit=unit)
            if columns >= 70:
                right = right.ljust(14) + _(" at {time}", time=f"{best.at:%H:%M:%S}")
        room = columns - len(left) - max(len(right), 26 if columns >= 70 else 14)
        gauge = screen.bar(quality.share(name, value), room) if value is not None and room >= 8 else ""
        return [left + gauge.ljust(max(0, room) if gauge else 0) + right]

    def _plot(self, columns: int) -> list[str]:
        """The leading value over the last minute, highest on top."""
        known = [v for v in self._history if v is not None]
        if self.leading is None or not known:
            return [_("Trend: {trend}", trend=_(TRENDS[self.trend]))]
        low, high = min(known), max(known)
        if high - low < ROWS - 1:  # do not blow jitter up to a mountain
            low = round((high + low - (ROWS - 1)) / 2)
            high = low + ROWS - 1
        shown = list(self._history)[-(columns - 7) :]
        lines = [_("Trend of {name}: {trend}", name=_label(self.leading), trend=_(TRENDS[self.trend]))]
        for row in range(ROWS - 1, -1, -1):
            level = low + (high - low) * row / (ROWS - 1)
            marks = "".join(" " if v is None else "*" if _row(v, low, high) == row else " " for v in shown)
            lines.append(f"{level:5.0f} |{marks}".rstrip())
        return lines

    def _scale(self, columns: int) -> list[str]:
        if self.leading is None:
            return []
        limits = ", ".join(
            _("{quality} from {value:g}", quality=spoken(word), value=float(least))
            for word, least in zip(quality.WORDS, quality.SCALES[self.leading][2], strict=False)
        )
        return screen.wrap(f"{_label(self.leading)}: {limits}", columns)


def _label(name: str) -> str:
    return name.split("_")[0].upper()


def _row(value: float, low: float, high: float) -> int:
    return round((value - low) / (high - low) * (ROWS - 1))
