"""A path that one running simulator holds, so that a second one on the same names is refused instead of taking them.

The claim is an abstract unix socket (unix(7)) whose name is worked out from the path: the kernel makes it in one step,
drops it with the process however that ends, and says whose it is. Abstract names belong to a network namespace: two
simulators in different ones that share a folder see each other only by their control sockets.
"""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import stat
import struct
from pathlib import Path

from simulator.errors import SimulatorError

_ADVICE = "use --link, --listen and --control for names of its own"


class Claim:
    """Held from the call to release(). SimulatorError when somebody else holds the path, or its folder is missing."""

    def __init__(self, path: Path) -> None:
        if not path.parent.is_dir():
            raise SimulatorError(f"{path}: there is no folder {path.parent}")
        whole = os.path.join(os.path.realpath(path.parent), path.name)
        name = b"\0modem-sim/" + hashlib.sha256(os.fsencode(whole)).hexdigest().encode()
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.bind(name)
            self._socket.listen(1)
        except OSError as error:
            self._socket.close()
            if error.errno != errno.EADDRINUSE:
                raise
            raise taken(path, answering(name)) from None

    def release(self) -> None:
        self._socket.close()


def taken(path: object, process: int | None) -> SimulatorError:
    """What is said of a path that a running simulator has."""
    return SimulatorError(f"{path}: a simulator answers there (pid {process or 'unknown'}); {_ADVICE}")


def answering(address: str | bytes) -> int | None:
    """The process that listens on a unix socket, None if there is none."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(address)
            # struct ucred: pid, uid, gid of whoever called listen() (unix(7), SO_PEERCRED).
            whose = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        except OSError:
            return None
    return int(struct.unpack("3i", whose)[0])


class LinkPath:
    """A claimed path for the link to a terminal. SimulatorError for what no simulator left there."""

    def __init__(self, path: Path) -> None:
        self._claim = Claim(path)
        try:
            self._check(path)
        except SimulatorError:
            self._claim.release()
            raise

    def _check(self, path: Path) -> None:
        try:
            target = os.readlink(path)
        except FileNotFoundError:
            return
        except OSError:
            raise SimulatorError(f"{path}: is there already and is no link") from None
        if not target.startswith("/dev/pts/"):
            raise SimulatorError(f"{path}: is a link to {target}, which is no simulator's")

    def release(self) -> None:
        self._claim.release()


class SocketPath:
    """A claimed path for a listening unix socket. What a dead process left there is replaced, nothing else is."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._claim = Claim(self.path)
        self._made: tuple[int, int] | None = None
        try:
            self._clear()
        except (SimulatorError, OSError):
            self._claim.release()
            raise

    def _clear(self) -> None:
        try:
            there = self.path.lstat()
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(there.st_mode):
            raise SimulatorError(f"{self.path}: is there already and is no socket")
        process = answering(str(self.path))
        if process is not None:
            raise taken(self.path, process)
        self.path.unlink()

    def made(self) -> None:
        """The socket has been bound: remember which file it is."""
        self._made = _identity(self.path)

    def release(self) -> None:
        """Remove the socket if it still is the one that was made here."""
        if self._made is not None and _identity(self.path) == self._made:
            self.path.unlink()
        self._claim.release()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        there = path.lstat()
    except FileNotFoundError:
        return None
    return there.st_dev, there.st_ino
