"""The device guest: a whole router with the agent installed from its package, its real unit, and a USB module.

Called by `modem-sim qemu`, by the end-to-end story and by the packaging tests. The host runs commands in it through
run(), pulls cables and power through the machine, and finds the same disk again at the next start.
"""

from __future__ import annotations

import json
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from simulator.qemu.architecture import ARCHITECTURES
from simulator.qemu.cache import find_tool
from simulator.qemu.errors import GuestError
from simulator.qemu.guest import Result
from simulator.qemu.image import PACKAGE, RASPBERRY_PI, device_disk
from simulator.qemu.initramfs import boot_archive
from simulator.qemu.kernel import find_kernel
from simulator.qemu.machine import Hardware, Machine

STATES = ("ext4", "jffs2", "ubifs")
MODEM = "--profile quectel-ec25"
_STATE_MB = 16
_CONTROL = "/run/modem-sim.sock"
# The guest takes commands before its module has booted. Run as sh -c with the socket and a command.
_WHEN_THERE = 'n=0; until [ -S "$0" ] || [ $n -ge 60 ]; do sleep 1; n=$((n + 1)); done; exec "$@"'
_BOARD = {PACKAGE: (), RASPBERRY_PI: ("-device", "i6300esb")}  # a Pi has a watchdog of its own

_MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "crc32c_generic", "ext4", "9pnet_virtio", "9p")
_INIT = """#!/bin/busybox sh
b=/bin/busybox
fail() { echo "guest: $*"; $b poweroff -f; }
$b mkdir -p /proc /sys /dev /new
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
while read -r module; do $b insmod "$module" || fail "insmod $module"; done < /boot-modules
$b mount -t ext4 -o noatime /dev/vda /new || fail "no disk"
$b mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=none share /new/mnt/guest || fail "no share"
for word in $($b cat /proc/cmdline); do case $word in state=*) state=${word#state=} ;; esac; done
$b mount -t tmpfs -o mode=755 run /new/run
$b mount --move /proc /new/proc
$b mount --move /sys /new/sys
$b mount --move /dev /new/dev
$b chroot /new /bin/sh /usr/lib/guest/simulator/qemu/inside/state.sh "$state" || fail "state on $state"
if [ "$state" != fstab ]; then
    $b chmod 750 /new/var/lib/modem-agent
    $b chroot /new /bin/chown modem-agent: /var/lib/modem-agent || fail "no account modem-agent"
fi
exec $b switch_root /new /sbin/init
"""


@dataclass(frozen=True)
class Wiring:
    """How a device is built."""

    suite: str = "bookworm"
    way: str = PACKAGE  # or RASPBERRY_PI: how the agent came onto it
    state: str = "ext4"  # the file system that the agent's state is on
    rtc: str = "utc"  # or a date: a board without a clock begins at 1970-01-01
    modem: str = MODEM  # arguments of the guest's modem program
    memory_mb: int = 512
    cpus: int = 2
    accel: str = "tcg"
    arch: str = "x86_64"  # a row of simulator.qemu.architecture
    append: str = ""  # more words for the kernel

    @property
    def command(self) -> str:
        """The command that tries the same by hand."""
        words = ["modem-sim", "qemu"]
        for option, value, usual in (
            ("--suite", self.suite, "bookworm"),
            ("--arch", self.arch, "x86_64"),
            ("--way", self.way, PACKAGE),
            ("--state", self.state, "ext4"),
            ("--rtc", self.rtc, "utc"),
            ("--modem", self.modem, MODEM),
            ("--accel", self.accel, "tcg"),
            ("--append", self.append, ""),
        ):
            words += [option, value] if value != usual else []
        return shlex.join(words)


def layer_over(base: Path, layer: Path) -> Path:
    """A disk that begins as `base`, which is never written to."""
    command = [
        find_tool("qemu-img", "qemu-utils"),
        "create",
        "-q",
        "-f",
        "qcow2",
        "-F",
        "raw",
        "-b",
        str(base.resolve()),
    ]
    subprocess.run([*command, str(layer)], check=True, timeout=60)
    return layer


