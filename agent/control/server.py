"""The daemon's side of the control socket: who may connect, one task a connection, shared beats for watchers.

Composed by the daemon, on its loop. The socket file is open to all (0666) and the kernel says who is there (peer.py):
so a stranger gets a sentence instead of a bare EACCES, and a group needs no chown that an unprivileged daemon may not
do. A client that does not read, or never speaks, costs one bounded buffer and blocks nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from pathlib import Path

from agent.control import protocol
from agent.control.beats import Beats
from agent.control.connection import Admit, Connection, Execute
from agent.control.peer import peer_of, role_of
from agent.errors import ControlError

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 128


class ControlServer:
    """Listens on `path`; `execute` runs one command of the common table for a role and raises AgentError."""

    def __init__(
        self, path: Path, execute: Execute, *, admit: Admit | None = None, read_group: str = "", act_group: str = ""
    ) -> None:
        self.path, self.read_group, self.act_group = path, read_group, act_group
        self._execute, self._admit = execute, admit
        self._beats = Beats(execute)
        self._server: asyncio.Server | None = None
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self._inode: tuple[int, int] | None = None

    async def start(self) -> None:
        """Listen. Raises ControlError when another agent listens there, or the directory cannot be used."""
        listening = _listen(self.path)
        status = os.stat(self.path)
        self._inode = (status.st_dev, status.st_ino)
        self._server = await asyncio.start_unix_server(self._connected, sock=listening, limit=protocol.REQUEST_BYTES)
        log.info("control socket %s: reading group %s, acting group %s", self.path, self.read_group, self.act_group)

    async def close(self) -> None:
        """Stop listening, cancel what clients wait for, and remove our socket file (no other's)."""
        if self._server is None:
            return
        self._server.close()
        tasks = list(self._connections.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._beats.close()
        with contextlib.suppress(OSError):
            status = os.stat(self.path)
            if (status.st_dev, status.st_ino) == self._inode:
                os.unlink(self.path)
        self._server = None

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = peer_of(writer.get_extra_info("socket"))
        role = role_of(peer, self.read_group, self.act_group)
        connection = Connection(reader, writer, peer, role or "", self._execute, self._beats, self._admit)
        refusal = self._refusal(peer.name, role)
        task = asyncio.current_task()
        assert task is not None
        self._connections[connection] = task
        try:
            if refusal:
                log.warning("control socket: refused pid %d: %s", peer.pid, refusal)
                await connection.refuse(protocol.PERMISSION_DENIED, refusal)
            elif len(self._connections) > MOST_CONNECTIONS:
                await connection.refuse(protocol.INTERNAL_ERROR, f"{MOST_CONNECTIONS} clients are connected already")
            else:
                await connection.serve()
        except asyncio.CancelledError:
            pass  # the server closes; asyncio would log a cancelled connection as an error
        finally:
            self._connections.pop(connection, None)
            connection.close()

    def _refusal(self, name: str, role: str | None) -> str:
        if role is not None:
            return ""
        group = f"join the group '{self.read_group}'" if self.read_group else "no reading group is configured"
        return f"user '{name}' may not ask the agent: use sudo, or {group}"


def _listen(path: Path) -> socket.socket:
    """A bound socket at `path`, in place of a stale one and never of one where somebody listens."""
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if path.is_socket():
            if _somebody_listens(path):
                raise ControlError(f"another agent listens on {path}; only one may run")
            path.unlink()
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.bind(str(path))
            path.chmod(0o666)
            listening.listen(MOST_CONNECTIONS)
            listening.setblocking(False)
        except BaseException:
            listening.close()
            raise
    except OSError as error:
        raise ControlError(f"cannot listen on {path}: {error.strerror or error}") from error
    return listening


def _somebody_listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True  # a full backlog is somebody too
        return True
