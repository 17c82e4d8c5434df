"""Finding the module's AT port in sysfs, by USB ids and interface number, else by driver and descriptors.

ttyUSBn numbers change when a module restarts, so a port is remembered by its place on the bus (`1-1.2:1.2`: USB device
and interface) and found again by it. What is known as DIAG, NMEA, download mode or the like is never offered.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.modem.usb import AT, GUESSED, NAMED, UNKNOWN, Descriptor, UsbIds, described, layout, usb_table

SYSFS = Path("/sys")

# Drivers that bind cellular modules and nothing else (Linux drivers/usb/serial).
MODEM_DRIVERS = frozenset({"option", "option1", "qcserial", "sierra"})
# Character devices without a terminal behind them that speak AT: Huawei's NCM control channel, and the device
# management channel of Ericsson's modules (drivers/net/usb/huawei_cdc_ncm.c, drivers/usb/class/cdc-wdm.c).
AT_CHANNELS = frozenset({"huawei_cdc_ncm", "cdc_wdm"})
_USUAL_RANK = NAMED + 1  # what the maker mostly does is after what the descriptors say, before what they let guess
_LAST_RANK = GUESSED + 3  # mostly no AT port at this maker
_CHANNEL_RANK = _LAST_RANK + 1  # after every serial port of the same module


@dataclass(frozen=True, slots=True)
class Candidate:
    """A port of a module. `certain`: the table says that it speaks AT; otherwise it must be probed."""

    device: str
    place: str = ""  # USB device and interface, stable across restarts; "" for what is not USB
    ids: str = ""  # vendor:product
    interface: int = -1
    certain: bool = False
    kind: str = UNKNOWN  # at, unknown, or what it is instead of an AT port: diag, nmea, …
    rank: int = 0  # how late it is tried
    driver: str = ""

    @property
    def offered(self) -> bool:
        """Whether it may be spoken to."""
        return self.kind in (AT, UNKNOWN)

    @property
    def origin(self) -> str:
        """For a technician: which product no table knows, " (abcd:0001, interface 2, not listed)"; "" otherwise."""
        return f" ({self.ids}, interface {self.interface}, not listed)" if self.ids and not self.certain else ""


def candidates(sysfs: Path = SYSFS, dev: Path = Path("/dev"), table: Sequence[UsbIds] | None = None) -> list[Candidate]:
    """All ports worth trying, the surest first."""
    return [port for port in survey(sysfs, dev, table) if port.offered]


def survey(sysfs: Path = SYSFS, dev: Path = Path("/dev"), table: Sequence[UsbIds] | None = None) -> list[Candidate]:
    """Every port of every module, those that are left alone included, in the order in which they would be tried."""
    known = usb_table() if table is None else table
    found = [c for name in _names(sysfs / "class" / "tty") if (c := _usb(sysfs, dev, name, known)) is not None]
    found += [c for name in _names(sysfs / "class" / "usbmisc") if (c := _channel(sysfs, dev, name)) is not None]
    found += [_wwan(dev, name) for name in _names(sysfs / "class" / "wwan") if name[4:].strip("0123456789")]
    return sorted(found, key=lambda c: (not c.offered, not c.certain, c.rank, c.place, c.device))


def _names(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _usb(sysfs: Path, dev: Path, name: str, table: Sequence[UsbIds]) -> Candidate | None:
    """The port behind one tty, None when it is no module's."""
    interface_path = _up_to(sysfs / "class" / "tty" / name / "device", "bInterfaceNumber")
    device_path = _up_to(interface_path, "idVendor") if interface_path else None
    if interface_path is None or device_path is None:
        return None
    vendor, product = _read(device_path / "idVendor").lower(), _read(device_path / "idProduct").lower()
    number = _hexadecimal(_read(interface_path / "bInterfaceNumber"))
    driver = _driver(interface_path)
    row = layout(vendor, product, table)
    if row is None and not _is_module(driver, device_path):
        return None
    kind, rank = _kind(row or UsbIds(vendor), number, _descriptor(interface_path))
    return Candidate(
        device=str(dev / name),
        place=f"{device_path.name}:{number:x}",
        ids=f"{vendor}:{product}",
        interface=number,
        certain=kind == AT,
        kind=kind,
        rank=rank,
        driver=driver,
    )


