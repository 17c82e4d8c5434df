"""What must never go back, in a small file beside the database, and a second one like it: they outlive a damaged one.

`epoch` counts the damages. Each number that rises for ever (session, audit trail) begins anew at epoch * SPAN, beyond
all that were used before; `(boot, seq)` gets another name of the boot. `counters` are those that issuers have used, so
that a captured command fails as before; `commands` the newest that were begun, so that none is begun a second time;
`tallies` what the limits by day and month have counted. Called by `Database` alone, on the store's thread.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agent.store import files
from agent.store.counter_window import CounterWindow
from agent.store.journal import SPAN

COMMANDS_KEPT = 64  # more than a broker sends again at once: it waits for the acknowledgement of 20 (mosquitto.conf(5))
EARLIEST_S = 1_767_225_600  # 2026-01-01 UTC, before the first release
EPOCH_S = 600  # a file that cannot be read leaves the clock: 2**21 epochs of ten minutes are 39 years


@dataclass(frozen=True, slots=True)
class Numbers:
    epoch: int = 0
    counters: Mapping[str, CounterWindow] = field(default_factory=dict)
    commands: tuple[tuple[str, str], ...] = ()  # id and type, the newest last
    opened: int = 0  # how often the database was: one that has not seen the last time went back
    tallies: str = ""  # JSON, as agent/commands/tally.py makes it

    @property
    def first(self) -> int:
        return self.epoch * SPAN

    def begun(self, id: str, type: str) -> Numbers:
        others = tuple(command for command in self.commands if command[0] != id)
        return replace(self, commands=(*others, (id, type))[-COMMANDS_KEPT:])

    def used(self, issuer: str, counter: int) -> Numbers:
        window = self.counters.get(issuer, CounterWindow()).with_used(counter)
        return replace(self, counters={**self.counters, issuer: window})


def places(path: Path) -> tuple[Path, Path]:
    return path.with_name(f"{path.name}.numbers"), path.with_name(f"{path.name}.numbers-2")


def load(path: Path) -> Numbers:
    """Those of the database at `path`; nothing used yet where there is no file. The first one is the newer."""
    return next((found for place in places(path) if (found := _read(place)) is not None), Numbers())


def unreadable(path: Path) -> bool:
    """Whether there are such files, and none that can be read."""
    there = [place for place in places(path) if place.exists()]
    return bool(there) and all(_read(place) is None for place in there)


def next_epoch(path: Path, known: int, now_s: Callable[[], float] = time.time) -> int:
    """An epoch whose numbers were never used; `known` is one that was, of another source."""
    following = max(load(path).epoch, known) + 1
    if not unreadable(path):
        return following
    return max(following, int(max(0.0, now_s() - EARLIEST_S) / EPOCH_S))


def _read(place: Path) -> Numbers | None:
    try:
        found = json.loads(place.read_bytes())
        counters = {str(name): _window(used) for name, used in found["counters"].items()}
        commands = tuple((str(id), str(type)) for id, type in found.get("commands", []))
        opened, tallies = int(found.get("opened", 0)), str(found.get("tallies", ""))
        return Numbers(int(found["epoch"]), counters, commands, opened, tallies)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _window(used: Any) -> CounterWindow:
    """A single number is the highest one, as earlier versions kept it."""
    return CounterWindow(used) if isinstance(used, int) else CounterWindow.from_list(used)


def save(path: Path, numbers: Numbers) -> None:
    """On the flash when this returns, in both files; of each all or nothing. Raises OSError."""
    for place in places(path):
        _write(place, numbers)
    files.sync_folder(path.parent)


def save_opened(path: Path, numbers: Numbers) -> None:
    """At each start, before the line is looked at: in the first file alone, and a cut may lose it. Raises OSError."""
    _write(places(path)[0], numbers)


def _write(place: Path, numbers: Numbers) -> None:
    windows = {name: window.to_list() for name, window in numbers.counters.items()}
    kept = {"epoch": numbers.epoch, "opened": numbers.opened, "counters": windows, "commands": numbers.commands}
    text = json.dumps({**kept, "tallies": numbers.tallies}, separators=(",", ":")).encode()
    fresh = place.with_name(f"{place.name}.new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(place)
