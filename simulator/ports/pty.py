"""A module's port as a pseudo-terminal behind a link whose name never changes.

A pty has no control lines. What stands for DTR is what lowers it on a real port (termios(3)): the last close, unless
HUPCL is taken away, and the speed B0.

The module leaving the bus closes the terminal, so that whoever reads it gets a hang-up (EIO), and takes the link
away; its return makes a new terminal, under another /dev/pts number, and puts the link back.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import termios
import tty
from pathlib import Path

from simulator.modem.serial_port import SimPort
from simulator.ports.host import Host
from simulator.ports.trace import HOST, MODULE, Trace

_READ_SIZE = 4_096
_CONTROL, _OUTPUT_SPEED = 2, 5  # places in what termios.tcgetattr() returns
_UNREAD_LIMIT = 65_536  # beyond this a host that does not read loses what is oldest, as with a USB FIFO


class PtyPort:
    """open() and close() on the host's loop; `path` is what a client opens."""

    def __init__(self, host: Host, port: SimPort, link: Path, trace: Trace | None = None) -> None:
        self.host, self.port, self.link, self.trace = host, port, link, trace
        self.device = ""
        self._master = self._slave = -1
        self._unsent = bytearray()
        self._watching_write = False
        self._alarm: asyncio.TimerHandle | None = None
        self._watch = -1
        self._clients = 0

    @property
    def path(self) -> str:
        return str(self.link)

    def open(self) -> None:
        if self._master >= 0:
            return
        self._master, self._slave = pty.openpty()
        # Our own open of the client's end keeps the terminal alive between clients; raw, or two echoes would meet.
        tty.setraw(self._slave, termios.TCSANOW)
        _hang_up_on_close(self._slave)
        os.set_blocking(self._master, False)
        self.device = os.ttyname(self._slave)
        _point(self.link, self.device)
        self.host.loop.add_reader(self._master, self._readable)
        self.port.on_output = lambda: self.host.soon(self._flush)
        self._watch = self.host.opens.watch(self.device, self._opened)
        self._every_second()
        self._flush()

    def _every_second(self) -> None:
        self._look()
        self._alarm = self.host.loop.call_later(1.0, self._every_second)

    def _look(self) -> None:
        """At what a terminal tells nobody."""
        with contextlib.suppress(OSError):
            # A terminal whose master lives keeps TIOCEXCL after its client has closed, a real port does not.
            fcntl.ioctl(self._slave, termios.TIOCNXCL)
        if termios.tcgetattr(self._slave)[_OUTPUT_SPEED] == termios.B0:
            self.port.terminal_ready(False)
        elif self._clients > 0:
            self.port.terminal_ready(True)

    def _opened(self, opened: bool) -> None:
        """A client has opened the terminal, or has closed it."""
        self._clients += 1 if opened else -1
        if self._clients > 0:
            self.port.terminal_ready(True)
        elif self._clients == 0 and termios.tcgetattr(self._slave)[_CONTROL] & termios.HUPCL:
            self._readable()  # what it wrote last comes before its going
            self._flush()
            self.port.terminal_ready(False)
            while self.port.take():  # said to nobody
                pass

    def close(self) -> None:
        if self._master < 0:
            return
        self.port.on_output = None
        self._flush()  # what the module said last still arrives, as from a USB FIFO
        if self._alarm is not None:
            self._alarm.cancel()
        self.host.opens.forget(self._watch)
        self._clients = 0
        self.host.loop.remove_reader(self._master)
        self._watch_write(False)
        with contextlib.suppress(OSError):
            if os.readlink(self.link) == self.device:  # while the terminal is held, nobody else's link leads to it
                self.link.unlink()
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1
        self._unsent.clear()

    def _readable(self) -> None:
        try:
            data = os.read(self._master, _READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data:
            self._note(HOST, data)
            self.port.receive(data)

    def _flush(self) -> None:
        """Write piece by piece, so that pieces stay pieces for a reader that is quick enough."""
        while self._master >= 0:
            if not self._unsent:
                piece = self._take()
                if not piece:
                    break
                self._unsent += piece
            try:
                sent = os.write(self._master, self._unsent)
            except (BlockingIOError, InterruptedError):
                self._take_rest()
                self._watch_write(True)
                return
            except OSError:
                self._unsent.clear()
                return
            del self._unsent[:sent]
        self._watch_write(False)

    def _take(self) -> bytes:
        piece = self.port.take()
        if piece:
            self._note(MODULE, piece)
        return piece

    def _note(self, sign: str, data: bytes) -> None:
        if self.trace is not None:
            self.trace.note(self.port.interface, sign, data)

    def _take_rest(self) -> None:
        while piece := self._take():
            self._unsent += piece
        del self._unsent[:-_UNREAD_LIMIT]

    def _watch_write(self, wanted: bool) -> None:
        if wanted and not self._watching_write:
            self.host.loop.add_writer(self._master, self._flush)
        elif not wanted and self._watching_write:
            self.host.loop.remove_writer(self._master)
        self._watching_write = wanted


def _hang_up_on_close(terminal: int) -> None:
    """As a serial port is when it is opened; a pty begins without (termios(3), HUPCL)."""
    attributes = termios.tcgetattr(terminal)
    attributes[_CONTROL] |= termios.HUPCL
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)


def _point(link: Path, target: str) -> None:
    """Make or move a symbolic link in one step."""
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    temporary.symlink_to(target)
    temporary.replace(link)