def new_state(path: Path, state: str) -> Path:
    """A file for the agent's state: an empty file system, or erased flash."""
    if state == "ext4":
        with path.open("wb") as file:
            file.truncate(_STATE_MB << 20)
        # -m 0: no room is kept for root alone, as firmware-config/raspberry-pi/setup.sh leaves it.
        subprocess.run([find_tool("mkfs.ext4", "e2fsprogs"), "-q", "-F", "-m", "0", str(path)], check=True, timeout=60)
    else:
        path.write_bytes(b"\xff" * (_STATE_MB << 20))
    return path


def with_state(hardware: Hardware, path: Path, state: str) -> Hardware:
    """The machine with its state as the next disk; jffs2's as memory, which inside/state.sh finds on the PCI bus."""
    if state != "jffs2":
        return replace(hardware, disks=[*hardware.disks, path])
    flash = ["-object", f"memory-backend-file,id=flash,share=on,mem-path={path},size={_STATE_MB}M"]
    return replace(hardware, extra=[*hardware.extra, *flash, "-device", "ivshmem-plain,memdev=flash"])


class Device:
    """A device that is built once and may be powered on any number of times, on the same disks. A context manager."""

    def __init__(self, wiring: Wiring | None = None) -> None:
        self.wiring = wiring or Wiring()
        if self.wiring.state == "jffs2" and self.wiring.arch != "x86_64":
            # ARM maps a PCI device's memory so that it takes aligned words only, and phram copies bytes.
            raise GuestError("jffs2: this flash is there on x86_64 only")
        if self.wiring.way == RASPBERRY_PI and self.wiring.state != "ext4":
            raise GuestError(f"{self.wiring.state}: the Pi's script puts the state on ext4")
        self.folder = Path(tempfile.mkdtemp(prefix="modem-agent-device-"))
        self.share = self.folder / "share"  # the guest sees it as /mnt/guest, writable
        self.share.mkdir()
        self._machine: Machine | None = None
        self._hand: Hand | None = None
        self.powered_on_s = 0.0
        self._make_disks()

    def _make_disks(self) -> None:
        base = device_disk(self.wiring.suite, ARCHITECTURES[self.wiring.arch].debian, self.wiring.way)
        layer_over(base, self.folder / "disk.qcow2")
        new_state(self.folder / "state.img", self.wiring.state)

    def power_on(self, timeout_s: float = 120) -> float:
        """Start the machine; returns the seconds until the guest answers."""
        if self._machine is not None:
            raise GuestError("the device is on already")
        board = ARCHITECTURES[self.wiring.arch]
        kernel = find_kernel(board.debian)
        (self.share / "modem.env").write_text(f"MODEM_ARGUMENTS={self.wiring.modem}\n")
        socket_path = self.folder / "hand"
        socket_path.unlink(missing_ok=True)
        self.powered_on_s = time.monotonic()
        hardware = Hardware(
            kernel=kernel.image,
            initramfs=[boot_archive(kernel, _INIT, _MODULES)],
            append=f"state={self._mounted} systemd.show_status=error {self.wiring.append}",
            memory_mb=self.wiring.memory_mb,
            cpus=self.wiring.cpus,
            disks=[self.folder / "disk.qcow2"],
            shares={"share": (self.share, True)},
            rtc=self.wiring.rtc,
            accel=self.wiring.accel,
            architecture=board,
            extra=[*_extra(socket_path), *_BOARD[self.wiring.way]],
        )
        self._machine = Machine(with_state(hardware, self.folder / "state.img", self.wiring.state))
        try:
            self._hand = Hand(socket_path, self._machine, timeout_s)
        except GuestError as error:
            self.power_cut()
            raise GuestError(f"{error}\ntry again with: {self.wiring.command}") from None
        return time.monotonic() - self.powered_on_s

    @property
    def _mounted(self) -> str:
        """What is mounted as the state before systemd starts; the Pi's own table of mounts does it itself."""
        return "fstab" if self.wiring.way == RASPBERRY_PI else self.wiring.state

    def run(self, *command: str, timeout_s: float = 60, check: bool = True) -> Result:
        """Run a command in the guest as root. GuestError when it fails, unless check is False."""
        if self._hand is None:
            raise GuestError("the device is off")
        result = self._hand.run(command, timeout_s)
        if check and result.exit_code != 0:
            raise GuestError(f"{shlex.join(command)}: exit code {result.exit_code}\n{result.output[-2000:]}")
        return result

    def shell(self, text: str, timeout_s: float = 60, check: bool = True) -> str:
        return self.run("sh", "-c", text, timeout_s=timeout_s, check=check).output

    @property
    def machine(self) -> Machine:
        if self._machine is None:
            raise GuestError("the device is off")
        return self._machine

    def unplug(self) -> None:
        """Pull the module's USB cable."""
        self._control(["unplug"], check=True)

    def plug(self) -> None:
        """Push it back in: the module boots."""
        self._control(["plug"], check=True)

    def control(self, words: list[str]) -> str:
        """What `modem-sim ctl` does, to the guest's module; what it says, also when it refuses."""
        return self._control(words, check=False)

    def _control(self, words: list[str], *, check: bool) -> str:
        program = "from simulator.cli import main; main()"
        command = ("env", "PYTHONPATH=/usr/lib/guest:/usr/lib/modem-agent", "python3", "-c", program)
        where = ("ctl", "--control", _CONTROL, "--")
        return self.run("sh", "-c", _WHEN_THERE, _CONTROL, *command, *where, *words, timeout_s=120, check=check).output

    def power_cut(self) -> None:
        """Pull the plug. The disks keep what was flushed."""
        if self._hand is not None:
            self._hand.close()
            self._hand = None
        if self._machine is not None:
            self._machine.close()
            self._machine = None

    def power_off(self, timeout_s: float = 60) -> None:
        """An orderly shutdown."""
        self.run("systemctl", "poweroff", "--no-block")
        if not self.machine.wait(timeout_s):
            raise GuestError(f"no orderly shutdown within {timeout_s:g} s\n{self.machine.last_lines()}")
        self.power_cut()

    def close(self) -> None:
        self.power_cut()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Device:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _extra(hand: Path) -> list[str]:
    """The hand's port, and two virtio NICs on one hub: the LAN port and the household's own card."""
    extra = ["-device", "virtio-serial-pci", "-chardev", f"socket,id=hand,path={hand},server=on,wait=off"]
    extra += ["-device", "virtserialport,chardev=hand,name=hand"]
    for number in (1, 2):
        extra += ["-netdev", f"hubport,id=lan{number},hubid=0"]
        extra += ["-device", f"virtio-net-pci,netdev=lan{number},mac=02:00:00:00:01:0{number},romfile="]
    return extra


