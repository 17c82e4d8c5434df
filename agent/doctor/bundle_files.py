"""What goes into the bundle: one function a file. Blocking, never raising more than an Exception that bundle.py notes.

With the agent dead the same files come from the store, the kernel and the system's log; what only the agent knows is
then missing and index.json says so.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from agent import __version__
from agent.at.cells import tells_cell
from agent.config import Config, to_dict
from agent.doctor.bundle import Collector
from agent.errors import AgentError
from agent.net.probes import default_routes, wan_links
from agent.net.resolv import name_servers
from agent.redact import without_places
from agent.store import Database

if TYPE_CHECKING:
    from agent.json_types import Json

LIBRARIES = ("pyserial", "pyroute2", "paho-mqtt", "click")
LOG_LINES = 1_000
# The first that is there; each prints the agent's own lines.
LOGS = (
    ("journalctl", "-u", "modem-agent", "-n", str(LOG_LINES), "--no-pager", "-o", "short-iso"),
    ("logread", "-e", "modem-agent"),
)


def collectors(
    config: Config,
    database: Path,
    status: Mapping[str, object] | None,
    diagnosis: Mapping[str, object] | None,
    *,
    location: bool = True,
) -> tuple[Collector, ...]:
    """All files of a bundle. `status` and `diagnosis` come from whoever has asked the agent and the doctor.

    Without `location` the readings lose the cell, and the log its lines that tell one.
    """
    return (
        Collector("doctor.json", 1.0, lambda: diagnosis or "the doctor was not asked"),
        Collector("status.json", 1.0, lambda: status or "the agent was not running"),
        Collector("config.json", 5.0, lambda: to_dict(config)),
        Collector("versions.json", 10.0, versions),
        Collector("events.json", 20.0, lambda: _stored(database, lambda db: db.events.recent(500))),
        Collector("usage.json", 20.0, lambda: _stored(database, _usage)),
        Collector("readings.jsonl", 5.0, lambda: _readings(Path(config.device.run_dir), location)),
        Collector("links.json", 10.0, lambda: links(config)),
        Collector("qdiscs.json", 20.0, qdiscs),
        Collector("system.json", 10.0, system),
        Collector("log.txt", 20.0, lambda: system_log() if location else _without_cells(system_log())),
    )


def versions() -> dict[str, object]:
    found = {"agent": __version__, "python": sys.version.split()[0], "kernel": platform.release()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "unknown"
    return {**found, "machine": platform.machine(), "system": _release()}


def _release() -> str:
    with suppress(OSError):
        for line in Path("/etc/os-release").read_text("utf-8", "replace").splitlines():
            if line.startswith("PRETTY_NAME="):
                return line.partition("=")[2].strip('"')
    return "unknown"


def _stored(path: Path, look: Callable[[Database], object]) -> object:
    database = Database.open_readonly(path)
    try:
        return look(database)
    finally:
        database.close()


def _usage(database: Database) -> dict[str, object]:
    return {
        "ledger": database.ledger.load(),
        "hours": database.history.hours(24),
        "days": database.history.days(40),
        "months": database.history.months(13),
    }


def readings(run_dir: Path) -> str:
    """The module's readings of the last day, as the agent keeps them in memory-backed storage (diary.py)."""
    texts = []
    for name in ("readings.1.jsonl", "readings.jsonl"):
        with suppress(FileNotFoundError):
            texts.append((run_dir / name).read_text("utf-8", "replace"))
    if not texts:
        raise AgentError("no readings are kept: the agent has not run since the device started")
    return "".join(texts)


def _readings(run_dir: Path, location: bool) -> str:
    if location:
        return readings(run_dir)
    lines = [json.dumps(without_places(_line(line))) for line in readings(run_dir).splitlines()]
    return "".join(f"{line}\n" for line in lines)


def _line(text: str) -> Json:
    """A line that a power cut has shortened is left out."""
    try:
        line: Json = json.loads(text)
        return line
    except ValueError:
        return None


def _without_cells(text: str) -> str:
    """At log level debug the log has what the module said."""
    return "".join(line for line in text.splitlines(keepends=True) if not tells_cell(line))


def links(config: Config) -> dict[str, object]:
    return {
        "wan": [asdict(link) for link in wan_links(config.wan.interfaces) or ()],
        "all": sorted(os.listdir("/sys/class/net")),
        "routes": [asdict(route) for route in default_routes() or ()],
        "name_servers": name_servers(),
        "counters": Path("/proc/net/dev").read_text("ascii", "replace").splitlines(),
    }


def qdiscs() -> dict[str, object]:
    """The kernel's own view, by netlink: the device may lack tc."""
    from agent.traffic.netlink.route import Route

    route = Route()
    try:
        found = route.qdiscs()
        classes = [node for row in route.links() for node in route.classes(row.link.ifindex)]
    finally:
        route.close()
    return {"qdiscs": [asdict(node) for node in found], "classes": [asdict(node) for node in classes]}


def system() -> dict[str, object]:
    usage = shutil.disk_usage("/")
    return {
        "uptime_s": Path("/proc/uptime").read_text("ascii").split()[0],
        "load": list(os.getloadavg()),
        "memory": [line for line in Path("/proc/meminfo").read_text("ascii").splitlines()[:6]],
        "root_disk": {"total_bytes": usage.total, "free_bytes": usage.free},
        "usb": _usb(),
    }


def _usb() -> list[str]:
    """Vendor, product and name of every USB device: tells whether the module is on the bus at all."""
    found = []
    for folder in sorted(Path("/sys/bus/usb/devices").glob("*")):
        with suppress(OSError):
            ids = ":".join((folder / n).read_text("ascii").strip() for n in ("idVendor", "idProduct"))
            name = ""
            with suppress(OSError):
                name = (folder / "product").read_text("utf-8", "replace").strip()
            found.append(f"{folder.name} {ids} {name}".strip())
    return found


def system_log() -> str:
    """The agent's lines in the system's log."""
    for command in LOGS:
        if shutil.which(command[0]):
            done = subprocess.run(command, capture_output=True, timeout=15, check=False)
            return done.stdout.decode("utf-8", "replace") or done.stderr.decode("utf-8", "replace")
    raise AgentError("neither journalctl nor logread is there")
