"""How tests and benches wait for another process or thread: until something is true, as long as it may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def wait_for(
    what: str,
    look: Callable[[], Any],
    *,
    patience_s: float = 120.0,
    every_s: float = 0.05,
    seen: Callable[[], str] = str,
) -> Any:
    """The first true value. Raises TimeoutError, which names what was waited for and what is `seen` instead."""
    limit = time.monotonic() + patience_s
    while not (found := look()):
        if time.monotonic() > limit:
            raise TimeoutError(f"not within {patience_s:g} s: {what}\n{seen()}".rstrip())
        time.sleep(every_s)
    return found
