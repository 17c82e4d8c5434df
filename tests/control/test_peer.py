"""Who may do what over the socket: told by the kernel, for users that are really others."""

from __future__ import annotations

import grp
import json
import os
import pwd
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.control.peer import Peer, peer_of, role_of
from tests.control.conftest import Table, serving

ASK = """
import json, os, socket, sys
path, uid, gid, groups, method = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
os.setgroups([int(g) for g in groups.split(",") if g]); os.setgid(gid); os.setuid(uid)
with socket.socket(socket.AF_UNIX) as s:
    s.settimeout(20)
    s.connect(path)
    try:
        s.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method}).encode() + b"\\n")
    except BrokenPipeError:
        pass
    print(s.makefile().readline())
"""


def ask(path: Path, method: str, *, gid: int, groups: tuple[int, ...] = ()) -> dict[str, Any]:
    """Ask as the user nobody, of these groups."""
    uid = pwd.getpwnam("nobody").pw_uid
    listed = ",".join(map(str, groups))
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(path), str(uid), str(gid), listed, method],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return dict(json.loads(done.stdout))


@pytest.fixture
def groups() -> tuple[str, str, int, int]:
    """Two groups that every system has, to stand for the reading and the acting one."""
    if os.geteuid() != 0:
        pytest.skip("root: only root can ask as somebody else")
    reading, acting = grp.getgrnam("games"), grp.getgrnam("mail")
    return reading.gr_name, acting.gr_name, reading.gr_gid, acting.gr_gid


def reachable(path: Path) -> None:
    for folder in path.parents:
        if folder not in (Path("/"), Path("/tmp")):
            folder.chmod(folder.stat().st_mode | 0o011)


def test_readers_read_actors_act_strangers_neither(tmp_path: Path, groups: tuple[str, str, int, int]) -> None:
    reading, acting, reading_gid, acting_gid = groups
    stranger = pwd.getpwnam("nobody").pw_gid
    path = tmp_path / "control.sock"
    reachable(path)
    with serving(path, Table(), read_group=reading, act_group=acting):
        refused = ask(path, "status", gid=stranger)
        assert refused["error"]["code"] == 7006
        assert "user 'nobody' may not ask the agent" in refused["error"]["message"]
        assert ask(path, "status", gid=reading_gid)["result"]["v"] == 1
        assert ask(path, "modem.reset", gid=reading_gid)["error"]["code"] == 7006
        assert ask(path, "modem.reset", gid=acting_gid)["result"] == {"done": True}
        # what counts is any of the groups, not the first alone
        assert ask(path, "modem.reset", gid=stranger, groups=(reading_gid, acting_gid))["result"] == {"done": True}
        assert ask(path, "status", gid=stranger, groups=(reading_gid,))["result"]["v"] == 1
        assert ask(path, "watch", gid=stranger)["error"]["code"] == 7006


def test_the_kernel_tells_who_is_there(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        peer = peer_of(ours)
    assert (peer.pid, peer.uid) == (os.getpid(), os.getuid())
    assert os.getgid() in peer.groups


def test_roles() -> None:
    games = grp.getgrnam("games").gr_gid
    assert role_of(Peer(1, 0, frozenset()), "", "") == "admin"
    assert role_of(Peer(1, os.geteuid(), frozenset()), "", "") == "admin"
    assert role_of(Peer(1, 12_345, frozenset({games})), "games", "") == "read"
    assert role_of(Peer(1, 12_345, frozenset({games})), "games", "games") == "act"
    assert role_of(Peer(1, 12_345, frozenset({games})), "", "") is None
    assert role_of(Peer(1, 12_345, frozenset({games})), "no-such-group", "no-such-group") is None
    assert Peer(1, 4_000_000, frozenset()).name == "4000000"
