"""serve(): a simulated module on this machine, for as long as a `with` block lasts. What tests and the CLI use."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from simulator.errors import SimulatorError
from simulator.modem import SimModem
from simulator.ports.control import ControlServer
from simulator.ports.host import Host
from simulator.ports.pty import PtyPort
from simulator.ports.stream import StreamPort
from simulator.ports.sysfs import SysfsTree


class Running:
    """A served module. `path` is the stable link to the primary AT port, `paths` those of all ports by interface."""

    def __init__(self, host: Host, modem: SimModem, directory: Path, *, owns_host: bool) -> None:
        self.host, self.modem, self.directory = host, modem, directory
        self._owns_host = owns_host
        self.ptys: dict[int, PtyPort] = {}
        self.stream: StreamPort | None = None
        self.tree: SysfsTree | None = None
        self._control: ControlServer | None = None
        self._thief: subprocess.Popen[str] | None = None

    @property
    def path(self) -> str:
        """The link to the primary AT port, or its URL: the name stays, the terminal behind it changes at every plug."""
        primary = self.modem.profile.primary.interface
        return self.stream.url if self.stream else self.ptys[primary].path

    @property
    def paths(self) -> dict[int, str]:
        return {interface: port.path for interface, port in self.ptys.items()}

    @property
    def present(self) -> bool:
        return self.modem.state.power.state != "gone"

    def set(self, name: str, value: object) -> None:
        self.modem.set(name, value)

    def fault(self, name: str, argument: str = "") -> None:
        self.host.call(lambda: self.modem.fault(name, argument))

    def clear(self, name: str = "") -> None:
        self.host.call(lambda: self.modem.clear(name))

    def unplug(self) -> None:
        """Returns once the link is gone and readers have their hang-up."""
        self.host.call(self.modem.unplug)

    def plug(self) -> None:
        """Returns once the link is back, with a new terminal behind it."""
        self.host.call(self.modem.plug)

    def steal(self) -> dict[str, int]:
        """Another process opens the AT port and reads from it, as a forgotten terminal program does."""
        self.release()
        self._thief = subprocess.Popen(
            [sys.executable, "-m", "simulator.verbs.steal", self.path], stdout=subprocess.PIPE, text=True
        )
        if self._thief.stdout is None or self._thief.stdout.readline() != "holding\n":
            self.release()
            raise SimulatorError(f"{self.path} could not be taken by another process")
        return {"process": self._thief.pid}

    def release(self) -> dict[str, int]:
        """The other process goes away."""
        if self._thief is not None:
            self._thief.kill()
            self._thief.communicate()
            self._thief = None
        return {}

    # -- life ------------------------------------------------------------------------------------------------------

    def _open(self, links: dict[int, Path], listen: str, control: str, sysfs: str) -> None:
        for port in self.modem.ports:
            if port.interface in links:
                self.ptys[port.interface] = PtyPort(self.host, port, links[port.interface])
        if sysfs:
            self.tree = SysfsTree(Path(sysfs), self.modem.profile, self.modem.state.imei)
        self.modem.on_presence.append(self._presence)
        if self.present:
            self.host.call(lambda: self._show(True))
        if listen:
            self.stream = StreamPort(self.host, self.modem.at, listen)
            self.host.run(self.stream.open())
        if control:
            self._control = ControlServer(self.modem, control, {"steal": self.steal, "release": self.release})
            self.host.run(self._control.open())
        self.host.adopt(self.modem)

    def _presence(self, present: bool) -> None:
        # Whoever holds the modem's lock must not wait for the loop, which may be waiting for the lock.
        if self.host.inside:
            self._show(present)
        else:
            self.host.soon(lambda: self._show(present))

    def _show(self, present: bool) -> None:
        """The module came to the bus or left it: terminals, links and the device tree follow."""
        for port in self.ptys.values():
            if present:
                port.open()
            else:
                port.close()
        if self.stream is not None:
            self.stream.show(present)
        if self.tree is not None:
            if present:
                self.tree.appear({interface: port.device for interface, port in self.ptys.items()})
            else:
                self.tree.vanish()

    def close(self) -> None:
        self.release()
        self.modem.on_presence.clear()
        self.host.call(lambda: self.host.release(self.modem))
        if self.stream is not None:
            self.host.run(self.stream.close())
        if self._control is not None:
            self.host.run(self._control.close())
        self.host.call(lambda: self._show(False))
        if self._owns_host:
            self.host.close()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _links(modem: SimModem, link: Path, every_port: bool) -> dict[int, Path]:
    primary = modem.profile.primary.interface
    links = {primary: link}
    if every_port:
        links.update({p.interface: link.with_name(f"{link.name}.{p.interface}-{p.role}") for p in modem.ports})
        links[primary] = link
    return links


@contextmanager
def serve(
    profile: str = "quectel-ec25",
    *,
    link: str | Path | None = None,
    every_port: bool = False,
    listen: str = "",
    control: str = "",
    sysfs: str = "",
    seed: int = 0,
    pace: float = 1.0,
    warm: bool = True,
    wall: datetime | None = None,
    faults: Sequence[str] = (),
    settings: dict[str, Any] | None = None,
    host: Host | None = None,
) -> Iterator[Running]:
    """Serve a module: a pty behind `link` (default: in a temporary directory), and whatever else is asked for.

    every_port also serves the NMEA, DIAG and second AT ports, as link.<interface>-<role>. `listen` is HOST:PORT or
    the path of a unix socket, which then has the AT port in the pty's place. `control` is a socket for
    `modem-sim ctl`; `sysfs` a directory that shows the module as Linux would. `faults` are NAME or NAME=ARGUMENT.
    """
    owned = Host().start() if host is None else host
    with tempfile.TemporaryDirectory(prefix="modem-sim-") as scratch:
        modem = SimModem(profile, seed=seed, pace=pace, warm=warm, wall=wall, clock=owned.clock, settings=settings)
        running = Running(owned, modem, Path(scratch), owns_host=host is None)
        try:
            where = Path(link) if link else Path(scratch) / "modem0"
            links = _links(modem, where, every_port)
            if listen:  # one line has one far end: the AT port is on the socket, not on a pty
                del links[modem.profile.primary.interface]
            running._open(links, listen, control, sysfs)
            for fault in faults:
                name, _, argument = fault.partition("=")
                running.fault(name, argument)
            if not warm:
                running.plug()
            yield running
        finally:
            running.close()
