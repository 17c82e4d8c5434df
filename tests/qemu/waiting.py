"""How the device tests wait: for what is true in the end, as long as a slow guest may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 480  # a guest under TCG, on a machine that may have other things to do as well


def wait_for(what: str, look: Callable[[], Any]) -> Any:
    """The first true value."""
    limit = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < limit, f"not within {PATIENCE_S} s: {what}"
        time.sleep(1)
    return found
