"""One QEMU process: its command line, its bounded life, its QMP socket, its end.

Called by the lean guest and by the device guest. A machine never outlives its owner: QEMU gets SIGKILL when the parent
dies, and `close` leaves no process and no file behind. TCG always, unless told otherwise: KVM may be offered by a
machine and yet hang in firmware for ever.
"""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from simulator.qemu.architecture import X86_64, Architecture
from simulator.qemu.cache import find_tool
from simulator.qemu.errors import GuestError

_QUIET = (
    "quiet loglevel=4 panic=-1 mitigations=off nokaslr cryptomgr.notests audit=0 random.trust_cpu=on "
    "tsc=reliable no_timer_check"
)


@dataclass(frozen=True)
class Hardware:
    """What a machine is made of; `extra` holds further QEMU arguments."""

    kernel: Path | None  # None: the first disk's own boot loader has its way
    initramfs: Sequence[Path] = ()
    append: str = ""
    memory_mb: int = 512
    cpus: int = 1
    disks: Sequence[Path] = ()
    shares: Mapping[str, tuple[Path, bool]] = field(default_factory=dict)  # mount tag -> folder, writable
    rtc: str = "utc"  # or a date: the clock at power-on
    extra: Sequence[str] = ()
    accel: str = "tcg"
    architecture: Architecture = X86_64


def command_line(hardware: Hardware, folder: Path) -> list[str]:
    """QEMU's arguments; the console and the QMP socket go into `folder`."""
    board = hardware.architecture
    qemu = find_tool(board.qemu, board.package)
    command = [
        *(qemu, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *(*board.board, "-accel", hardware.accel),
        *("-m", str(hardware.memory_mb), "-smp", str(hardware.cpus), "-rtc", f"base={hardware.rtc}"),
        *_boot(hardware, folder),
        *("-qmp", f"unix:{folder / 'qmp'},server=on,wait=off"),
        *("-device", "virtio-rng-pci"),
    ]
    for tag, (place, writable) in hardware.shares.items():
        access = "" if writable else ",readonly=on"
        # multidevs=remap: or the inodes of /proc and /sys on the host's root collide.
        share = f"local,path={_escaped(place)},mount_tag={tag},security_model=none,multidevs=remap{access}"
        command += ["-virtfs", share]
    for disk in hardware.disks:
        # directsync: what the guest has not flushed is lost with the process, as with the power.
        command += ["-drive", f"file={_escaped(disk)},if=virtio,format={_format(disk)},cache=directsync,discard=unmap"]
    return [*command, *hardware.extra]


def _boot(hardware: Hardware, folder: Path) -> list[str]:
    """What the machine starts from, and its console: a file; of a given image, whose shell is there, a socket too."""
    console = folder / "console"
    if hardware.kernel is None:
        chardev = f"socket,id=console,path={folder / 'serial'},server=on,wait=off,logfile={console}"
        return [*hardware.architecture.firmware(), "-chardev", chardev, "-serial", "chardev:console"]
    initramfs = folder / "initramfs"
    with initramfs.open("wb") as joined:
        for part in hardware.initramfs:
            joined.write(part.read_bytes())
    append = f"console={hardware.architecture.console} {_QUIET} {hardware.append}"
    boot = ["-kernel", str(hardware.kernel), "-initrd", str(initramfs), "-append", append]
    return [*boot, "-chardev", f"file,id=console,path={console}", "-serial", "chardev:console"]


def _escaped(path: Path) -> str:
    return str(path).replace(",", ",,")


class Machine:
    """A running QEMU. Use as a context manager, or call close()."""

    def __init__(self, hardware: Hardware) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="modem-agent-guest-"))
        self._qmp: socket.socket | None = None
        self._buffer = b""
        command = command_line(hardware, self.folder)
        # QEMU's own complaints (usbnet's among them) go beside the console, to be shown only if the guest fails.
        with (self.folder / "qemu").open("wb") as log:
            self._process = subprocess.Popen(
                [*_bound_to_parent(), *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait(self, timeout_s: float) -> bool:
        """Whether the guest powered itself off in time."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def power_cut(self) -> None:
        """End the machine as a pulled plug does: what the guest had not flushed is gone."""
        if self.running:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait(30)

    def close(self) -> None:
        if self._qmp is not None:
            self._qmp.close()
            self._qmp = None
        self.power_cut()
        shutil.rmtree(self.folder, ignore_errors=True)

    def console(self) -> str:
        """All that the guest's kernel and first programs said, and QEMU's own complaints."""
        texts = [
            path.read_text(errors="replace") for name in ("qemu", "console") if (path := self.folder / name).exists()
        ]
        return "".join(texts).replace("\r", "")

    def last_lines(self, count: int = 15) -> str:
        return "\n".join(self.console().splitlines()[-count:])

    def qmp(self, command: str, **arguments: Any) -> Any:
        """One QMP command, e.g. device_del; returns its result."""
        if self._qmp is None:
            self._connect()
            self.qmp("qmp_capabilities")
        assert self._qmp is not None
        self._qmp.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            message = self._message()
            if "error" in message:
                raise GuestError(f"QMP {command}: {message['error']['desc']}")
            if "return" in message:
                return message["return"]

    def _connect(self, timeout_s: float = 20) -> None:
        limit = time.monotonic() + timeout_s
        while True:
            self._qmp = socket.socket(socket.AF_UNIX)
            self._qmp.settimeout(timeout_s)
            try:
                self._qmp.connect(str(self.folder / "qmp"))
            except OSError as error:
                self._qmp.close()
                self._qmp = None
                if time.monotonic() > limit or not self.running:
                    raise GuestError(f"QEMU does not answer\n{self.last_lines()}") from error
                time.sleep(0.05)  # QEMU makes the socket some milliseconds after its start
            else:
                self._message()  # the greeting
                return

    def _message(self) -> dict[str, Any]:
        assert self._qmp is not None
        while b"\n" not in self._buffer:
            received = self._qmp.recv(65536)
            if not received:
                raise GuestError(f"QEMU closed its QMP socket\n{self.last_lines()}")
            self._buffer += received
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message


def _bound_to_parent() -> list[str]:
    """The prefix that has the kernel kill QEMU when this process dies, however it dies."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


def _format(disk: Path) -> str:
    return "qcow2" if disk.suffix == ".qcow2" else "raw"
