"""The names that a simulator has in the file system: nobody else's are taken, its own are removed, nothing is lost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import simulator
from simulator.errors import SimulatorError
from simulator.ports import ask

MAIN = [sys.executable, "-c", "from simulator.cli import main; main()"]


def start(*words: str) -> subprocess.Popen[str]:
    """A server, once it serves."""
    server = subprocess.Popen([*MAIN, "serve", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert server.stdout is not None
    assert "control: modem-sim ctl" in server.stdout.readline()
    return server


def end(server: subprocess.Popen[str], by: signal.Signals = signal.SIGTERM) -> None:
    server.send_signal(by)
    server.communicate(timeout=20)


def refused(*words: str) -> str:
    done = subprocess.run([*MAIN, "serve", *words], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_a_second_server_on_the_same_names_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    link, control = str(tmp_path / "m"), str(tmp_path / "c")
    server = start("--link", link, "--control", control)
    try:
        for second in (["--link", link, "--control", control], ["--link", f"{link}2", "--control", control]):
            said = refused(*second)
            assert said.startswith(f"modem-sim: {control}: a simulator answers there (pid {server.pid})")
            assert "--link" in said
            assert "--control" in said
        said = refused("--link", link, "--control", f"{control}2")
        assert said.startswith(f"modem-sim: {link}: a simulator answers there (pid {server.pid})")
        assert ask(control, ["status"])["power"] == "on"
        assert os.readlink(link).startswith("/dev/pts/")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "m"]
    finally:
        end(server)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_server_left_is_replaced(tmp_path: Path) -> None:
    words = ["--link", str(tmp_path / "m"), "--control", str(tmp_path / "c")]
    end(start(*words), signal.SIGKILL)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "m"]
    server = start(*words)
    try:
        assert ask(str(tmp_path / "c"), ["status"])["power"] == "on"
    finally:
        end(server)
    assert list(tmp_path.iterdir()) == []


def test_two_in_one_process_are_held_apart_too(tmp_path: Path) -> None:
    with (
        simulator.serve(link=tmp_path / "m"),
        pytest.raises(SimulatorError, match=rf"m: a simulator answers there \(pid {os.getpid()}\)"),
        simulator.serve(link=tmp_path / "m"),
    ):
        pass
    with simulator.serve(link=tmp_path / "m"), simulator.serve(link=tmp_path / "n"):
        assert (tmp_path / "m").is_symlink()


@pytest.mark.parametrize("option", ["link", "control", "listen"])
def test_something_that_is_no_simulators_is_left_alone(tmp_path: Path, option: str) -> None:
    mine = tmp_path / "mine"
    mine.write_text("a letter")
    options: dict[str, Any] = {option: str(mine)}
    with (
        pytest.raises(SimulatorError, match="mine: is there already and is no"),
        simulator.serve(**options),
    ):
        pass
    assert mine.read_text() == "a letter"


def test_a_link_to_a_real_port_is_left_alone(tmp_path: Path) -> None:
    link = tmp_path / "modem0"
    link.symlink_to("/dev/ttyUSB2")
    with pytest.raises(SimulatorError, match="is a link to /dev/ttyUSB2"), simulator.serve(link=link):
        pass
    assert os.readlink(link) == "/dev/ttyUSB2"


def test_names_that_somebody_else_took_meanwhile_stay(tmp_path: Path) -> None:
    link, control = tmp_path / "m", tmp_path / "c"
    with simulator.serve(link=link, control=str(control)):
        link.unlink()
        link.symlink_to("/dev/null")
        control.unlink()
        control.write_text("mine")
    assert os.readlink(link) == "/dev/null"
    assert control.read_text() == "mine"


@pytest.mark.parametrize("option", ["link", "control", "listen", "trace", "sysfs"])
def test_a_missing_folder_is_named_and_not_made(tmp_path: Path, option: str) -> None:
    place = tmp_path / "none" / "x"
    options: dict[str, Any] = {option: str(place)}
    with pytest.raises(SimulatorError, match="none/x: "), simulator.serve(**options):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_socket_path_that_another_program_serves_is_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(place))
        other.listen(1)
        with pytest.raises(SimulatorError, match="answers there"), simulator.serve(listen=str(place)):
            pass
    assert place.is_socket()


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("127.0.0.1:many", "'many' is not a port number"),
        ("127.0.0.1:70000", "'70000' is not a port number"),
        ("rfc2217://localhost", "'localhost' is not a port number"),
        ("192.0.2.1:0", "192.0.2.1:0: "),  # TEST-NET-1 (RFC 5737): nobody has it
        ("7=127.0.0.1:0", "no port 7; there are: 0 diag, 1 nmea, 2 at, 3 modem"),
    ],
)
def test_an_address_that_will_not_do_is_named(where: str, says: str) -> None:
    with pytest.raises(SimulatorError, match=says), simulator.serve(listen=where):
        pass


def test_more_sockets_than_ports_are_refused() -> None:
    with pytest.raises(SimulatorError, match="no further AT port"), simulator.serve(listen=["127.0.0.1:0"] * 3):
        pass
