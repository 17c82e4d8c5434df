"""The serial port: the only importer of pyserial. Bytes in both directions, taken for this process alone.

Called by the Modem on the event loop. A device (/dev/…) is read by the loop itself; a pyserial URL that has no
descriptor (rfc2217://) by one thread that only hands bytes over. DTR and RTS are never touched: on some modules they
hang up the data call, through usbip and QEMU the ioctl fails, and closing must not drop DTR either (HUPCL).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import logging
import os
import termios
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import serial

from agent.errors import ModemError, PortAbsent, PortBusy, PortDenied
from agent.modem.lock import LOCK_DIRECTORY, DeviceLock

log = logging.getLogger(__name__)
Opened = TypeVar("Opened", bound=serial.SerialBase)
CHUNK = 4096
_GONE = frozenset({errno.EIO, errno.ENODEV, errno.ENXIO, errno.ENOENT, errno.EBADF, errno.EPIPE, errno.ECONNRESET})


_NO_TERMINAL = f"({errno.ENOTTY}, "  # pyserial hides the errno in the words of its exception


class _Channel:
    """A control channel that has no terminal settings (cdc-wdm), by the names that Port uses of pyserial."""

    def __init__(self, where: str) -> None:
        self._fd = os.open(where, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._fd)
            raise

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        os.close(self._fd)


class Port:
    """One open port. `on_data` gets bytes, `on_lost` the reason once; both are called on the loop."""

    def __init__(
        self,
        where: str,
        *,
        baud: int = 115_200,
        on_data: Callable[[bytes], None],
        on_lost: Callable[[str], None],
        lock_directory: Path = LOCK_DIRECTORY,
    ) -> None:
        self.where = where
        self._baud = baud
        self._on_data, self._on_lost = on_data, on_lost
        self._lock = DeviceLock(lock_directory)
        self._serial: serial.SerialBase | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fd = -1
        self._pump: threading.Thread | None = None
        self._closing = threading.Event()

    @property
    def is_url(self) -> bool:
        return "://" in self.where

    async def open(self) -> None:
        """Take the port. Raises PortAbsent or PortBusy; never waits for another holder."""
        self._loop = asyncio.get_running_loop()
        try:
            if self.is_url:
                self._serial = await self._loop.run_in_executor(None, self._open_url)
            else:
                self._serial = self._open_device()
        except ModemError:
            self._lock.release()
            raise
        except (OSError, ValueError) as error:
            self._lock.release()
            raise _refused(self.where, error) from error
        self._listen()

    def _open_url(self) -> serial.SerialBase:
        # No write timeout: rfc2217 has none to set (its socket gives up after five seconds by itself).
        port = _hands_off(serial.serial_for_url(self.where, baudrate=self._baud, timeout=0.5, do_not_open=True))
        port.open()
        return port

    def _open_device(self) -> Any:  # pyserial's, or a _Channel by the same names
        if not os.path.exists(self.where):
            raise PortAbsent(f"{self.where}: no such port")
        self._lock.take(self.where)
        port = _hands_off(serial.Serial())
        port.port, port.baudrate, port.exclusive = self.where, self._baud, True  # exclusive: flock, seen by pyserial
        try:
            port.open()
        except serial.SerialException as error:
            if _NO_TERMINAL not in str(error):
                raise
            return _Channel(self.where)
        try:
            fcntl.ioctl(port.fileno(), termios.TIOCEXCL)  # seen by everybody else
            attributes = termios.tcgetattr(port.fileno())
            attributes[2] &= ~termios.HUPCL
            termios.tcsetattr(port.fileno(), termios.TCSANOW, attributes)
        except (OSError, termios.error) as error:
            log.debug("%s: %s", self.where, error)
        return port

    def _listen(self) -> None:
        assert self._serial is not None
        assert self._loop is not None
        try:
            self._fd = self._serial.fileno()
        except (AttributeError, OSError, ValueError):
            self._pump = threading.Thread(target=self._pump_bytes, name="modem-port", daemon=True)
            self._pump.start()
            return
        os.set_blocking(self._fd, False)
        self._loop.add_reader(self._fd, self._readable)

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self._lost(error.strerror or str(error))
            return
        if data:
            self._on_data(data)
        else:
            self._lost("the port hung up")

    def _pump_bytes(self) -> None:
        """The thread of a port without descriptor: reads, hands over, nothing else."""
        assert self._serial is not None
        assert self._loop is not None
        try:
            while not self._closing.is_set():
                data = self._serial.read(max(1, min(CHUNK, int(getattr(self._serial, "in_waiting", 1)))))
                if data:
                    self._loop.call_soon_threadsafe(self._on_data, bytes(data))
        except (OSError, ValueError, TypeError) as error:
            if not self._closing.is_set():
                with contextlib.suppress(RuntimeError):  # the loop may be over already
                    self._loop.call_soon_threadsafe(self._lost, str(error))

    def write(self, data: bytes) -> None:
        """Send one command line; lines are short, so the kernel's buffer takes them or the module is stuck."""
        if self._serial is None:
            raise PortAbsent(f"{self.where}: not open")
        try:
            if self._pump is not None:
                self._serial.write(data)
                return
            sent = os.write(self._fd, data)
        except BlockingIOError as error:
            raise ModemError(f"{self.where}: the module takes no more bytes") from error
        except OSError as error:
            self._lost(error.strerror or str(error))
            raise PortAbsent(f"{self.where}: {error.strerror or error}") from error
        if sent != len(data):
            raise ModemError(f"{self.where}: the module takes no more bytes")

    def _lost(self, reason: str) -> None:
        if self._serial is not None:
            self.close()
            self._on_lost(reason)

    def close(self) -> None:
        """Give the port back; may be called twice."""
        self._closing.set()
        port, self._serial = self._serial, None
        if port is None:
            return
        if self._pump is None and self._loop is not None:
            self._loop.remove_reader(self._fd)
        with contextlib.suppress(OSError, termios.error):
            port.close()
        if self._pump is not None and self._pump is not threading.current_thread():
            self._pump.join(timeout=2)
        self._lock.release()


def _hands_off(port: Opened) -> Opened:
    """The same port, not yet open, made to leave DTR and RTS as they are; rfc2217 would set those of the far end."""
    for line in ("_update_dtr_state", "_update_rts_state"):
        setattr(port, line, lambda: None)
    return port


def _refused(where: str, error: OSError | ValueError) -> ModemError:
    """pyserial hides the errno in its own exception; give the reason a class of ours."""
    number = getattr(error, "errno", None)
    if number in (errno.EACCES, errno.EPERM):
        return PortDenied(where)
    if number in (errno.EBUSY, errno.EAGAIN) or "exclusively lock" in str(error):
        return PortBusy(f"{where}: held by another process")
    return PortAbsent(f"{where}: {error}")


def gone(error: OSError) -> bool:
    """Whether an error of a descriptor means that the device has left the bus."""
    return error.errno in _GONE
