"""One daemon a network namespace and one a state directory: two would undo each other's shaping, count every byte twice
and fight over the modem.

The namespace is held by an abstract socket name (unix(7)): each network namespace has its own, the kernel frees it with
the process, and no folder, mount or full disk comes into it. Anybody may take such a name, though, so its holder counts
only if it could shape: a stranger's process must not keep the agent dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import socket
import struct
import time
from pathlib import Path

from agent.errors import AgentError

log = logging.getLogger(__name__)

NAME = "\0modem-agent"
WAIT_S, STEP_S = 3.0, 0.1
CAP_NET_ADMIN = 12  # linux/capability.h
_CREDENTIALS = struct.Struct("=3i")  # struct ucred: pid, uid, gid


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


class NamespaceLock:
    """The network namespace of the process. The one before may still be saving what it knows: it is waited for."""

    def __init__(self, name: str = NAME, *, wait_s: float = WAIT_S) -> None:
        """Raises AgentError when another agent is here, and stays."""
        until_s = time.monotonic() + wait_s
        self._socket = _listening(name)
        while self._socket is None:
            holder = _holder(name)
            if holder is not None and not _can_shape(*holder):
                log.error("process %d of user %d holds the agent's name, and is no agent; going on without it", *holder)
                return
            if time.monotonic() >= until_s:
                if holder is None:
                    log.error("the network namespace cannot be locked; going on without")
                    return
                raise AgentError(
                    f"another modem-agent is running in this network namespace (process {holder[0]}): "
                    "two would undo each other's shaping"
                )
            time.sleep(STEP_S)
            self._socket = _listening(name)

    def serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Dismiss whoever asks: what he wanted to know the kernel has told him, and the queue of askers has an end."""
        if self._socket is not None:
            loop.add_reader(self._socket.fileno(), self._dismiss)

    def _dismiss(self) -> None:
        assert self._socket is not None
        with contextlib.suppress(OSError):
            self._socket.accept()[0].close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


def _listening(name: str) -> socket.socket | None:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.bind(name)
        made.listen()
    except OSError:
        made.close()
        return None
    return made


def _holder(name: str) -> tuple[int, int] | None:
    """Process and user that hold the name: the kernel tells who connects."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(name)
            process, user, _ = _CREDENTIALS.unpack(
                asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            )
        except OSError:
            return None
    return process, user


def _can_shape(process: int, user: int) -> bool:
    """Whether it is root's, ours, or has the capability to shape; of one that has just gone, or lives in another pid
    namespace (0), only the user is known."""
    if user in (0, os.geteuid()):
        return True
    try:
        status = Path(f"/proc/{process}/status").read_text("ascii", "replace")
    except OSError:
        return False
    effective = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    return bool(int(effective, 16) >> CAP_NET_ADMIN & 1)
