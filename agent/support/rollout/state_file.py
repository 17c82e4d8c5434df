"""The roll-out's file: replaced whole after each change, so that a desk that ends goes on where it was."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from agent.errors import ConfigError
from agent.support.rollout.plan import Rollout, Turn


def load(path: Path) -> Rollout | None:
    """None where there is none yet. Raises ConfigError."""
    try:
        found = json.loads(path.read_text("utf-8"))
        turns = {str(name): Turn(**turn) for name, turn in found.pop("turns").items()}
        return Rollout(turns=turns, **found)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(str(path), "", f"not a roll-out's file: {error}") from error


def save(path: Path, rollout: Rollout) -> None:
    side = path.with_name(f"{path.name}.new")
    with side.open("w", encoding="utf-8") as file:
        json.dump(asdict(rollout), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    side.replace(path)
