"""How the device tests wait: for what is true in the end, as long as a slow guest may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

PATIENCE_S = 480  # a guest under TCG, on a machine that may have other things to do as well


def wait_for(
    what: str,
    look: Callable[[], Any],
    *,
    patience_s: float = PATIENCE_S,
    every_s: float = 1.0,
    seen: Callable[[], str] = str,
) -> Any:
    """The first true value; a failure shows what was waited for and what is `seen` instead."""
    limit = time.monotonic() + patience_s
    while not (found := look()):
        if time.monotonic() > limit:
            pytest.fail(f"not within {patience_s:g} s: {what}\n{seen()}")
        time.sleep(every_s)
    return found
