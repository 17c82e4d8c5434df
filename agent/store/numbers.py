"""What must never go back, in a small file beside the database: it outlives one that is damaged.

`epoch` counts the damages. Each number that rises for ever (session, audit trail) begins anew at epoch * SPAN, beyond
all that were used before; `(boot, seq)` gets another name of the boot. `counters` are the issuers' last ones, so that
a captured command fails as before. Called by `Database` alone, on the store's thread.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from agent.store import files
from agent.store.journal import SPAN


@dataclass(frozen=True, slots=True)
class Numbers:
    epoch: int = 0
    counters: dict[str, int] = field(default_factory=dict)

    @property
    def first(self) -> int:
        return self.epoch * SPAN


def place(path: Path) -> Path:
    return path.with_name(f"{path.name}.numbers")


def load(path: Path) -> Numbers:
    """Those of the database at `path`; nothing used yet where the file is missing or cannot be read."""
    try:
        found = json.loads(place(path).read_bytes())
        return Numbers(int(found["epoch"]), {str(name): int(last) for name, last in found["counters"].items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Numbers()


def save(path: Path, numbers: Numbers) -> None:
    """On the flash when this returns, whole or not at all. Raises OSError."""
    fresh = place(path).with_suffix(".new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(json.dumps(asdict(numbers)).encode())
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(place(path))
    files.sync_folder(path.parent)
