"""Finding the module's AT port in sysfs, by USB ids and interface number.

ttyUSBn numbers change when a module restarts, so a port is remembered by its place on the bus (`1-1.2:1.2`: USB device
and interface) and found again by it. DIAG, NMEA and emergency-download ports are never offered.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.modem.profiles import UsbIds, usb_table

SYSFS = Path("/sys")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A port that may speak AT. `certain`: the table says so; otherwise it must be probed."""

    device: str
    place: str = ""  # USB device and interface, stable across restarts; "" for what is not USB
    ids: str = ""  # vendor:product
    interface: int = -1
    certain: bool = False


def candidates(sysfs: Path = SYSFS, dev: Path = Path("/dev"), table: Sequence[UsbIds] | None = None) -> list[Candidate]:
    """All ports worth trying, the surest first."""
    known = usb_table() if table is None else table
    found = [c for name in _names(sysfs / "class" / "tty") if (c := _usb(sysfs, dev, name, known)) is not None]
    found += [Candidate(str(dev / name), certain=True) for name in _names(sysfs / "class" / "wwan") if "at" in name[4:]]
    return sorted(found, key=lambda c: (not c.certain, _rank(c, known), c.place, c.device))


def _names(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _usb(sysfs: Path, dev: Path, name: str, table: Sequence[UsbIds]) -> Candidate | None:
    """The candidate behind one tty, None when it is no module's or not one that may be spoken to."""
    interface_path = _up_to(sysfs / "class" / "tty" / name / "device", "bInterfaceNumber")
    device_path = _up_to(interface_path, "idVendor") if interface_path else None
    if interface_path is None or device_path is None:
        return None
    vendor, product = _read(device_path / "idVendor").lower(), _read(device_path / "idProduct").lower()
    number = _hexadecimal(_read(interface_path / "bInterfaceNumber"))
    entry = next((e for e in table if e.vendor == vendor and product in e.products), None) or next(
        (e for e in table if e.vendor == vendor and not e.products), None
    )
    if entry is None or number in entry.never or (vendor, product) == ("05c6", "9008"):  # 9008: emergency download
        return None
    return Candidate(
        device=str(dev / name),
        place=f"{device_path.name}:{number:x}",
        ids=f"{vendor}:{product}",
        interface=number,
        certain=number in entry.at,
    )


def _rank(candidate: Candidate, table: Sequence[UsbIds]) -> int:
    vendor, _, product = candidate.ids.partition(":")
    for entry in table:
        if (
            entry.vendor == vendor
            and (product in entry.products or not entry.products)
            and candidate.interface in entry.at
        ):
            return entry.at.index(candidate.interface)
    return 99


def place_of(device: str, sysfs: Path = SYSFS) -> str:
    """Where on the bus a device path sits now, "" when it is not USB."""
    name = os.path.basename(os.path.realpath(device))
    interface_path = _up_to(sysfs / "class" / "tty" / name / "device", "bInterfaceNumber")
    device_path = _up_to(interface_path, "idVendor") if interface_path else None
    if interface_path is None or device_path is None:
        return ""
    return f"{device_path.name}:{_hexadecimal(_read(interface_path / 'bInterfaceNumber')):x}"


def device_at(place: str, sysfs: Path = SYSFS, dev: Path = Path("/dev")) -> str:
    """The device path that sits at a place now, "" when nothing does."""
    for name in _names(sysfs / "class" / "tty"):
        if (sysfs / "class" / "tty" / name / "device").exists() and place_of(str(dev / name), sysfs) == place:
            return str(dev / name)
    return ""


def usb_device(place: str, sysfs: Path = SYSFS) -> Path:
    """The sysfs folder of the USB device behind a place; holds `authorized`."""
    return sysfs / "bus" / "usb" / "devices" / place.partition(":")[0]


def _up_to(start: Path, file: str) -> Path | None:
    """The nearest folder at or above `start` that holds a file: ttyACM hangs one level higher than ttyUSB."""
    here = Path(os.path.realpath(start))
    for _ in range(6):
        if (here / file).exists():
            return here
        here = here.parent
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace").strip()
    except OSError:
        return ""


def _hexadecimal(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return -1
