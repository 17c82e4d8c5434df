"""A served module as clients meet it: a pty, a socket, unplugging, and the control socket."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import struct
import termios
import time
from pathlib import Path

import pytest
import serial

import simulator
from agent.modem.cause import CAUSES
from agent.modem.lock import holder_of
from simulator.causes import RECIPES
from simulator.errors import SimulatorError
from simulator.ports import ask


def exchange(fd: int, command: bytes, until: bytes = b"OK\r\n", timeout_s: float = 5.0) -> bytes:
    os.write(fd, command)
    return read_until(fd, until, timeout_s)


def read_until(fd: int, until: bytes, timeout_s: float = 5.0) -> bytes:
    seen, deadline = b"", time.monotonic() + timeout_s
    while until not in seen and time.monotonic() < deadline:
        if select.select([fd], [], [], 0.1)[0]:
            data = os.read(fd, 4096)
            if not data:
                break
            seen += data
    return seen


def test_a_pty_answers_behind_its_link(tmp_path: Path) -> None:
    with simulator.serve("quectel-ec25", link=tmp_path / "modem0") as running:
        assert running.path == str(tmp_path / "modem0")
        with serial.Serial(running.path, 115200, timeout=5) as port:
            port.write(b"ATE0\r")
            assert port.read_until(b"OK\r\n") == b"ATE0\r\r\nOK\r\n"
            port.write(b"AT+CSQ\r")
            assert port.read_until(b"OK\r\n") == b"\r\n+CSQ: 24,99\r\n\r\nOK\r\n"
    assert not (tmp_path / "modem0").is_symlink()


def test_two_modules_have_names_that_programs_can_lock() -> None:
    """A program that dials locks /var/lock/LCK..NAME, whatever folder NAME is in (FHS 3.0, 5.9)."""
    with simulator.serve() as one, simulator.serve() as other:
        assert Path(one.path).name != Path(other.path).name


def test_unplugging_hangs_up_and_plugging_brings_a_new_terminal() -> None:
    with simulator.serve(pace=0.01) as running:
        fd = os.open(running.path, os.O_RDWR | os.O_NOCTTY)
        try:
            assert b"OK" in exchange(fd, b"AT\r")
            before = os.readlink(running.path)
            running.unplug()
            assert not Path(running.path).exists()
            with pytest.raises(OSError, match="Input/output error"):
                os.write(fd, b"AT\r")
            running.plug()
            assert os.readlink(running.path) != before, "the old terminal is still held: the number must move"
        finally:
            os.close(fd)
        fd = os.open(running.path, os.O_RDWR | os.O_NOCTTY)
        try:
            boot = read_until(fd, b"PB DONE\r\n")
            assert boot.index(b"RDY") < boot.index(b"+CPIN: READY")
            assert b"OK" in exchange(fd, b"AT\r")
        finally:
            os.close(fd)


def test_a_restart_command_takes_the_port_away_and_gives_it_back() -> None:
    with simulator.serve(pace=0.01) as running:
        seen: list[str] = []
        running.modem.watchers.append(seen.append)
        with serial.Serial(running.path, timeout=5) as port:
            port.write(b"AT+CFUN=1,1\r")
            with contextlib.suppress(serial.SerialException):  # a busy reader finds the port gone with its last word
                assert b"OK" in port.read_until(b"OK\r\n")
            deadline = time.monotonic() + 5
            while "back on the bus" not in seen and time.monotonic() < deadline:
                select.select([], [], [], 0.01)
        assert seen == ["restart", "gone from the bus", "back on the bus"]


def test_every_port_is_served_when_asked() -> None:
    with simulator.serve(every_port=True) as running:
        assert sorted(running.paths) == [0, 1, 2, 3]
        nmea = os.open(running.paths[1], os.O_RDWR | os.O_NOCTTY)
        diag = os.open(running.paths[0], os.O_RDWR | os.O_NOCTTY)
        try:
            os.write(diag, b"AT\r")
            sentence = read_until(nmea, b"\r\n")
            assert sentence.startswith(b"$GPGGA,")
            assert not select.select([diag], [], [], 0.05)[0], "a DIAG port is deaf to AT"
        finally:
            os.close(nmea)
            os.close(diag)


def test_tcp_and_unix_sockets(tmp_path: Path) -> None:
    with simulator.serve(listen="127.0.0.1:0") as running:
        assert running.path.startswith("socket://127.0.0.1:")
        port = serial.serial_for_url(running.path, timeout=5)
        port.write(b"AT\r")
        assert b"OK" in port.read_until(b"OK\r\n")
        port.close()
    where = str(tmp_path / "modem.sock")
    with simulator.serve(listen=where) as running, socket.socket(socket.AF_UNIX) as client:
        client.connect(where)
        client.sendall(b"ATE0\r")
        assert b"OK" in read_until(client.fileno(), b"OK\r\n")
        running.unplug()
        assert client.recv(10) == b""


def test_a_second_client_of_a_socket_is_turned_away() -> None:
    with simulator.serve(listen="127.0.0.1:0") as running:
        address = running.path.removeprefix("socket://").split(":")
        with socket.create_connection((address[0], int(address[1]))) as first:
            first.sendall(b"AT\r")
            assert b"OK" in read_until(first.fileno(), b"OK\r\n")
            with socket.create_connection((address[0], int(address[1]))) as second:
                assert second.recv(10) == b""


def test_the_control_socket_changes_the_running_module(tmp_path: Path) -> None:
    control = str(tmp_path / "control.sock")
    with simulator.serve(control=control) as running:
        assert ask(control, ["set", "rsrp", "-115"]) == {"rsrp": -115.0}
        fd = os.open(running.path, os.O_RDWR | os.O_NOCTTY)
        try:
            assert b",-115,-10,-85,13,9\r\n" in exchange(fd, b'AT+QENG="servingcell"\r')
        finally:
            os.close(fd)
        assert ask(control, ["status"])["rsrp_dbm"] == -115.0
        ask(control, ["unplug"])
        assert not running.present
        ask(control, ["plug"])
        assert running.present
        with pytest.raises(SimulatorError, match="no fault named 'flood'"):
            ask(control, ["fault", "flood"])
        with pytest.raises(SimulatorError, match="is not a number"):
            ask(control, ["set", "rsrp", "loud"])
        assert os.stat(control).st_mode & 0o777 == 0o600


def test_every_cause_can_be_provoked_from_the_shell(tmp_path: Path) -> None:
    control = str(tmp_path / "control.sock")
    with simulator.serve(control=control, pace=0.01) as running:
        assert set(RECIPES) == set(CAUSES)
        for cause in RECIPES:
            ask(control, ["provoke", cause])
            if cause == "port-stolen":
                assert "process" in holder_of(running.path)
        ask(control, ["provoke", "none"])
        assert holder_of(running.path) == ""
        assert running.present
        assert running.modem.faults == {}
        with pytest.raises(SimulatorError, match="no cause named 'ghost'"):
            ask(control, ["provoke", "ghost"])


def test_an_exclusive_client_that_has_gone_leaves_the_port_free() -> None:
    with simulator.serve() as running:
        fd = os.open(running.path, os.O_RDWR | os.O_NOCTTY)
        fcntl.ioctl(fd, termios.TIOCEXCL)
        os.close(fd)
        running.host.call(running.ptys[2]._look)
        held = struct.unpack("i", fcntl.ioctl(running.ptys[2]._slave, 0x80045440, b"\0" * 4))[0]  # TIOCGEXCL
        assert held == 0


def test_an_unserved_control_socket_says_so(tmp_path: Path) -> None:
    with pytest.raises(SimulatorError, match="no simulator answers there"):
        ask(str(tmp_path / "nobody"), ["status"])


def test_sysfs_shows_the_module_and_moves_its_numbers(tmp_path: Path) -> None:
    with simulator.serve(every_port=True, sysfs=str(tmp_path), pace=0.01) as running:
        tty = tmp_path / "sys/class/tty/ttyUSB2"
        interface = (tty / "device" / "..").resolve()
        assert (interface / "bInterfaceNumber").read_text() == "02\n"
        assert (interface / "../idVendor").read_text() == "2c7c\n"
        assert (tmp_path / "dev/ttyUSB2").resolve() == Path(running.path).resolve()
        running.unplug()
        assert not tty.exists()
        running.plug()
        assert (tmp_path / "sys/class/tty/ttyUSB6").exists()
        assert not tty.exists()


def test_leaving_the_block_leaves_nothing_behind() -> None:
    before = set(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with simulator.serve(every_port=True) as running:
            assert running.present
    assert set(os.listdir("/proc/self/fd")) == before


def dialled(path: str) -> int:
    port = os.open(path, os.O_RDWR | os.O_NOCTTY)
    os.write(port, b"ATE0D*99#\r")
    assert b"CONNECT" in read_until(port, b"CONNECT 150000000\r\n")
    return port


def hung_up(running: simulator.Running) -> bool:
    limit = time.monotonic() + 10
    while running.modem.calling and time.monotonic() < limit:
        time.sleep(0.01)  # another thread's doing
    return not running.modem.calling


def test_the_last_close_of_a_terminal_hangs_up_as_dtr_does() -> None:
    with simulator.serve("quectel-ec25") as running:
        port, second = dialled(running.path), os.open(running.path, os.O_RDWR | os.O_NOCTTY)
        os.close(port)
        os.write(second, b"\x7e")
        running.host.call(running.host.opens.readable)
        assert running.modem.calling, "another program has it open"
        os.close(second)
        assert hung_up(running)
        fresh = os.open(running.path, os.O_RDWR | os.O_NOCTTY)
        os.write(fresh, b"AT\r")
        assert read_until(fresh, b"OK\r\n") == b"\r\nOK\r\n", "what was said to nobody is gone"
        os.close(fresh)


def test_a_terminal_without_hupcl_or_with_d0_keeps_its_call() -> None:
    for command, flag in ((b"AT\r", termios.HUPCL), (b"AT&D0\r", 0)):
        with simulator.serve("quectel-ec25") as running:
            port = os.open(running.path, os.O_RDWR | os.O_NOCTTY)
            os.write(port, command)
            assert b"OK" in read_until(port, b"OK\r\n")
            attributes = termios.tcgetattr(port)
            assert attributes[2] & termios.HUPCL, "as a serial port begins"
            attributes[2] &= ~flag
            termios.tcsetattr(port, termios.TCSANOW, attributes)
            os.close(dialled(running.path))
            os.close(port)
            running.host.call(running.host.opens.readable)
            assert running.modem.calling


def test_speed_zero_hangs_up() -> None:
    with simulator.serve("quectel-ec25") as running:
        port = dialled(running.path)
        attributes = termios.tcgetattr(port)
        attributes[5] = termios.B0
        termios.tcsetattr(port, termios.TCSANOW, attributes)
        assert b"NO CARRIER" in read_until(port, b"CARRIER\r\n")
        os.close(port)
