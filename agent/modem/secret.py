"""Secrets that live in files of their own: the SIM's PIN, the password of an access point."""

from __future__ import annotations

import logging
from pathlib import Path

log = logging.getLogger(__name__)


def secret(file: str) -> str:
    """The first word of a file; "" when there is none, which is logged where a file was named."""
    if not file:
        return ""
    try:
        words = Path(file).read_text("ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        log.error("%s: %s", file, error)
        return ""
    return words[0] if words else ""
