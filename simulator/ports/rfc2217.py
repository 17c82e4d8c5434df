"""RFC 2217 on a module's port: speed, framing and the control lines beside the bytes, by pyserial's own server side.

A pty has no control lines; this has. DTR is the module's circuit 108/2, RTS is kept as the client set it, DCD is the
module's circuit 109, CTS and DSR are up while the module is on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from serial.rfc2217 import PortManager

from simulator.modem.serial_port import SimPort


@dataclass
class Lines:
    """What PortManager takes for a serial port."""

    port: SimPort
    baudrate: int = 115_200
    bytesize: int = 8
    parity: str = "N"
    stopbits: float = 1
    rts: bool = True
    xonxoff: bool = False
    rtscts: bool = False
    break_condition: bool = False
    ri: bool = False
    _dtr: bool = True

    @property
    def cts(self) -> bool:
        return self.port.modem.state.power.state == "on"

    dsr = cts

    @property
    def dtr(self) -> bool:
        return self._dtr

    @dtr.setter
    def dtr(self, up: bool) -> None:
        self._dtr = up
        self.port.terminal_ready(up)

    @property
    def cd(self) -> bool:
        return self.port.carrier

    def reset_input_buffer(self) -> None: ...

    def reset_output_buffer(self) -> None:
        while self.port.take():
            pass


class Telnet:
    """One client's connection; `write` sends to it."""

    def __init__(self, port: SimPort, write: Callable[[bytes], object]) -> None:
        self.lines = Lines(port)
        self._write = write
        self._manager = PortManager(self.lines, self)  # type: ignore[arg-type]  # it needs no more of either than is here

    def write(self, data: bytes) -> None:
        """For PortManager: what it answers to the client."""
        self._write(data)

    def decode(self, data: bytes) -> bytes:
        return b"".join(self._manager.filter(data))

    def encode(self, data: bytes) -> bytes:
        return b"".join(self._manager.escape(data))

    def lines_changed(self) -> None:
        self._manager.check_modem_lines()
