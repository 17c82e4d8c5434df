"""serve(): a simulated module on this machine, for as long as a `with` block lasts. What tests and the CLI use."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from simulator.errors import SimulatorError
from simulator.modem import SimModem
from simulator.modem.port import AtPort
from simulator.modem.serial_port import SimPort
from simulator.ports.actions import ACTIONS, Served, perform
from simulator.ports.claim import LinkPath
from simulator.ports.control import ControlServer
from simulator.ports.host import Host
from simulator.ports.pty import PtyPort
from simulator.ports.stream import StreamPort
from simulator.ports.sysfs import SysfsTree
from simulator.ports.trace import Event, Trace, commands


class Running:
    """A served module. `path` is the stable link to the primary AT port, `paths` those of all ports by interface."""

    def __init__(self, host: Host, modem: SimModem, trace: Trace) -> None:
        self.host, self.modem, self.trace = host, modem, trace
        self.ptys: dict[int, PtyPort] = {}
        self.streams: dict[int, StreamPort] = {}
        self.tree: SysfsTree | None = None
        self._control: ControlServer | None = None
        self._claims = ExitStack()
        self._thief: subprocess.Popen[str] | None = None
        self._served: Served = {
            "steal": lambda args: self.steal(),
            "release": lambda args: self.release(),
            "log": trace.log,
        }

    @property
    def path(self) -> str:
        """The link to the primary AT port, or its URL: the name stays, the terminal behind it changes at every plug."""
        return self.paths[self.modem.profile.primary.interface]

    @property
    def paths(self) -> dict[int, str]:
        return {
            **{interface: port.path for interface, port in self.ptys.items()},
            **{interface: port.url for interface, port in self.streams.items()},
        }

    @property
    def present(self) -> bool:
        return self.modem.state.power.state != "gone"

    def perform(self, name: str, args: list[str], more: Served | None = None) -> object:
        """What `modem-sim ctl` does, by name. `more` takes the place of some of it."""
        if name in ACTIONS and not ACTIONS[name].reads:
            self.trace.action(name, *args)
        return perform(self.modem, name, args, {**self._served, **(more or {})})

    def set(self, name: str, value: object) -> None:
        self.trace.action("set", name, str(value))
        self.modem.set(name, value)

    def fault(self, name: str, argument: str = "") -> None:
        self.trace.action(*filter(None, ("fault", name, argument)))
        self.host.call(lambda: self.modem.fault(name, argument))

    def clear(self, name: str = "") -> None:
        self.trace.action(*filter(None, ("clear", name)))
        self.host.call(lambda: self.modem.clear(name))

    def unplug(self) -> None:
        """Returns once the link is gone and readers have their hang-up."""
        self.trace.action("unplug")
        self.host.call(self.modem.unplug)

    def plug(self) -> None:
        """Returns once the link is back, with a new terminal behind it."""
        self.trace.action("plug")
        self.host.call(self.modem.plug)

    def commands(self, interface: int | None = None) -> list[str]:
        """The lines that the host wrote so far, on one port or on all."""
        return commands(self.trace.events(), interface)

    def events(self) -> list[Event]:
        """What went over the ports and what was done to the module, the newest last."""
        return self.trace.events()

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

    def _open(self, links: dict[int, Path], listen: dict[int, str], control: str, sysfs: str) -> None:
        ports = {port.interface: port for port in self.modem.ports}
        if control:  # all names are claimed before anything is made
            self._control = ControlServer(control, self.perform)
        for link in links.values():
            self._claims.callback(LinkPath(link).release)
        for interface, where in listen.items():
            self.streams[interface] = StreamPort(self.host, ports[interface], where, self.trace)
        self.ptys = {i: PtyPort(self.host, ports[i], link, self.trace) for i, link in links.items()}
        if sysfs:
            self.tree = SysfsTree(Path(sysfs), self.modem.profile, self.modem.state.imei)
        self.modem.on_presence.append(self._presence)
        if self.present:
            self.host.call(lambda: self._show(True))
        for stream in self.streams.values():
            self.host.run(stream.open())
        if self._control is not None:
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
        for stream in self.streams.values():
            stream.show(present)
        if self.tree is not None:
            if present:
                self.tree.appear({interface: port.device for interface, port in self.ptys.items()})
            else:
                self.tree.vanish()

    def close(self) -> None:
        self.release()
        self.modem.on_presence.clear()
        self.host.call(lambda: self.host.release(self.modem))
        for stream in self.streams.values():
            self.host.run(stream.close())
        if self._control is not None:
            self.host.run(self._control.close())
        self.host.call(lambda: self._show(False))
        self._claims.close()
        self.trace.close()

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


def _listening(ports: Sequence[SimPort], primary: int, listen: Sequence[str]) -> dict[int, str]:
    """Interface -> where it listens. INTERFACE=WHERE names the port; the others are the AT ports, the primary first."""
    free = [port.interface for port in ports if isinstance(port, AtPort)]
    free.sort(key=lambda interface: interface != primary)
    found: dict[int, str] = {}
    unnamed = []
    for text in listen:
        name, equals, where = text.partition("=")
        if not (equals and name.isdecimal()):
            unnamed.append(text)
        elif int(name) not in {port.interface for port in ports}:
            known = ", ".join(f"{port.interface} {port.role}" for port in ports)
            raise SimulatorError(f"--listen {text}: no port {name}; there are: {known}")
        else:
            found[int(name)] = where
    free = [interface for interface in free if interface not in found]
    if len(unnamed) > len(free):
        raise SimulatorError(f"--listen {unnamed[len(free)]}: this module has no further AT port")
    return {**found, **dict(zip(free, unnamed, strict=False))}


@contextmanager
def serve(
    profile: str = "quectel-ec25",
    *,
    link: str | Path | None = None,
    every_port: bool = False,
    listen: str | Sequence[str] = (),
    control: str = "",
    sysfs: str = "",
    trace: str | Path = "",
    seed: int = 0,
    pace: float = 1.0,
    warm: bool = True,
    wall: datetime | None = None,
    faults: Sequence[str] = (),
    settings: dict[str, Any] | None = None,
    network: str = "",
    host: Host | None = None,
) -> Iterator[Running]:
    """Serve a module: a pty behind `link` (default: in a temporary directory), and whatever else is asked for.

    every_port also serves the NMEA, DIAG and second AT ports, as link.<interface>-<role>. Each `listen` puts a port on
    a socket in its pty's place: HOST:PORT, rfc2217://HOST:PORT, a path or abstract:NAME, with INTERFACE= before it
    for another port than the next AT port. `control` is a socket for `modem-sim ctl`; `sysfs` a directory that shows
    the module as Linux would; `trace` a file for all that goes over the ports. `faults` are NAME or NAME=ARGUMENT.
    `network` is a network namespace that dial-up connections lead to.
    """
    with ExitStack() as stack:
        if host is None:
            host = Host().start()
            stack.callback(host.close)
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="modem-sim-"))
        modem = SimModem(profile, seed=seed, pace=pace, warm=warm, wall=wall, clock=host.clock, settings=settings)
        primary = modem.profile.primary.interface
        sockets = _listening(modem.ports, primary, [listen] if listen and isinstance(listen, str) else listen)
        # Dial-up programs lock a port by the last part of its name, for all folders alike (FHS 3.0, 5.9: LCK..NAME).
        own = Path(scratch) / Path(scratch).name[-6:]  # short: gnokii takes 31 characters in all
        links = _links(modem, Path(link) if link else own, every_port)
        for interface in sockets:  # one line has one far end: a port on a socket is not on a pty
            links.pop(interface, None)
        if network:
            from simulator.ports.network import NamespaceNetwork  # what it needs of Linux is needed for this alone

            modem.network = behind = NamespaceNetwork(host, network)
            stack.callback(behind.close)
        about = f"{profile}, seed {seed}, pace {pace:g}, {'warm' if warm else 'cold'}"
        running = stack.enter_context(Running(host, modem, Trace(host.clock, _file(trace), about)))
        running._open(links, sockets, control, sysfs)
        for fault in faults:
            name, _, argument = fault.partition("=")
            running.fault(name, argument)
        if not warm:
            running.plug()
        yield running


def _file(trace: str | Path) -> TextIO | None:
    if not trace:
        return None
    try:
        return Path(trace).open("w", encoding="ascii")
    except OSError as error:
        raise SimulatorError(f"{trace}: {error.strerror}") from error
