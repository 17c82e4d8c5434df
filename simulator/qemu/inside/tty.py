"""A module's port on the far end of a USB serial function: /dev/ttyGS0 and its like.

The gadget's own counterpart of simulator.ports.pty: same calls, another device. The node stays when the cable is
pulled, so a port is opened once; the kernel discards what is written while nobody is at the other end.
"""

from __future__ import annotations

import os
import tty

from simulator.modem.port import SimPort
from simulator.ports import Host

_READ_SIZE = 4_096


class GadgetPort:
    """open() and close() from any thread."""

    def __init__(self, host: Host, port: SimPort, device: str) -> None:
        self.host, self.port, self.device = host, port, device
        self._descriptor = -1
        self._plugged = False

    def open(self) -> None:
        self._descriptor = os.open(self.device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._descriptor)
        self.port.on_output = lambda: self.host.soon(self._flush)
        self.host.soon(lambda: self.host.loop.add_reader(self._descriptor, self._readable))

    def show(self, plugged: bool) -> None:
        """Said to nobody is lost: a module does not keep for the next plug what it said to the last."""
        self._plugged = plugged

    def close(self) -> None:
        self.port.on_output = None
        self.host.call(lambda: self.host.loop.remove_reader(self._descriptor))
        os.close(self._descriptor)

    def _readable(self) -> None:
        try:
            data = os.read(self._descriptor, _READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            return
        if data:
            self.port.receive(data)

    def _flush(self) -> None:
        while piece := self.port.take():
            if self._plugged:
                try:
                    os.write(self._descriptor, piece)
                except OSError:
                    return
