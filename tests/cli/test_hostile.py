"""What goes wrong around the CLI: closed pipes, no locale, sockets that are stale, foreign, hung or of another time."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.cli import exits
from tests.cli import sample
from tests.cli.conftest import Run
from tests.control.conftest import Table, serving


@contextmanager
def listening(path: Path, answer: Callable[[bytes], bytes | None]) -> Iterator[None]:
    """A socket on which something that is not this version's agent answers each line, or never."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(5)
    held: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            held.append(connection)
            line = connection.recv(65_536)
            reply = answer(line)
            with contextlib.suppress(OSError):  # the client has seen enough
                if reply is not None:
                    connection.sendall(reply)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(10)
        for connection in held:
            connection.close()


def one_line(done: subprocess.CompletedProcess[str], status: int, text: str) -> None:
    assert done.returncode == status, done
    assert done.stderr.count("\n") == 1, done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_an_agent_of_another_version(cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    reason = "the agent that runs is 9.0.0 and speaks control protocol 2"
    refusal = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": reason}}
    with listening(path, lambda line: json.dumps(refusal).encode() + b"\n"):
        one_line(cli("status", "--socket", str(path)), exits.FAILED, reason)


def test_something_else_on_the_socket(cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with listening(path, lambda line: b"HTTP/1.1 400 Bad Request\r\n\r\n"):
        one_line(cli("status", "--socket", str(path)), exits.FAILED, "is not a modem-agent")
    path.unlink()
    with listening(path, lambda line: b"x" * 2_000_000):
        one_line(cli("status", "--socket", str(path)), exits.FAILED, "too long")


def test_an_agent_that_hangs(cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with listening(path, lambda line: None):
        one_line(cli("status", "--timeout", "0.5", "--socket", str(path)), exits.TIMED_OUT, "did not answer")


def test_a_stale_socket_and_no_socket(cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    file = tmp_path / "config.toml"
    file.write_text(f'[device]\nrun_dir = "{tmp_path}"\nstate_dir = "{tmp_path}/none"\n')
    one_line(cli("status", "--config", str(file)), exits.NOT_RUNNING, "no control socket")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    one_line(cli("status", "--config", str(file)), exits.NOT_RUNNING, "stale")
    path.unlink()
    path.write_text("not a socket")
    one_line(cli("signal", "--config", str(file)), exits.NOT_RUNNING, "stale")
    one_line(cli("signal", "--socket", "/" + "x" * 200), exits.NOT_RUNNING, "too long")


class Stranger(Table):
    """An agent of the same protocol whose answers are of another time."""

    def __init__(self, answer: dict[str, object]) -> None:
        super().__init__()
        self.answer = answer

    async def execute(self, name: str, args: dict[str, object], **_: object) -> dict[str, object]:
        return self.answer


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"v": 2, "time": 1, "modem": {"reading": 7}, "usage": {}, "period": {}, "plan": [], "events": [3], "lines": 5},
        {
            "modem": [],
            "signal": "strong",
            "usage": 1,
            "period": "2026",
            "time": "soon",
            "clk": [],
            "plan": {"rates": 5},
        },
    ],
)
def test_answers_of_another_time_are_a_sentence(cli: Run, tmp_path: Path, answer: dict[str, object]) -> None:
    path = tmp_path / "control.sock"
    file = tmp_path / "config.toml"
    file.write_text(
        f'[device]\nrun_dir = "{tmp_path}"\nstate_dir = "{tmp_path}"\n[wan]\ninterfaces = ["nowan*"]\n'
        f'[modem]\nport = "{tmp_path}/none"\n[probe]\nhosts = []\nname_servers = ["127.0.0.1"]\n'
    )
    with serving(path, Stranger(answer)):
        for words in (
            ["status"], ["usage"], ["usage", "--months"], ["signal"], ["signal", "--watch", "--beats", "1"], ["modem"],
            ["log"], ["ping"], ["at", "AT"], ["reset", "--yes"], ["throttle", "auto"], ["topup", "1GB", "--yes"],
            ["commands", "modem.signal"], ["doctor"],
        ):  # fmt: skip
            done = cli(*words, "--config", str(file))
            assert "Traceback" not in done.stderr, (words, done.stderr)
            assert done.returncode in range(7), words
            said = [line for line in done.stderr.splitlines() if line.startswith("modem-agent: ")]
            assert len(said) <= 1, (words, done)
            assert said or done.stdout or done.returncode == 0, (words, done)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[str]:
    table = Table()

    async def status(args: object, progress: object) -> dict[str, object]:
        told: dict[str, Any] = sample.status()
        told["modem"]["reading"]["operator"]["name"] = "Proximus Café"
        return told

    table.rows["status"] = ("read", status)
    with serving(tmp_path / "control.sock", table):
        yield str(tmp_path / "control.sock")


def test_a_closed_pipe_ends_quietly(cli: Run, agent: str) -> None:
    for words in (["status", "--socket", agent], ["--help"], ["config", "show"], ["completion", "man"]):
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run(
            [sys.executable, "-m", "agent.cli", *words], stdout=write, stderr=subprocess.PIPE, text=True, check=False
        )
        os.close(write)
        assert done.stderr == "", (words, done.stderr)
        assert done.returncode == exits.PIPE_CLOSED, words


def test_a_full_disk_behind_standard_output_is_said(agent: str) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("/dev/full: this system has none")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "agent.cli", "status", "--socket", agent],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == exits.FAILED
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("env", [{"LC_ALL": "C"}, {"LC_ALL": "xx_YY.nonsense"}, {"PYTHONIOENCODING": "ascii"}])
def test_no_locale(cli: Run, agent: str, env: dict[str, str]) -> None:
    done = cli("status", "--socket", agent, env=env)
    assert done.returncode == 0, done.stderr
    assert "Proximus Caf\\xe9" in done.stdout
    assert done.stdout.isascii()


@pytest.mark.parametrize("env", [{"LC_ALL": "C.UTF-8"}, {"LC_ALL": "", "LANG": "fr_BE.UTF-8"}])
def test_a_locale_of_utf_8_shows_what_the_network_is_called(cli: Run, agent: str, env: dict[str, str]) -> None:
    assert "Proximus Café" in cli("status", "--socket", agent, env=env).stdout


def test_no_locale_at_all_is_a_serial_console(cli: Run, agent: str) -> None:
    assert cli("status", "--socket", agent, env={"LC_ALL": ""}).stdout.isascii()


def test_a_stranger_gets_a_sentence_and_status_4(tmp_path: Path, agent: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("root: only root can become a stranger")
    nobody = pwd.getpwnam("nobody")
    for folder in [tmp_path, *tmp_path.parents]:
        if folder != Path("/") and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o011)
    # All is imported before the identity changes: the sources may lie where nobody may read.
    script = (
        "import agent.cli.group, agent.cli.verbs.status, agent.control.client, json, locale, socket, os, sys; "
        f"os.setgroups([]); os.setgid({nobody.pw_gid}); os.setuid({nobody.pw_uid}); agent.cli.main(sys.argv[1:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "status", "--socket", agent], capture_output=True, text=True, check=False
    )
    one_line(done, exits.NOT_PERMITTED, "user 'nobody' may not ask the agent")
