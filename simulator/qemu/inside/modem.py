"""The guest's module: `python3 -m simulator.qemu.inside.modem [--profile quectel-ec25] [--control SOCKET]`.

Makes the USB device, puts a simulated module behind its serial ports and the operator's network behind its link (where
it has none: behind its dial-up connections), and stays until it is killed. Plugging is the simulated module's own:
`modem-sim ctl unplug` pulls the real cable.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime

from simulator.modem import SimModem
from simulator.ports import Host
from simulator.ports.actions import perform
from simulator.ports.control import ControlServer
from simulator.ports.network import NamespaceNetwork
from simulator.ports.trace import Trace
from simulator.qemu.inside import network
from simulator.qemu.inside.gadget import Gadget, wait_for
from simulator.qemu.inside.tty import GadgetPort

CONTROL = "/run/modem-sim.sock"


class GuestModem:
    """A simulated module on a USB gadget; start() plugs it in."""

    def __init__(
        self, profile: str, *, seed: int = 1, wall: datetime | None = None, control: str = CONTROL, net: bool = True
    ) -> None:
        self.host = Host().start()
        self.modem = SimModem(profile, seed=seed, clock=self.host.clock, wall=wall)
        self.gadget = Gadget(self.modem.profile, self.modem.state.imei, net=net)
        self._control = ControlServer(control, self._perform)
        self._trace = Trace(self.host.clock)
        self._ports: list[GadgetPort] = []

    def start(self) -> None:
        self.gadget.make()
        self.gadget.plug()
        network.make_namespace()
        if self.gadget.net:
            network.take_far_end(self.gadget.net)
            threading.Thread(target=self._announce, daemon=True).start()
        else:
            self.modem.network = NamespaceNetwork(self.host, network.NAMESPACE)
        by_interface = {port.interface: port for port in self.modem.ports}
        for number, device in enumerate(self.gadget.ports):
            if number in by_interface:
                port = GadgetPort(self.host, by_interface[number], str(wait_for(device)), self._trace)
                port.show(True)
                self._ports.append(port)
        self.modem.on_presence.append(self._presence)
        self.host.run(self._control.open())
        self.host.adopt(self.modem)

    def _perform(self, name: str, args: list[str]) -> object:
        return perform(self.modem, name, args, {"log": self._trace.log})

    def _announce(self) -> None:
        """Tell the device of the connection until it knows, as a module does at each session. What was told before the
        device opened its end can be lost: of 12 guests with two processors (Linux 6.1) 6 had no carrier for good."""
        while True:
            if self.gadget.deaf():
                network.announce(self.gadget.net)
            time.sleep(1)

    def _presence(self, present: bool) -> None:
        if present:
            self.gadget.plug()
        else:
            self.gadget.unplug()
        for port in self._ports:
            port.show(present)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", default="quectel-ec25")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--control", default=CONTROL)
    parser.add_argument("--wall", type=datetime.fromisoformat, help="what the network says the time is")
    parser.add_argument("--no-net", action="store_true", help="a fourth serial port in the network link's place")
    options = parser.parse_args()
    try:
        GuestModem(
            options.profile, seed=options.seed, wall=options.wall, control=options.control, net=not options.no_net
        ).start()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(error.cmd)}: {error.stderr.decode().strip()}")
    print("modem: plugged in", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
