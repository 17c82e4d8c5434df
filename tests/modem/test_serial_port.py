"""The port itself: taken alone, given back, DTR left alone, with or without a descriptor."""

from __future__ import annotations

import array
import asyncio
import fcntl
import os
import pty
import select
import socket
import stat
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from serial.rfc2217 import PortManager, Serial

import simulator
from agent.config import ModemSettings
from agent.errors import PortAbsent, PortBusy, PortDenied
from agent.modem import Modem
from agent.modem.lock import DeviceLock, holder_of, lock_name
from agent.modem.serial_port import Port

TIOCGEXCL = 0x80045440  # asm-generic/ioctls.h: whether the terminal is taken exclusively


def with_terminal(story: Callable[[str, int], None]) -> None:
    far, near = pty.openpty()
    tty.setraw(near)
    try:
        story(os.ttyname(near), near)
    finally:
        os.close(far)
        os.close(near)


def test_a_device_is_taken_exclusively_and_closing_does_not_hang_up(tmp_path: Path) -> None:
    def story(path: str, near: int) -> None:
        async def whole() -> None:
            port = Port(path, on_data=lambda data: None, on_lost=lambda why: None, lock_directory=tmp_path)
            await port.open()
            try:
                taken = array.array("i", [0])
                fcntl.ioctl(near, TIOCGEXCL, taken)
                assert taken[0]
                assert not termios.tcgetattr(near)[2] & termios.HUPCL
                assert (tmp_path / lock_name(path)).read_text() == f"{os.getpid():>10} modem-agent\n"
            finally:
                port.close()
                port.close()  # twice is once

        asyncio.run(whole())
        assert list(tmp_path.iterdir()) == []

    with_terminal(story)


class Line:
    """The serial line behind an RFC 2217 server: remembers what is set on it."""

    BYTESIZES, PARITIES, STOPBITS = (8,), ("N",), (1,)

    def __init__(self) -> None:
        self.moved: list[str]
        state = {"baudrate": 9600, "bytesize": 8, "parity": "N", "stopbits": 1, "rtscts": False, "xonxoff": False}
        signals = {"cts": True, "dsr": True, "ri": False, "cd": True, "dtr": False, "rts": False}
        self.__dict__.update(moved=[], **state, **signals)

    def __setattr__(self, name: str, value: object) -> None:
        self.__dict__["moved"].append(name)
        self.__dict__[name] = value

    def reset_input_buffer(self) -> None:
        """Asked for at each opening."""

    reset_output_buffer = reset_input_buffer


@contextmanager
def far_end(device: str) -> Iterator[tuple[str, Line]]:
    """An RFC 2217 server in front of a serial device: its URL, and what it was asked to set."""
    line, server = Line(), socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = server.accept()
        near = os.open(device, os.O_RDWR | os.O_NOCTTY)
        sender = SimpleNamespace(write=connection.sendall)
        manager = PortManager(cast("Serial", line), cast("Serial", sender))
        try:
            while True:
                both: list[Any] = [connection, near]
                for ready in select.select(both, [], [])[0]:
                    if ready is near:
                        connection.sendall(b"".join(manager.escape(os.read(near, 4096))))
                    elif not (data := connection.recv(4096)):
                        return
                    else:
                        os.write(near, b"".join(manager.filter(data)))
        except OSError:
            return
        finally:
            os.close(near)
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"rfc2217://127.0.0.1:{server.getsockname()[1]}", line
    finally:
        thread.join(10)
        server.close()


@pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")  # pyserial's
def test_an_rfc2217_url_is_a_port_too_and_its_lines_are_left_alone(tmp_path: Path) -> None:
    with simulator.serve("quectel-ec25") as running, far_end(running.path) as (url, line):

        async def whole() -> None:
            modem = Modem(ModemSettings(port=url), lock_directory=tmp_path)
            try:
                await modem.open()
                assert (await modem.poll()).identity.model == "EC25"
                assert modem.where == url
            finally:
                modem.close()

        asyncio.run(whole())
        assert "baudrate" in line.moved
        assert not {"dtr", "rts"} & set(line.moved)


def test_dtr_and_rts_are_never_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = fcntl.ioctl

    def ioctl(descriptor: int, request: int, *rest: object) -> object:
        asked.append(request)
        return real(descriptor, request, *rest)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(fcntl, "ioctl", ioctl)  # pyserial looks it up in the same module

    def story(path: str, near: int) -> None:
        async def whole() -> None:
            port = Port(path, on_data=lambda data: None, on_lost=lambda why: None, lock_directory=tmp_path)
            await port.open()
            port.write(b"AT\r")
            port.close()

        asyncio.run(whole())

    with_terminal(story)
    assert termios.TIOCEXCL in asked
    assert not {termios.TIOCMBIS, termios.TIOCMBIC, termios.TIOCMSET} & set(asked)


def test_a_port_without_descriptor_is_pumped_by_a_thread(tmp_path: Path) -> None:
    async def whole() -> None:
        arrived: asyncio.Queue[bytes] = asyncio.Queue()
        port = Port("loop://", on_data=arrived.put_nowait, on_lost=lambda why: None, lock_directory=tmp_path)
        await port.open()
        try:
            port.write(b"AT\r")
            got = b""
            while got != b"AT\r":
                got += await asyncio.wait_for(arrived.get(), 10)
        finally:
            port.close()

    asyncio.run(whole())


