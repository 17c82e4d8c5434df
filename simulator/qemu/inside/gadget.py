"""A USB device made in configfs and bound to the kernel's dummy controller: it appears in this same guest.

Called by the guest's modem program. The kernel's own drivers (option, cdc_ether) take it for the module whose ids and
interfaces it bears: udev, sysfs and interface numbers are the real ones. Root, and never on a machine that matters.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from simulator.modem.profile import Profile

CONFIGFS = Path("/sys/kernel/config")
MODULES = ("dummy_hcd", "libcomposite", "u_serial", "usb_f_serial", "u_ether", "usb_f_ecm", "usb_f_acm")
UDC = "dummy_udc.0"

# dummy_udc has so few endpoints: three serial functions and a network link, or four without one.
_MOST_WITH_NET, _MOST_WITHOUT = 3, 4


@dataclass(frozen=True)
class Layout:
    """What of a profile fits on the controller: serial interfaces 0 to `serial` - 1, and the network link or not."""

    serial: int
    net: bool
    function: str  # gser: vendor-specific, for option and sierra; acm: CDC ACM


def layout(profile: Profile, *, net: bool = True) -> Layout:
    """Interfaces are numbered in order, so all up to the AT port must be there; the link gives way if it must.

    Without a link there is room for a fourth port: the one that ModemManager keeps while the agent has the other.
    """
    wanted = profile.primary.interface + 1
    if wanted > _MOST_WITHOUT:
        raise ValueError(f"{profile.name}: AT port {wanted - 1} is beyond what dummy_udc can show")
    net = net and profile.usb.net_interface is not None and wanted <= _MOST_WITH_NET
    if not net:
        wanted = min(_MOST_WITHOUT, max(port.interface for port in profile.ports) + 1)
    return Layout(wanted, net, "acm" if profile.usb.driver == "cdc_acm" else "gser")


class Gadget:
    """make() once, then plug() and unplug(); `ports` are the far ends, the module's own side."""

    def __init__(self, profile: Profile, serial_number: str, *, net: bool = True, name: str = "modem") -> None:
        self.profile, self.layout = profile, layout(profile, net=net)
        self.folder = CONFIGFS / "usb_gadget" / name
        self._serial_number = serial_number

    @property
    def ports(self) -> list[Path]:
        return [Path(f"/dev/ttyGS{number}") for number in range(self.layout.serial)]

    @property
    def net(self) -> str:
        """The name of the module's own end of the link; empty when there is none."""
        return (self.folder / "functions/ecm.net/ifname").read_text().strip() if self.layout.net else ""

    def make(self) -> None:
        # The kernel would call modprobe for a function's module only from some versions on.
        subprocess.run(["modprobe", "-a", *MODULES], check=True, capture_output=True)
        if not (CONFIGFS / "usb_gadget").is_dir():
            subprocess.run(["mount", "-t", "configfs", "none", str(CONFIGFS)], check=True, capture_output=True)
        self.folder.mkdir()
        self._write("idVendor", f"0x{self.profile.usb.vendor}")
        self._write("idProduct", f"0x{self.profile.usb.product}")
        self._write("strings/0x409/serialnumber", self._serial_number)
        self._write("strings/0x409/manufacturer", self.profile.usb.manufacturer or self.profile.manufacturer)
        self._write("strings/0x409/product", self.profile.usb.product_name or self.profile.model)
        self._write("configs/c.1/MaxPower", "500")
        names = [f"{self.layout.function}.{number}" for number in range(self.layout.serial)]
        for name in [*names, *(["ecm.net"] if self.layout.net else [])]:
            function = self.folder / "functions" / name
            function.mkdir(parents=True)
            if name == "ecm.net":
                # Or the module's own end would be usb0 and the device's usb1.
                self._write("functions/ecm.net/ifname", "far%d")
                self._write("functions/ecm.net/host_addr", "02:00:00:00:00:02")
                self._write("functions/ecm.net/dev_addr", "02:00:00:00:00:01")
            (self.folder / "configs/c.1" / name).symlink_to(function)

    def plug(self) -> None:
        self._write("UDC", UDC)

    def unplug(self) -> None:
        """All ttyUSB vanish and the link with them; readers get EIO."""
        with contextlib.suppress(OSError):  # not plugged
            self._write("UDC", "\n")

    def deaf(self) -> bool:
        """Whether the device has opened its own end of the link, and knows of no connection."""
        for carrier in Path("/sys/bus/usb/devices").glob(f"*:1.{self.layout.serial}/net/*/carrier"):
            with contextlib.suppress(OSError):  # not opened, or gone
                return carrier.read_text().strip() == "0"
        return False

    def _write(self, name: str, value: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value)


def wait_for(path: Path, timeout_s: float = 10) -> Path:
    """Device nodes appear when udev or devtmpfs has made them."""
    limit = time.monotonic() + timeout_s
    while not path.exists():
        if time.monotonic() > limit:
            raise TimeoutError(f"{path} did not appear within {timeout_s:g} s")
        time.sleep(0.02)
    return path
