"""firmware-config/catalogues.py for the tests: what the source has to say, and what the languages make of it."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

TOOL: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[2] / "firmware-config/catalogues.py"))
TRANSLATED: tuple[str, ...] = TOOL["LANGUAGES"]


def texts(message: Any) -> tuple[str, ...]:
    """The forms of an id or of a translation: one, or two where a number decides."""
    return (message,) if isinstance(message, str) else tuple(message)


def source() -> dict[tuple[str, ...], None]:
    """The messages of the source as it stands now."""
    return {texts(message.id): None for message in TOOL["messages"]() if message.id}


def translations(language: str) -> dict[tuple[str, ...], Any]:
    """What the .po file has: each message by its id."""
    return {texts(message.id): message for message in TOOL["read"](language) if message.id}
