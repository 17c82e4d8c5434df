"""A module's port on the far end of a USB serial function: /dev/ttyGS0 and its like.

The gadget's own counterpart of simulator.ports.pty: same calls, another device. The node stays when the cable is
pulled, but the kernel hangs up whoever has it open, so a port is opened anew at each plug.
"""

from __future__ import annotations

import os
import tty

from simulator.modem.serial_port import SimPort
from simulator.ports import Host
from simulator.ports.trace import HOST, MODULE, Trace

_READ_SIZE = 4_096


class GadgetPort:
    """show(True) when the module is plugged in, show(False) when not; from any thread."""

    def __init__(self, host: Host, port: SimPort, device: str, trace: Trace) -> None:
        self.host, self.port, self.device, self.trace = host, port, device, trace
        self._descriptor = -1

    def show(self, plugged: bool) -> None:
        # Never waits for the loop: the caller may hold the modem's lock, for which the loop may wait.
        if plugged and self._descriptor < 0:
            self._descriptor = descriptor = os.open(self.device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            tty.setraw(descriptor)
            self.port.on_output = lambda: self.host.soon(self._flush)
            self.host.soon(lambda: self.host.loop.add_reader(descriptor, self._readable))
        elif not plugged and self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            self.port.on_output = None
            self.host.soon(lambda: self._let_go(descriptor))

    def _let_go(self, descriptor: int) -> None:
        self.host.loop.remove_reader(descriptor)
        os.close(descriptor)

    def _readable(self) -> None:
        try:
            data = os.read(self._descriptor, _READ_SIZE)
        except OSError:  # nothing yet, or hung up: the next plug opens it anew
            return
        if data:
            self.trace.note(self.port.interface, HOST, data)
            self.port.receive(data)

    def _flush(self) -> None:
        while piece := self.port.take():  # what is said to nobody is lost
            if self._descriptor >= 0:
                self.trace.note(self.port.interface, MODULE, piece)
                try:
                    os.write(self._descriptor, piece)
                except OSError:
                    return
