"""A machine that is booted once, frozen to a file, and thawed as often as wished: a power-on that costs a second.

For the power campaign. What is frozen must not have touched the disk that the cuts are about; the program in the guest
sees to it (simulator.qemu.inside.power). It needs a virtio port: `Line` is the host's end of it.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from simulator.qemu.errors import GuestError
from simulator.qemu.machine import Hardware, Machine

_MOST_BYTES_S = 4 << 30


class Line:
    """Lines of JSON to and from a program in the guest. Reads for itself, so that the guest never waits for us."""

    def __init__(self, path: Path, machine: Machine, timeout_s: float) -> None:
        self._machine = machine
        self._socket = _connected(path, machine, timeout_s)
        self._changed = threading.Condition()
        self._events: list[dict[str, Any]] = []
        self._last: dict[str, Any] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        buffer = b""
        while received := self._socket.recv(1 << 16):
            *lines, buffer = (buffer + received).split(b"\n")
            with self._changed:
                for line in lines:
                    message = json.loads(line)
                    if "event" in message:
                        self._events.append(message)
                    else:
                        self._last = message
                self._changed.notify_all()

    def tell(self, **words: Any) -> None:
        self._socket.sendall(json.dumps(words).encode() + b"\n")

    def wait(self, event: str, timeout_s: float) -> dict[str, Any]:
        """The event of this name. GuestError when the guest says that it failed, or says nothing in time."""
        limit = time.monotonic() + timeout_s
        with self._changed:
            while True:
                for message in self._events:
                    if message["event"] == event:
                        return message
                    if message["event"] == "failed":
                        raise GuestError(f"the guest failed before '{event}'\n{message['why']}")
                if time.monotonic() > limit or not self._machine.running:
                    raise GuestError(f"no '{event}' within {timeout_s:g} s\n{self._machine.last_lines()}")
                self._changed.wait(0.2)

    def end(self) -> dict[str, Any]:
        """After the power went: all that had left the guest is read; its last line that is no event."""
        self._reader.join(30)
        self._socket.close()
        return self._last


def port(path: Path) -> list[str]:
    """QEMU's arguments for the guest's end."""
    arguments = ["-device", "virtio-serial-pci", "-chardev", f"socket,id=line,path={path},server=on,wait=off"]
    return [*arguments, "-device", "virtserialport,chardev=line,name=line"]


def freeze(hardware: Hardware, line_path: Path, image: Path, timeout_s: float) -> None:
    """Boot until the guest says `ready`, and write the machine's memory and devices to `image`."""
    with Machine(hardware) as machine:
        line = Line(line_path, machine, timeout_s)
        line.wait("ready", timeout_s)
        way = image.with_suffix(".socket")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(way))
            server.listen(1)
            server.settimeout(timeout_s)
            machine.qmp("migrate-set-parameters", **{"max-bandwidth": _MOST_BYTES_S})
            machine.qmp("migrate", uri=f"unix:{way}")
            sender, _ = server.accept()
            with sender, image.open("wb") as file:
                while piece := sender.recv(1 << 20):
                    file.write(piece)
        state = machine.qmp("query-migrate")["status"]
        if state != "completed":
            raise GuestError(f"the machine could not be frozen: {state}")
        machine.power_cut()
        line.end()
    line_path.unlink(missing_ok=True)


def thaw(hardware: Hardware, line_path: Path, image: Path, timeout_s: float) -> tuple[Machine, Line]:
    """A machine as it was frozen, with the disks as they are now. The caller closes it."""
    way = image.with_suffix(".thaw")
    way.unlink(missing_ok=True)
    line_path.unlink(missing_ok=True)
    machine = Machine(replace(hardware, extra=[*hardware.extra, "-incoming", f"unix:{way}"]))
    try:
        line = Line(line_path, machine, timeout_s)
        with _connected(way, machine, timeout_s) as receiver, image.open("rb") as file:
            receiver.sendfile(file)
        _wait_running(machine, timeout_s)
    except BaseException:
        machine.close()
        raise
    return machine, line


def _wait_running(machine: Machine, timeout_s: float) -> None:
    limit = time.monotonic() + timeout_s
    while not machine.qmp("query-status")["running"]:
        if time.monotonic() > limit or not machine.running:
            raise GuestError(f"the machine did not thaw within {timeout_s:g} s\n{machine.last_lines()}")
        time.sleep(0.02)


def _connected(path: Path, machine: Machine, timeout_s: float) -> socket.socket:
    limit = time.monotonic() + timeout_s
    while True:
        way = socket.socket(socket.AF_UNIX)
        try:
            way.connect(str(path))
        except OSError as error:
            way.close()
            if time.monotonic() > limit or not machine.running:
                raise GuestError(f"QEMU does not answer\n{machine.last_lines()}") from error
            time.sleep(0.02)
        else:
            return way


__all__: Sequence[str] = ("Line", "freeze", "port", "thaw")
