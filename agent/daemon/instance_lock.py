"""One daemon a state directory: two would count every byte twice and fight over the modem."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from agent.errors import AgentError


class InstanceLock:
    """Held as long as the process lives; the kernel gives it up on kill -9 too."""

    def __init__(self, folder: Path) -> None:
        """Make `folder` if need be and lock it: itself and not a file in it, for a disk that has become read-only, or
        full, gives no file to write to, and counting must go on. Raises AgentError."""
        try:
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            self._fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise AgentError(f"{folder}: cannot be used: {error.strerror or error}") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._fd)
            raise AgentError(f"{folder}: another modem-agent is running here") from error

    def close(self) -> None:
        os.close(self._fd)
