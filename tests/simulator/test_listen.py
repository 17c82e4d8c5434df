"""Ports on sockets: each AT port, RFC 2217 with its control lines, abstract names."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import serial

import simulator
from simulator.errors import SimulatorError
from tests.simulator.test_serve import read_until


def until(true: Callable[[], bool]) -> bool:
    limit = time.monotonic() + 10
    while not true() and time.monotonic() < limit:
        time.sleep(0.01)  # another thread's socket cannot be awaited otherwise
    return true()


def test_each_at_port_has_a_socket_of_its_own(tmp_path: Path) -> None:
    second = str(tmp_path / "second")
    with simulator.serve("quectel-ec25", listen=["127.0.0.1:0", second]) as running:
        assert running.path.startswith("socket://127.0.0.1:")
        assert running.paths == {2: running.path, 3: second}
        with serial.serial_for_url(running.path, timeout=10) as one, socket.socket(socket.AF_UNIX) as two:
            two.connect(second)
            one.write(b"ATE0\r")
            two.sendall(b"ATI\r")
            assert b"OK" in one.read_until(b"OK\r\n")
            assert b"EC25" in read_until(two.fileno(), b"OK\r\n")
        assert running.commands(2) == ["ATE0"]
        assert running.commands(3) == ["ATI"]


def test_a_port_may_be_named_by_its_interface(tmp_path: Path) -> None:
    with simulator.serve("quectel-ec25", listen=f"3={tmp_path / 's'}", link=tmp_path / "m") as running:
        assert running.paths == {2: str(tmp_path / "m"), 3: str(tmp_path / "s")}
    nmea = str(tmp_path / "nmea")
    with simulator.serve("quectel-ec25", listen=f"1={nmea}"), socket.socket(socket.AF_UNIX) as client:
        client.connect(nmea)
        assert read_until(client.fileno(), b"\r\n").startswith(b"$GPGGA")


@pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")  # pyserial's client
def test_rfc2217_carries_bytes_speed_and_control_lines() -> None:
    with simulator.serve("quectel-ec25", listen="rfc2217://127.0.0.1:0", seed=3) as running:
        assert running.path.startswith("rfc2217://127.0.0.1:")
        with serial.serial_for_url(running.path, baudrate=9600, timeout=10) as port:
            encoding = running.streams[2]._encoding
            port.write(b"AT+CGSN\r")
            assert running.modem.state.imei.encode() in port.read_until(b"OK\r\n")
            assert encoding.lines.baudrate == 9600  # type: ignore[attr-defined]
            port.baudrate, port.dtr, port.rts = 460_800, False, False
            assert until(lambda: not encoding.lines.dtr and not encoding.lines.rts)  # type: ignore[attr-defined]
            assert encoding.lines.baudrate == 460_800  # type: ignore[attr-defined]
            port.dtr = True
            assert until(lambda: port.dsr and port.cts)
            assert not port.cd
            port.write(b"ATD*99#\r")
            assert b"CONNECT" in port.read_until(b"\r\n", 100) + port.read_until(b"\r\n") + port.read_until(b"\r\n")
            assert until(lambda: port.cd), "DCD is up while a call is"


@pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")
def test_every_byte_survives_rfc2217(monkeypatch: pytest.MonkeyPatch) -> None:
    every = bytes(range(256)) + b"\xff\xff"
    with simulator.serve("quectel-ec25", listen="rfc2217://127.0.0.1:0") as running:
        heard: list[bytes] = []
        port = running.modem.at
        monkeypatch.setattr(port, "receive", heard.append)
        with serial.serial_for_url(running.path, timeout=10) as client:
            client.write(every)
            assert until(lambda: b"".join(heard) == every)
            running.host.call(lambda: port.send(every))
            assert client.read(len(every)) == every


def test_an_abstract_name_is_taken_as_it_stands() -> None:
    name = f"abstract:modem-sim-test-{time.monotonic_ns()}"
    with simulator.serve("quectel-ec25", listen=name) as running:
        assert running.path == name
        with socket.socket(socket.AF_UNIX) as client:
            client.connect("\0" + name)
            client.sendall(b"AT\r")
            assert b"OK" in read_until(client.fileno(), b"OK\r\n")
        with pytest.raises(SimulatorError, match="answers there"), simulator.serve(listen=name):
            pass


@pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")
def test_falling_dtr_over_rfc2217_hangs_up() -> None:
    with simulator.serve("quectel-ec25", listen="rfc2217://127.0.0.1:0") as running:
        with serial.serial_for_url(running.path, timeout=10) as port:
            port.write(b"ATE0D*99#\r")
            assert b"CONNECT" in port.read_until(b"CONNECT 150000000\r\n")
            port.dtr = False
            assert port.read_until(b"CARRIER\r\n").endswith(b"\r\nNO CARRIER\r\n")
            assert until(lambda: not port.cd)
            port.dtr = True
            port.write(b"ATD*99#\r")
            assert b"CONNECT" in port.read_until(b"CONNECT 150000000\r\n")
        assert until(lambda: not running.modem.calling), "whoever closes the connection lets DTR fall"


def test_closing_a_socket_hangs_up(tmp_path: Path) -> None:
    with simulator.serve("quectel-ec25", listen=str(tmp_path / "at")) as running:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(running.path)
            client.sendall(b"ATD*99#\r")
            assert b"CONNECT" in read_until(client.fileno(), b"CONNECT 150000000\r\n")
        assert until(lambda: not running.modem.calling)
