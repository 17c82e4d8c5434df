"""A file that a long-running verb keeps: replaced whole after each change, so that a run that ends is gone on with."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from agent.errors import ConfigError

T = TypeVar("T")


def load(path: Path, what: str, made_of: Callable[[dict[str, Any]], T]) -> T | None:
    """None where there is none yet; `what` it should be is named where it is not. Raises ConfigError."""
    try:
        return made_of(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(str(path), "", f"not {what}: {error}") from error


def save(path: Path, content: Mapping[str, object]) -> None:
    side = path.with_name(f"{path.name}.new")
    with side.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    side.replace(path)
