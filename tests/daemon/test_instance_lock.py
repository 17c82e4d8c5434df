"""One agent a network namespace, and one a folder."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from agent.daemon.instance_lock import InstanceLock, NamespaceLock
from agent.errors import AgentError
from tests.daemon.running import Running, daemon
from tests.netns import Wire, wire

NOBODY = 65534


@pytest.fixture
def name() -> str:
    return f"\0modem-agent-test-{os.getpid()}"


def other(folder: Path) -> Path:
    made = folder / "other"
    made.mkdir()
    return made


def test_the_name_is_free_again_when_its_holder_has_gone(name: str) -> None:
    first = NamespaceLock(name)
    with pytest.raises(AgentError, match=f"another modem-agent .*process {os.getpid()}"):
        NamespaceLock(name, wait_s=0)
    first.close()
    NamespaceLock(name, wait_s=0).close()


def test_whoever_asks_is_dismissed_so_that_any_number_can_ask(name: str) -> None:
    most = int(Path("/proc/sys/net/core/somaxconn").read_text())

    async def scenario() -> None:
        lock = NamespaceLock(name)
        lock.serve(asyncio.get_running_loop())
        for _ in range(min(most, 5_000) + 10):
            with pytest.raises(AgentError, match="another modem-agent"):
                NamespaceLock(name, wait_s=0)
            await asyncio.sleep(0)
        lock.close()

    asyncio.run(scenario())


def stranger(name: str, *, listening: bool) -> subprocess.Popen[bytes]:
    """A process without privileges that has taken the agent's name."""
    code = (
        f"import os, socket, sys; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        f"s = socket.socket(socket.AF_UNIX); s.bind({name!r})\n"
        f"{'s.listen()' if listening else ''}\nprint(flush=True); sys.stdin.read()"
    )
    made = subprocess.Popen([sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert made.stdout is not None
    assert made.stdout.readline()
    return made


@pytest.mark.root
@pytest.mark.parametrize("listening", [True, False])
def test_a_stranger_that_holds_the_name_does_not_keep_the_agent_out(
    name: str, listening: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with stranger(name, listening=listening) as holder:
        NamespaceLock(name, wait_s=0).close()
        holder.communicate()
    assert "going on without" in caplog.text


def test_the_folder_is_held_too(tmp_path: Path) -> None:
    lock = InstanceLock(tmp_path)
    with pytest.raises(AgentError, match="another modem-agent is running here"):
        InstanceLock(tmp_path)
    lock.close()
    InstanceLock(tmp_path).close()


@pytest.mark.root
def test_a_second_agent_with_other_folders_is_refused_and_changes_nothing(line: Wire, tmp_path: Path) -> None:
    with daemon(line.near, tmp_path, used_bytes=41 * 10**9) as first:
        shaped = line.near.tc("qdisc", "show", "dev", "wan0")
        assert "1fa0:" in shaped
        second = Running(line.near, other(tmp_path)).cli("run")
        assert second.returncode == 1
        assert "another modem-agent is running in this network namespace" in second.stderr
        assert first.process is not None
        assert line.near.tc("qdisc", "show", "dev", "wan0") == shaped
        with socket.socket(socket.AF_UNIX) as asking, pytest.raises(OSError, match="refused"):
            asking.connect("\0modem-agent")  # the name is taken in the agent's namespace only


@pytest.mark.root
def test_a_killed_agent_frees_the_namespace_at_once_and_one_that_ends_is_waited_for(line: Wire, tmp_path: Path) -> None:
    with daemon(line.near, tmp_path) as first, wire("wan0", "isp0") as elsewhere:
        with daemon(elsewhere.near, other(tmp_path)) as apart:  # another namespace is another matter
            assert apart.ask("status")
        second = Running(line.near, tmp_path / "other")
        first.kill()
        second.start()
        assert second.process is not None
        second.process.terminate()
        first.start()  # while the other one is still ending
        assert second.process.wait(15) == 0
        assert first.ask("status")
