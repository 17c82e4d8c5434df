"""Named network namespaces with veths between them, and bounded traffic.

    with wire("wan0", "isp0") as w:                 # two namespaces and a cable, gone at the end
        w.near.run("ping", "-c1", w.far.address)
        with w.near.entered():                      # this thread, and the threads and sockets it makes
            kernel.start(...)

`tests/bench` and other folders use it too. Needs root (or a user namespace in which we are root).
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count()


def needs_namespaces() -> None:
    """Skip the test where no network namespace can be made."""
    if os.geteuid() != 0:
        pytest.skip("netns: needs root, or `unshare -Urnm`")
    probe = subprocess.run(["unshare", "--net", "true"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"netns: {probe.stderr.strip()}")


@dataclass(frozen=True, slots=True)
class Namespace:
    """One named namespace and its address on the first wire."""

    name: str
    address: str = ""
    address6: str = ""

    def run(self, *command: str, check: bool = True, timeout: float = 30) -> str:
        """A command in it; its standard output."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.name, *command], capture_output=True, text=True, check=False, timeout=timeout
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{self.name}: {' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def ip(self, *arguments: str) -> None:
        self.run("ip", *arguments)

    def tc(self, *arguments: str) -> str:
        return self.run("tc", *arguments)

    def popen(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        """A process in it, which the caller ends, or else the namespace's end.

        It is born in it: one that had yet to enter would not be found by that end, and would live on.
        """
        with self.entered():
            return subprocess.Popen(["ip", "netns", "exec", self.name, *command], text=True, **options)

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """This thread lives in it for a while; threads started meanwhile stay in it, sockets too."""
        with open("/proc/thread-self/ns/net", "rb") as back, open(f"/run/netns/{self.name}", "rb") as there:
            _setns(there.fileno())
            try:
                yield
            finally:
                _setns(back.fileno())


def _setns(descriptor: int) -> None:
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _delete(name: str) -> None:
    """Processes in it end first; the namespace and its links go with the last of them."""
    pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False).stdout.split()
    own = str(os.getpid())
    for pid in pids:
        if pid != own:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), 9)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


@contextlib.contextmanager
def namespaces(*roles: str) -> Iterator[dict[str, str]]:
    """Fresh namespaces by role, under names no other test or process uses."""
    names = {role: f"ma-{os.getpid()}-{next(_numbers)}-{role}" for role in roles}
    made: list[str] = []
    try:
        for name in names.values():
            subprocess.run(["ip", "netns", "add", name], check=True, capture_output=True)
            made.append(name)
            subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True, capture_output=True)
        yield names
    finally:
        for name in made:
            _delete(name)


@dataclass(frozen=True, slots=True)
class Wire:
    """A modem (near) and the operator's network (far), joined by one veth."""

    near: Namespace
    far: Namespace
    near_if: str
    far_if: str

    def recreate(self) -> None:
        """The WAN link is deleted and comes back under its name, as when a USB modem falls off its bus."""
        self.near.ip("link", "del", self.near_if)
        self.connect()

    def rename(self, name: str) -> None:
        """The WAN link gets another name; kernels before 6.2 want it down for that."""
        self.near.ip("link", "set", self.near_if, "down")
        self.near.ip("link", "set", self.near_if, "name", name)
        self.near.ip("link", "set", name, "up")

    def connect(self) -> None:
        self.near.ip("link", "add", self.near_if, "type", "veth", "peer", "name", self.far_if, "netns", self.far.name)
        for side, name in ((self.near, self.near_if), (self.far, self.far_if)):
            side.ip("addr", "add", f"{side.address}/24", "dev", name)
            side.ip("addr", "add", f"{side.address6}/64", "dev", name, "nodad")
            side.ip("link", "set", name, "up")

    def settle(self) -> None:
        """Wait until both ends answer each other."""
        for address in (self.far.address, self.far.address6):
            deadline = time.monotonic() + 10
            while "1 received" not in self.near.run("ping", "-c1", "-W1", address, check=False):
                assert time.monotonic() < deadline, f"{address} does not answer"


@contextlib.contextmanager
def wire(near_if: str = "wan0", far_if: str = "isp0") -> Iterator[Wire]:
    """Two namespaces and a cable between them."""
    with namespaces("modem", "isp") as names:
        joined = Wire(
            Namespace(names["modem"], "10.99.0.2", "fd99::2"), Namespace(names["isp"], "10.99.0.1", "fd99::1"),
            near_if, far_if,
        )  # fmt: skip
        joined.connect()
        joined.settle()
        yield joined


@contextlib.contextmanager
def lan_and_wan(hosts: int = 1) -> Iterator[tuple[list[Namespace], Wire]]:
    """Household hosts behind the modem, which routes; the far side is the operator's network."""
    roles = [f"host{n}" for n in range(hosts)]
    with wire() as w, namespaces(*roles) as names:
        inside = []
        w.near.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        for n, role in enumerate(roles):
            host = Namespace(names[role], f"192.168.{n + 1}.2", f"fd9{n}:1::2")
            gateway, gateway6 = f"192.168.{n + 1}.1", f"fd9{n}:1::1"
            w.near.ip("link", "add", f"lan{n}", "type", "veth", "peer", "name", "eth0", "netns", host.name)
            w.near.ip("addr", "add", f"{gateway}/24", "dev", f"lan{n}")
            w.near.ip("addr", "add", f"{gateway6}/64", "dev", f"lan{n}", "nodad")
            w.near.ip("link", "set", f"lan{n}", "up")
            host.ip("addr", "add", f"{host.address}/24", "dev", "eth0")
            host.ip("addr", "add", f"{host.address6}/64", "dev", "eth0", "nodad")
            host.ip("link", "set", "eth0", "up")
            host.ip("route", "add", "default", "via", gateway)
            host.ip("-6", "route", "add", "default", "via", gateway6)
            w.far.ip("route", "add", f"192.168.{n + 1}.0/24", "via", w.near.address)
            w.far.ip("-6", "route", "add", f"fd9{n}:1::/64", "via", w.near.address6)
            inside.append(host)
        yield inside, w
