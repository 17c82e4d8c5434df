"""Facts about this device's network and disk, found without the agent and without privileges.

Blocking, each bounded by its own timeout; for the CLI and for worker threads, never for the loop. A probe that cannot
find out answers None or says why in its result; it never raises.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import random
import socket
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread
from typing import TypeVar

from agent.net.facts import Disk, Reach, Route, WanLink

T = TypeVar("T")

NET = Path("/sys/class/net")
PROC = Path("/proc")
_DNS_REFUSALS = {2: "SERVFAIL", 5: "REFUSED"}  # RFC 1035 4.1.1
REACH_S = 4.0  # past 512 kbit/s a full line still answers well within it


def bounded(probe: Callable[[], T], limit_s: float, otherwise: T) -> T:
    """Run a probe on its own thread for at most `limit_s`; what hangs (a dead NFS, a name lookup) is left behind."""
    result: list[T] = []

    def run() -> None:
        with contextlib.suppress(Exception):
            result.append(probe())

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(limit_s)
    return result[0] if result else otherwise


def bounded_all(probes: Sequence[Callable[[], Reach]], limit_s: float, names: Sequence[str]) -> tuple[Reach, ...]:
    """Run probes side by side, so that five silent hosts cost one timeout."""
    results: dict[int, Reach] = {}

    def run(number: int) -> None:
        with contextlib.suppress(Exception):
            results[number] = probes[number]()

    threads = [Thread(target=run, args=(number,), daemon=True) for number in range(len(probes))]
    until = time.monotonic() + limit_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return tuple(results.get(n, Reach(names[n], False, None, "no answer in time")) for n in range(len(probes)))


# -- interfaces and routes -----------------------------------------------------------------------------------------


def wan_links(patterns: Sequence[str]) -> tuple[WanLink, ...] | None:
    """The interfaces that fit the patterns of wan.interfaces."""
    try:
        names = sorted(entry.name for entry in NET.iterdir())
    except OSError:
        return None
    return tuple(_link(name) for name in names if any(fnmatch.fnmatchcase(name, p) for p in patterns))


def _link(name: str) -> WanLink:
    flags = int(_text(NET / name / "flags") or "0", 16)
    return WanLink(
        ifname=name,
        up=bool(flags & 0x1),  # IFF_UP
        carrier=_text(NET / name / "carrier") == "1",
        addresses=_addresses(name),
        received_bytes=int(_text(NET / name / "statistics/rx_bytes") or 0),
        sent_bytes=int(_text(NET / name / "statistics/tx_bytes") or 0),
    )


def _addresses(name: str) -> tuple[str, ...]:
    found = [a for a in (_ipv4(name),) if a]
    for line in (_text(PROC / "net/if_inet6") or "").splitlines():
        words = line.split()
        if words[5] == name and words[3] == "00":  # scope 00 is global; link-local addresses lead nowhere
            found.append(socket.inet_ntop(socket.AF_INET6, bytes.fromhex(words[0])))
    return tuple(found)


def _ipv4(name: str) -> str:
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        # SIOCGIFADDR: struct ifreq with a sockaddr_in after the 16 bytes of the name
        answer = fcntl.ioctl(probe, 0x8915, struct.pack("256s", name.encode()[:15]))
        return socket.inet_ntoa(answer[20:24])
    return ""


def default_routes() -> tuple[Route, ...] | None:
    """Default routes, best metric first."""
    from agent.net.routes import read_routes

    found = read_routes(PROC / "net")
    if found is None:
        return None
    defaults = sorted((route for route in found if route.default), key=lambda route: route.metric)
    return tuple(Route(route.ifname, route.gateway) for route in defaults)


# -- reaching out --------------------------------------------------------------------------------------------------


def ask_name_server(server: str, name: str, *, timeout_s: float = REACH_S) -> Reach:
    """One A query over UDP, sent twice. Even NXDOMAIN proves a name server; SERVFAIL and REFUSED do not: a module's or
    router's own proxy says so when it can reach nobody."""
    host = server.partition("%")[0]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    number = random.randrange(65_536)
    labels = b"".join(bytes([len(p)]) + p for p in name.encode("idna").split(b".") if p)
    query = struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)
    began = time.monotonic()
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect((host, 53))
            for _ in range(2):
                asking.settimeout(timeout_s / 2)
                asking.send(query)
                with contextlib.suppress(TimeoutError):
                    answer = asking.recv(2048)
                    if len(answer) >= 12 and answer[:2] == query[:2] and answer[2] & 0x80:
                        if (refusal := _DNS_REFUSALS.get(answer[3] & 0x0F)) is not None:
                            return Reach(server, False, None, f"asks in vain itself ({refusal})")
                        return Reach(server, True, (time.monotonic() - began) * 1000)
    except ConnectionRefusedError:  # ICMP port unreachable: the way there and back works
        return Reach(server, False, (time.monotonic() - began) * 1000, "refused: no name server there")
    except OSError as error:
        return Reach(server, False, None, error.strerror or str(error))
    return Reach(server, False, None, "no answer")


def reach(host: str, port: int, *, timeout_s: float = REACH_S) -> Reach:
    """A TCP connection, opened and closed. A refusal is an answer too: the way there works."""
    name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    began = time.monotonic()
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return Reach(name, True, (time.monotonic() - began) * 1000)
    except ConnectionRefusedError:
        return Reach(name, False, (time.monotonic() - began) * 1000, "refused: nobody listens there")
    except TimeoutError:
        return Reach(name, False, None, "no answer")
    except OSError as error:
        return Reach(name, False, None, error.strerror or str(error))


# -- disk --------------------------------------------------------------------------------------------------------


def disk(path: str) -> Disk:
    """Space where the database lies; of its nearest parent if the folder is yet to be made."""
    folder = Path(path)
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        stat = os.statvfs(folder)
    except OSError as error:
        return Disk(path, problem=f"{path}: {error.strerror or error}")
    return Disk(path, stat.f_bavail * stat.f_frsize, bool(stat.f_flag & os.ST_RDONLY))


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "replace").strip()
    except (OSError, ValueError):
        return None
