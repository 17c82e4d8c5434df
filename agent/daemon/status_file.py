"""The status as a file in run_dir, for whoever may not start a Python to ask: rpcd's script on OpenWrt.

In memory, replaced in one step, gone when the agent ends in order. Its reader judges its age by `up`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path

log = logging.getLogger(__name__)

NAME = "status.json"


class StatusFile:
    """`write()` each status. Never raises: a full memory must not stop the daemon."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / NAME
        self._complained = False

    def write(self, status: Mapping[str, object]) -> None:
        side = self._path.with_name(NAME + ".new")
        try:
            descriptor = os.open(side, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                # At once: dump() writes piece by piece, in Python and not in C.
                file.write(json.dumps(status, separators=(",", ":"), default=str) + "\n")
            os.replace(side, self._path)
        except OSError as error:
            if not self._complained:
                log.warning("%s: %s", self._path, error.strerror or error)
            self._complained = True

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink()
