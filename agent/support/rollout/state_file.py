"""The roll-out's file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from agent.support import state_file
from agent.support.rollout.plan import Rollout, Turn


def load(path: Path) -> Rollout | None:
    """None where there is none yet. Raises ConfigError."""
    return state_file.load(path, "a roll-out's file", _rollout)


def _rollout(found: dict[str, Any]) -> Rollout:
    turns = {str(name): Turn(**turn) for name, turn in found.pop("turns").items()}
    return Rollout(turns=turns, **found)


def save(path: Path, rollout: Rollout) -> None:
    state_file.save(path, asdict(rollout))
