"""Who is at the other end of a unix socket, told by the kernel, and what he may do. Called by the server alone.

Root and the agent's own user may do everything; members of the acting group may act; members of the reading group may
read; nobody else may do anything. Names are looked up once a connection, so that a change of groups needs no restart.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import socket
import struct
from dataclasses import dataclass

_UCRED = struct.Struct("iII")  # struct ucred: pid, uid, gid
_SO_PEERGROUPS = 59  # asm-generic/socket.h, Linux 4.13; not in the socket module before 3.14
_MOST_GROUPS = 256  # Python reads an option of 1024 bytes at most


@dataclass(frozen=True, slots=True)
class Peer:
    pid: int
    uid: int
    groups: frozenset[int]

    @property
    def name(self) -> str:
        """The user's name for the log and the audit trail."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)


def peer_of(connection: socket.socket) -> Peer:
    """The process that connected, as it was at that moment."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, gid = _UCRED.unpack(raw)
    return Peer(pid, uid, frozenset({gid, *_supplementary(connection, uid, gid)}))


def _supplementary(connection: socket.socket, uid: int, gid: int) -> tuple[int, ...]:
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 4 * _MOST_GROUPS)
        return struct.unpack(f"{len(raw) // 4}I", raw)
    except OSError:  # an older kernel, or a member of more groups: what the user database says
        with contextlib.suppress(KeyError, OSError):
            return tuple(os.getgrouplist(pwd.getpwuid(uid).pw_name, gid))
        return ()


def role_of(peer: Peer, read_group: str, act_group: str) -> str | None:
    """The highest role (protocol.ROLES) of a peer, or None if he may not even read."""
    if peer.uid in (0, os.geteuid()):
        return "admin"
    if _group_id(act_group) in peer.groups:
        return "act"
    if _group_id(read_group) in peer.groups:
        return "read"
    return None


def _group_id(name: str) -> int:
    """A group's number; -1, which no process has, for a group that is not there or not configured."""
    try:
        return grp.getgrnam(name).gr_gid if name else -1
    except KeyError:
        return -1