class Hand:
    """The host's end of the guest's hand (simulator.qemu.inside.hand): one command at a time."""

    def __init__(self, path: Path, machine: Machine, timeout_s: float) -> None:
        self._machine = machine
        self._limit_s = time.monotonic() + timeout_s
        self._buffer = b""
        self._last = 0
        self._socket = self._connect(path)
        try:
            self._reply(0, timeout_s)
        except GuestError as error:
            self._socket.close()
            raise GuestError(
                f"the device did not come up within {timeout_s:g} s ({error})\n-- console --\n{machine.last_lines()}"
            ) from None

    def _connect(self, path: Path) -> socket.socket:
        while True:
            way = socket.socket(socket.AF_UNIX)
            try:
                way.connect(str(path))
            except OSError as error:
                way.close()
                if time.monotonic() > self._limit_s or not self._machine.running:
                    raise GuestError(f"QEMU does not run\n{self._machine.last_lines()}") from error
                time.sleep(0.05)
            else:
                return way

    def run(self, command: Sequence[str], timeout_s: float) -> Result:
        self._last += 1
        request = {"id": self._last, "command": list(command), "timeout_s": timeout_s}
        self._socket.settimeout(timeout_s)
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        reply = self._reply(self._last, timeout_s + 10)
        return Result(int(reply["exit_code"]), str(reply["output"]))

    def _reply(self, number: int, timeout_s: float) -> dict[str, Any]:
        limit = time.monotonic() + timeout_s
        while True:
            while b"\n" not in self._buffer:
                self._socket.settimeout(max(0.01, limit - time.monotonic()))
                try:
                    received = self._socket.recv(1 << 20)
                except TimeoutError:
                    raise GuestError(f"the guest gave no answer for {timeout_s:g} s") from None
                if not received:
                    raise GuestError(f"the guest is gone\n{self._machine.last_lines()}")
                self._buffer += received
            line, _, self._buffer = self._buffer.partition(b"\n")
            reply: dict[str, Any] = json.loads(line)
            if reply["id"] == number:
                return reply

    def close(self) -> None:
        self._socket.close()