@pytest.mark.parametrize("where", ["/dev/no-such-port", "socket://127.0.0.1:1", "nonsense://x"])
def test_what_cannot_be_opened_is_absent(where: str, tmp_path: Path) -> None:
    port = Port(where, on_data=lambda data: None, on_lost=lambda why: None, lock_directory=tmp_path)
    with pytest.raises(PortAbsent):
        asyncio.run(port.open())


def test_a_port_that_this_user_may_not_open_is_denied_not_stolen(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("root: only root can become a stranger")

    def story(path: str, near: int) -> None:
        os.chown(path, 0, 0)
        os.chmod(path, 0o600)
        port = Port(path, on_data=lambda data: None, on_lost=lambda why: None, lock_directory=tmp_path)
        os.seteuid(65534)
        try:
            with pytest.raises(PortDenied, match=PortDenied.WORDS):
                asyncio.run(port.open())
        finally:
            os.seteuid(0)

    with_terminal(story)


def test_writing_to_a_closed_port_is_an_error_of_ours(tmp_path: Path) -> None:
    port = Port("/dev/null", on_data=lambda data: None, on_lost=lambda why: None, lock_directory=tmp_path)
    with pytest.raises(PortAbsent):
        port.write(b"AT\r")


def test_the_holder_of_a_device_is_named_from_proc(tmp_path: Path) -> None:
    device = tmp_path / "ttyUSB2"
    device.write_text("")
    held = tmp_path / "proc" / "4321"
    (held / "fd").mkdir(parents=True)
    (held / "comm").write_text("ModemManager\n")
    (held / "fd" / "9").symlink_to(device)
    assert holder_of(str(device), tmp_path / "proc") == "ModemManager (process 4321)"
    lock = DeviceLock(tmp_path, tmp_path / "proc")
    with pytest.raises(PortBusy, match="ModemManager"):
        lock.take(str(device))


def test_a_holder_with_mounts_of_its_own_has_the_device_under_another_path(tmp_path: Path) -> None:
    device, there = tmp_path / "ttyUSB2", tmp_path / "container" / "ttyUSB2"
    there.parent.mkdir()
    device.write_text("")
    held = tmp_path / "proc" / "4321"
    (held / "fd").mkdir(parents=True)
    (held / "comm").write_text("ModemManager\n")
    (held / "fd" / "9").symlink_to(there)
    assert holder_of(str(device), tmp_path / "proc") == ""  # gone meanwhile
    there.write_text("")
    assert holder_of(str(device), tmp_path / "proc") == ""  # another file of that name
    there.unlink()
    there.hardlink_to(device)
    assert holder_of(str(device), tmp_path / "proc") == "ModemManager (process 4321)"


@pytest.mark.root
@pytest.mark.parametrize(("numbers", "held"), [((188, 2), True), ((136, 7), False)])
def test_a_container_s_node_of_the_device_is_the_device(tmp_path: Path, numbers: tuple[int, int], held: bool) -> None:
    """188 is USB serial; 136 are pseudo-terminals, which each devpts numbers from 0."""
    device, there = tmp_path / "7", tmp_path / "container" / "7"
    there.parent.mkdir()
    try:
        for node in (device, there):
            os.mknod(node, 0o600 | stat.S_IFCHR, os.makedev(*numbers))
    except PermissionError:
        pytest.skip("mknod: not permitted here")
    (tmp_path / "proc" / "4321" / "fd").mkdir(parents=True)
    (tmp_path / "proc" / "4321" / "fd" / "9").symlink_to(there)
    assert bool(holder_of(str(device), tmp_path / "proc")) is held


def test_a_dead_agent_s_lock_is_swept_though_its_number_lives_on(tmp_path: Path) -> None:
    (tmp_path / "proc" / "4321").mkdir(parents=True)  # some other process by now
    (tmp_path / "proc" / "4321" / "comm").write_text("dnsmasq\n")
    left = tmp_path / "LCK..ttyUSB2"
    left.write_text("      4321 modem-agent\n")
    lock = DeviceLock(tmp_path, tmp_path / "proc")
    with left.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # as an agent that lives does
        with pytest.raises(PortBusy, match="4321"):
            lock.take("/dev/ttyUSB2")
    lock.take("/dev/ttyUSB2")
    assert left.read_text().split() == [str(os.getpid()), "modem-agent"]
    lock.release()
    left.write_text("      4321 minicom root\n")  # says nothing but its number: believed
    with pytest.raises(PortBusy, match="dnsmasq"):
        lock.take("/dev/ttyUSB2")


def test_a_lock_file_that_says_nothing_is_swept_and_a_folder_that_is_missing_is_no_obstacle(tmp_path: Path) -> None:
    proc = tmp_path / "proc"
    proc.mkdir()
    (tmp_path / "LCK..ttyUSB2").write_bytes(b"\xff\xfe garbage")
    lock = DeviceLock(tmp_path, proc)
    lock.take("/dev/ttyUSB2")
    lock.release()
    assert not (tmp_path / "LCK..ttyUSB2").exists()
    DeviceLock(tmp_path / "missing", proc).take("/dev/ttyUSB2")
