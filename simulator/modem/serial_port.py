"""What every serial port of a module has: an interface number, a role, bytes in and bytes out, two control lines.

A shell (pty, TCP, a test) calls receive() with what the host wrote and take() for what to send back; `on_output`
tells it that there is something.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.modem.modem import SimModem


class SimPort:
    """A DIAG port, and what all others build on."""

    def __init__(self, modem: SimModem, interface: int, role: str) -> None:
        self.modem, self.interface, self.role = modem, interface, role
        self._listener: Callable[[], None] | None = None
        self.written_bytes = 0
        self.received_bytes = 0
        self._output: deque[bytes] = deque()
        self._free_at = 0.0  # when the last piece that a fault holds back will have left

    def receive(self, data: bytes) -> None:
        """What the host wrote. A DIAG or NMEA port does not answer to AT."""
        self.received_bytes += len(data)

    @property
    def carrier(self) -> bool:
        """What DCD shows: a port without calls has none."""
        return False

    def terminal_ready(self, ready: bool) -> None:
        """The host raised DTR or let it fall, which its opening and closing the port does too."""

    @property
    def on_output(self) -> Callable[[], None] | None:
        """Who is told that there is something to take(); None: nobody."""
        return self._listener

    @on_output.setter
    def on_output(self, listener: Callable[[], None] | None) -> None:
        self._listener = listener
        if listener is not None:
            self.modem.pulse.seconds()

    def reset(self) -> None:
        """As after power-up."""
        self._output.clear()
        self._free_at = 0.0

    def take(self) -> bytes:
        """The next piece to be written, b"" when there is none; pieces are kept apart, as USB packets are."""
        with self.modem.lock:
            return self._output.popleft() if self._output else b""

    def send(self, data: bytes) -> None:
        """Put bytes on the wire, by way of the faults that split, delay or spoil them."""
        pieces = [(0.0, data)]
        for fault in self.modem.faults.values():
            pieces = [out for gap, piece in pieces for out in _later(gap, fault.on_bytes(self, piece))]
        for gap, piece in pieces:
            due = max(self.modem.now, self._free_at) + gap
            self._free_at = due
            if due <= self.modem.now:
                self._emit(piece)
            else:
                self.modem.after(due - self.modem.now, partial(self._emit, piece))

    def _emit(self, data: bytes) -> None:
        if not data or self.modem.state.power.state == "gone":
            return
        self.written_bytes += len(data)
        self._output.append(data)
        if self.on_output is not None:
            self.on_output()


def _later(gap: float, pieces: list[tuple[float, bytes]]) -> list[tuple[float, bytes]]:
    return [(more + (gap if index == 0 else 0.0), piece) for index, (more, piece) in enumerate(pieces)]


class NmeaPort(SimPort):
    """A positioning port: sentences for ever, deaf to AT."""

    def sentence(self) -> None:
        """Called once a second by the modem while it is on."""
        clock = self.modem.utc().strftime("%H%M%S.00")
        body = f"GPGGA,{clock},,,,,0,,,,,,,,"
        checksum = 0
        for char in body:
            checksum ^= ord(char)
        self._output.clear()  # a port that nobody reads keeps only what is newest
        self.send(f"${body}*{checksum:02X}\r\n".encode("ascii"))
