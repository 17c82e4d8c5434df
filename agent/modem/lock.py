"""Who holds a serial device: the UUCP lock file, and a look at what other processes have open.

Called by the port before it opens a device. A port in other hands is reported with the holder's name and never
fought over: two readers on one port steal each other's bytes (an IMEI field has held another tool's echo).
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import stat
from pathlib import Path

from agent.errors import PortBusy

log = logging.getLogger(__name__)
LOCK_DIRECTORY = Path("/var/lock")
PROGRAM = "modem-agent"  # behind the number, as minicom writes its own
PROC = Path("/proc")
PSEUDO_TERMINALS = range(136, 144)  # major numbers: Documentation/admin-guide/devices.txt of the kernel


class DeviceLock:
    """LCK..ttyUSB2 with our process number in ten columns, as minicom, pppd and gammu write and respect it.

    The file is flock(2)ed besides, which ends with the process however that ends: a number alone would hold the port
    against us once it belongs to another process, and there are but 32 768 of them on a small board.
    """

    def __init__(self, directory: Path = LOCK_DIRECTORY, proc: Path = PROC) -> None:
        self._directory, self._proc = directory, proc
        self._held: tuple[Path, int] | None = None  # the file and its descriptor

    def take(self, device: str) -> None:
        """Raises PortBusy when a living process holds the device; a dead one's lock is swept away."""
        holder = holder_of(device, self._proc)
        if holder:
            raise PortBusy(f"{device}: held by {holder}")
        path = self._directory / lock_name(device)
        for _ in range(2):
            try:
                descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
                self._held = path, descriptor
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.write(descriptor, f"{os.getpid():>10} {PROGRAM}\n".encode())
                return
            except FileExistsError:
                self._sweep(path, device)
            except OSError as error:  # a read-only or missing directory must not keep the household offline
                log.debug("%s: no lock file: %s", path, error)
                return

    def _sweep(self, path: Path, device: str) -> None:
        try:
            number, *program = path.read_text("ascii").split()
            pid = int(number)
        except (OSError, ValueError, UnicodeDecodeError):
            pid, program = 0, []
        alive = pid and pid != os.getpid() and (self._proc / str(pid)).exists()
        if alive and not (program == [PROGRAM] and _abandoned(path)):
            raise PortBusy(f"{device}: locked by {_named(pid, self._proc)}")
        with contextlib.suppress(OSError):
            path.unlink()

    def release(self) -> None:
        if self._held is not None:
            path, descriptor = self._held
            with contextlib.suppress(OSError):
                path.unlink()
            os.close(descriptor)
            self._held = None


def _abandoned(path: Path) -> bool:
    """Whether the agent that wrote this lock is gone, whoever has its number now."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def lock_name(device: str) -> str:
    """By the device itself, not the link that leads to it: two links named alike are two modems."""
    return "LCK.." + os.path.realpath(device).removeprefix("/dev/").replace("/", "_").lstrip("_")


def holder_of(device: str, proc: Path = PROC) -> str:
    """Name and number of another process that has the device open, or "". Sees all of them only as root."""
    target = os.path.realpath(device)
    try:
        node = os.stat(target)
        pids = [name for name in os.listdir(proc) if name.isdigit() and int(name) != os.getpid()]
    except OSError:
        return ""
    return next((_named(int(pid), proc) for pid in pids if _has_open(f"{proc}/{pid}/fd", target, node)), "")


def _has_open(directory: str, target: str, node: os.stat_result) -> bool:
    try:
        # Plain strings: pathlib interns every part, and thousands of process numbers a day grow that table.
        files = {name: os.readlink(f"{directory}/{name}") for name in os.listdir(directory)}
    except OSError:
        return False
    # The path may be another one: a service or a container may have its own mounts. Only what is named alike is looked
    # at closer, since a file on a dead network share answers readlink(2) and not stat(2).
    alike = os.path.basename(target)
    same = (_is(f"{directory}/{name}", node) for name, file in files.items() if os.path.basename(file) == alike)
    return any(same) and not _made(Path(directory).parent, files, target)


def _is(path: str, node: os.stat_result) -> bool:
    """Whether this is the node or another node of its device; each devpts counts its terminals anew."""
    try:
        found = os.stat(path)
    except OSError:
        return False
    if os.path.samestat(found, node):
        return True
    devices = stat.S_ISCHR(found.st_mode) and stat.S_ISCHR(node.st_mode) and found.st_rdev == node.st_rdev
    return devices and os.major(node.st_rdev) not in PSEUDO_TERMINALS


def _made(process: Path, files: dict[str, str], target: str) -> bool:
    """Whether the process holds the master of this pseudo-terminal: it is the far end of the line, no rival."""
    if not target.startswith("/dev/pts/"):
        return False
    index = f"tty-index:\t{target.removeprefix('/dev/pts/')}\n"
    masters = (name for name, file in files.items() if file.endswith("/ptmx"))
    with contextlib.suppress(OSError):
        return any(index in (process / "fdinfo" / name).read_text() for name in masters)
    return False


def _named(pid: int, proc: Path) -> str:
    try:
        return f"{(proc / str(pid) / 'comm').read_text('utf-8', 'replace').strip()} (process {pid})"
    except OSError:
        return f"process {pid}"
