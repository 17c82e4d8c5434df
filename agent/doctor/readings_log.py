"""The module's readings of the last day, a line each, for the bundle. Wired by the daemon.

In run_dir, which lives in memory: nothing is written to flash for it, it survives the agent and not the device. A line
each quarter of an hour, and at once when registration, cell or the quality of the signal changes; two files of 128 kB
at most, the older one thrown away.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from agent import quality
from agent.redact import redact

if TYPE_CHECKING:
    from agent.status_schema import Status

log = logging.getLogger(__name__)

EVERY_S = 900.0
LEAST_S = 10.0  # a cell that flaps must not push the day out of the file
FILE_BYTES = 128_000
NOW, BEFORE = "readings.jsonl", "readings.1.jsonl"


class Diary:
    """`note()` each status; it writes what is worth a line."""

    def __init__(self, run_dir: Path) -> None:
        self._path, self._older = run_dir / NOW, run_dir / BEFORE
        self._noted_s: float | None = None
        self._state: object = None
        self._complained = False

    def due(self, boot_s: float) -> bool:
        """Whether a line could be written by now; before that no status need be made for it."""
        return self._noted_s is None or boot_s - self._noted_s >= LEAST_S

    def note(self, status: Status) -> bool:
        """Whether a line was written. Never raises: a full memory must not stop the daemon."""
        now_s, state = float(status["up"]), _state(status)
        waited = None if self._noted_s is None else now_s - self._noted_s
        if waited is not None and waited < (EVERY_S if state == self._state else LEAST_S):
            return False
        self._noted_s, self._state = now_s, state
        return self._write(json.dumps(_line(status), separators=(",", ":"), default=str) + "\n")

    def _write(self, line: str) -> bool:
        try:
            if self._path.exists() and self._path.stat().st_size > FILE_BYTES:
                os.replace(self._path, self._older)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            if not self._complained:
                log.warning("%s: %s", self._path, error.strerror or error)
            self._complained = True
            return False
        return True


def _state(status: Status) -> object:
    modem = status["modem"]
    reading = modem.get("reading") or {}
    registration = reading.get("registration") or {}
    heard = quality.overall(reading.get("signal") or {})
    return modem["state"], registration.get("stat"), registration.get("ci"), heard


def _line(status: Status) -> dict[str, object]:
    modem = status["modem"]
    reading = modem.get("reading") or {}
    kept = ("signal", "registration", "operator", "access_technology", "temperature_c", "attached")
    told = {name: reading.get(name) for name in kept if reading.get(name) is not None}
    line = {"time": status["time"], "clk": status["clk"], "up": status["up"], "state": modem["state"], **told}
    return redact(line)
