"""The vendor elements of hostapd's beacons, over its control socket: SET vendor_elements, then UPDATE_BEACON.

Neither restarts anything nor sends a client away. hostapd does not tell what it has, so what is wanted is written again
when its socket is a new one, and now and then. Elements of others in its configuration are kept beside ours. The same
on Debian and OpenWrt, whose hostapd.sh (wifi-scripts) sets ctrl_interface=/var/run/hostapd for every network.
"""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.errors import AgentError
from agent.household import metered

ROOT = Path("/")
FOLDER = "var/run/hostapd"
# Debian's hostapd@.service and hostapd.service; OpenWrt's hostapd.sh and ap.uc.
CONFIGURATIONS = ("etc/hostapd/*.conf", "var/run/hostapd-*.conf")
GLOBAL = "global"  # `hostapd -g` of OpenWrt: no network
REPLY_S = 1.0
LONGEST_REPLY = 4_096


@dataclass(frozen=True, slots=True)
class AccessPoint:
    """One network of hostapd: its control socket, and what tells it from the one before a restart."""

    path: Path
    identity: tuple[int, int]

    @property
    def ifname(self) -> str:
        return self.path.name


def access_points(root: Path = ROOT) -> tuple[AccessPoint, ...]:
    """Those that are there. Raises AgentError when this user may not look."""
    folder = root / FOLDER
    try:
        return tuple(_sockets(folder))
    except FileNotFoundError:
        return ()
    except OSError as error:
        advice = "; set ctrl_interface_group=modem-agent in hostapd.conf" if isinstance(error, PermissionError) else ""
        raise AgentError(f"{folder}: {error.strerror}{advice}") from error


def _sockets(folder: Path) -> Iterator[AccessPoint]:
    for path in sorted(folder.iterdir()):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue  # gone since: hostapd is being restarted
        if stat.S_ISSOCK(found.st_mode) and path.name != GLOBAL:
            yield AccessPoint(path, (found.st_ino, found.st_ctime_ns))


def announce(point: AccessPoint, element: bytes, root: Path = ROOT) -> None:
    """Put this element (none: empty) beside those of others. Raises AgentError, and the beacon is as it was."""
    elements = foreign_elements(point.ifname, root) + element
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as control:
        control.settimeout(REPLY_S)
        try:
            control.bind(b"")  # unix(7), autobind: a name to reply to, which leaves no file
            control.connect(str(point.path))
            for command in (f"SET vendor_elements {elements.hex()}", "UPDATE_BEACON"):
                _ask(control, command)
        except OSError as error:
            raise AgentError(f"hostapd of {point.ifname}: {error.strerror or 'no answer'}") from error


def _ask(control: socket.socket, command: str) -> None:
    control.send(command.encode("ascii"))
    reply = control.recv(LONGEST_REPLY).decode("ascii", errors="replace").strip()
    if reply != "OK":
        raise AgentError(f"hostapd refuses {command.partition(' ')[0]}: {reply}")


def foreign_elements(ifname: str, root: Path = ROOT) -> bytes:
    """The vendor elements that hostapd's configuration gives this network, without ours. Raises AgentError."""
    for pattern in CONFIGURATIONS:
        for path in sorted(root.glob(pattern)):
            try:
                text = path.read_text("utf-8", errors="replace")
            except OSError as error:
                lost = f"{path} cannot be read, and elements of others in it would be lost"
                raise AgentError(f"{lost}: {error.strerror}") from error
            found = configured_elements(text, ifname)
            if found is not None:
                return _parsed(found, path)
    return b""


def _parsed(elements: str, path: Path) -> bytes:
    try:
        return metered.without_ours(bytes.fromhex(elements))
    except ValueError as error:
        raise AgentError(f"{path}: vendor_elements: {error}") from error


def configured_elements(text: str, ifname: str) -> str | None:
    """`vendor_elements` of one network in a hostapd.conf; None when the file is not about that network.

    hostapd.conf of hostapd's source: bss= begins another network; all before the first belongs to that of interface=.
    """
    names, values = [""], [""]
    for line in text.splitlines():
        key, _, value = line.strip().partition("=")
        if key == "interface":
            names[0] = value
        elif key == "bss":
            names.append(value)
            values.append("")
        elif key == "vendor_elements":
            values[-1] = value
    return dict(zip(names, values, strict=True)).get(ifname)
