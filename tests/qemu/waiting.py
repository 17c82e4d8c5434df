"""How the device tests wait: for what is true in the end, as long as a slow guest may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

PATIENCE_S = 480  # a guest under TCG, on a machine that may have other things to do as well

# The same for a guest's shell: `until_true 'COMMAND'`.
SHELL_WAIT = """
until_true() {
  n=0
  until eval "$1"; do n=$((n + 1)); [ $n -lt 1200 ] || { echo "not: $1"; exit 1; }; sleep 0.1; done
}
"""


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
