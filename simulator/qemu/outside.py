"""The simpler second way to a module: on QEMU's own USB bus, with the simulated modem outside, in this process.

A usb-serial adapter whose far end is a unix socket, and a usb-net link to QEMU's user network. It is no Quectel to the
guest but an FTDI adapter and a CDC Ethernet link, in any guest, also one whose kernel has no gadget driver: used for
given images and by tests. unplug() and plug() are QEMU's own, by QMP.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from simulator.ports import Running, serve
from simulator.qemu.errors import GuestError
from simulator.qemu.machine import Machine

# The guest's address on the link is given by DHCP from this network; its gateway is this machine's own loopback.
NETWORK = "10.64.0.0/24"
_LET_GO_S = 20.0
_DEVICES: dict[str, dict[str, Any]] = {
    "module-at": {"driver": "usb-serial", "chardev": "module", "always-plugged": True},
    "module-net": {"driver": "usb-net", "netdev": "mobile", "mac": "02:00:00:00:00:02"},
}


class OutsideModule:
    """A context manager. Give `arguments` to the machine, then pull and push the cable."""

    def __init__(self, profile: str = "quectel-ec25", **options: Any) -> None:
        self._stack = ExitStack()
        self._profile, self._options = profile, options
        self.plugged = True
        self.socket: Path
        self.running: Running

    def __enter__(self) -> OutsideModule:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="modem-agent-module-")))
        self.socket = folder / "at"
        self.running = self._stack.enter_context(serve(self._profile, listen=str(self.socket), **self._options))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    @property
    def arguments(self) -> list[str]:
        """QEMU's, the module on the bus if it is plugged in. QEMU connects again by itself when it comes back."""
        arguments = ["-device", "qemu-xhci,id=usb"]
        arguments += ["-chardev", f"socket,id=module,path={self.socket},reconnect=1"]
        arguments += ["-netdev", f"user,id=mobile,net={NETWORK},ipv6=off"]
        for name, device in _DEVICES.items() if self.plugged else ():
            words = [f"{key}={_word(value)}" for key, value in device.items() if key != "driver"]
            arguments += ["-device", ",".join([device["driver"], f"id={name}", *words])]
        return arguments

    def unplug(self, machine: Machine) -> None:
        """Both devices leave the bus; the module has no power."""
        if not self.plugged:
            return
        self.plugged = False
        for name in _DEVICES:
            machine.qmp("device_del", id=name)
        self.running.unplug()

    def plug(self, machine: Machine) -> None:
        """The module boots, and both devices are on the bus again."""
        if self.plugged:
            return
        self.plugged = True
        self.running.plug()
        for name, device in _DEVICES.items():
            _add(machine, name, device)


def _add(machine: Machine, name: str, device: dict[str, Any]) -> None:
    """QEMU lets go of a removed device's far end a moment after it has removed the device."""
    limit = time.monotonic() + _LET_GO_S
    while True:
        try:
            machine.qmp("device_add", id=name, **device)
        except GuestError as error:
            if "in use" not in str(error) or time.monotonic() > limit:
                raise
            time.sleep(0.05)
        else:
            return


def _word(value: object) -> str:
    return {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)