def _is_module(driver: str, device_path: Path) -> bool:
    """Whether a device of an unknown maker is a cellular module. cdc_acm drives anything from a module to a printer,
    so it counts only beside a network interface."""
    if driver in MODEM_DRIVERS:
        return True
    return driver == "cdc_acm" and next(device_path.glob("*:*/net"), None) is not None


def _kind(row: UsbIds, number: int, seen: Descriptor) -> tuple[str, int]:
    """What an interface is and how late it is tried: by the table, else by its descriptors."""
    listed = bool(row.products)
    if listed and number in row.never:
        return row.never[number], 0
    if listed and number in row.at:
        return AT, row.at.index(number)
    kind, rank = described(row.vendor, seen)
    if listed or kind != UNKNOWN or rank <= NAMED:
        return kind, rank
    if number in row.at:  # as the maker mostly does it
        return UNKNOWN, _USUAL_RANK + row.at.index(number)
    return UNKNOWN, _LAST_RANK if number in row.never else rank


def _descriptor(interface_path: Path) -> Descriptor:
    return Descriptor(
        klass=_read(interface_path / "bInterfaceClass").lower(),
        subclass=_read(interface_path / "bInterfaceSubClass").lower(),
        protocol=_read(interface_path / "bInterfaceProtocol").lower(),
        endpoints=max(0, _hexadecimal(_read(interface_path / "bNumEndpoints"))),
        name=_read(interface_path / "interface"),
    )


def _channel(sysfs: Path, dev: Path, name: str) -> Candidate | None:
    """A control channel without a terminal: AT where the driver says so, else QMI or MBIM."""
    interface_path = _up_to(sysfs / "class" / "usbmisc" / name / "device", "bInterfaceNumber")
    device_path = _up_to(interface_path, "idVendor") if interface_path else None
    if interface_path is None or device_path is None or not name.startswith("cdc-wdm"):
        return None
    driver = _driver(interface_path)
    number = _hexadecimal(_read(interface_path / "bInterfaceNumber"))
    return Candidate(
        device=str(dev / name),
        place=f"{device_path.name}:{number:x}",
        ids=f"{_read(device_path / 'idVendor').lower()}:{_read(device_path / 'idProduct').lower()}",
        interface=number,
        kind=UNKNOWN if driver in AT_CHANNELS else driver.removeprefix("cdc_").removesuffix("_wwan") or "control",
        rank=_CHANNEL_RANK,
        driver=driver,
    )


def _wwan(dev: Path, name: str) -> Candidate:
    """A port of the kernel's WWAN subsystem names its own protocol: wwan0at0, wwan0mbim0, wwan0qcdm0."""
    kind = name[4:].strip("0123456789")
    return Candidate(str(dev / name), certain=kind == AT, kind=kind, driver="wwan")


def place_of(device: str, sysfs: Path = SYSFS) -> str:
    """Where on the bus a device path sits now, "" when it is not USB."""
    name = os.path.basename(os.path.realpath(device))
    interface_path = _up_to(sysfs / "class" / _class(name) / name / "device", "bInterfaceNumber")
    device_path = _up_to(interface_path, "idVendor") if interface_path else None
    if interface_path is None or device_path is None:
        return ""
    return f"{device_path.name}:{_hexadecimal(_read(interface_path / 'bInterfaceNumber')):x}"


def device_at(place: str, sysfs: Path = SYSFS, dev: Path = Path("/dev")) -> str:
    """The device path that sits at a place now, "" when nothing does."""
    for kind in ("tty", "usbmisc"):
        for name in _names(sysfs / "class" / kind):
            if (sysfs / "class" / kind / name / "device").exists() and place_of(str(dev / name), sysfs) == place:
                return str(dev / name)
    return ""


def _class(name: str) -> str:
    return "usbmisc" if name.startswith("cdc-wdm") else "tty"


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


def _driver(interface_path: Path) -> str:
    driver = interface_path / "driver"
    return os.path.basename(os.path.realpath(driver)) if driver.is_symlink() else ""


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
