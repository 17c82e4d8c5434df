"""A directory that shows a module as Linux does: /sys/devices, /sys/bus/usb, /sys/class/tty and /dev beside it.

For tests of port discovery, which take the roots as arguments. Numbers of ttyUSBn move on at every return, as they
do in the field when somebody still holds the old port.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from simulator.errors import SimulatorError
from simulator.modem.profile import PortSpec, Profile


class SysfsTree:
    """ROOT/sys and ROOT/dev. `usb_path` is where the module is plugged in, such as 1-1.2."""

    def __init__(
        self, root: Path, profile: Profile, serial: str = "", *, usb_path: str = "1-1", first: int = 0
    ) -> None:
        self.root, self.profile, self.serial, self.usb_path = root, profile, serial, usb_path
        self.next_number = first
        self.nodes: dict[int, str] = {}
        if not root.parent.is_dir():
            raise SimulatorError(f"{root}: there is no folder {root.parent}")
        (root / "sys/class/tty").mkdir(parents=True, exist_ok=True)
        (root / "sys/class/net").mkdir(parents=True, exist_ok=True)
        (root / "sys/bus/usb/devices").mkdir(parents=True, exist_ok=True)
        (root / "dev").mkdir(exist_ok=True)

    @property
    def device(self) -> Path:
        return self.root / "sys/devices/pci0000:00/0000:00:14.0/usb1" / self.usb_path

    def appear(self, terminals: dict[int, str]) -> None:
        """`terminals`: what is behind each interface's node; one that is missing gets a node that leads nowhere."""
        usb = self.profile.usb
        self.device.mkdir(parents=True, exist_ok=True)
        _write(
            self.device,
            idVendor=usb.vendor,
            idProduct=usb.product,
            manufacturer=usb.manufacturer or self.profile.manufacturer,
            product=usb.product_name or self.profile.model,
            serial=self.serial,
            busnum="1",
            devnum="2",
            authorized="1",
            bDeviceClass="00",
        )
        _link(self.root / "sys/bus/usb/devices" / self.usb_path, self.device)
        for port in self.profile.ports:
            self._serial_interface(port, terminals.get(port.interface, ""))
        if usb.net_interface is not None:
            self._net_interface(usb.net_interface)

    def _interface(self, number: int, protocol: int, driver: str) -> Path:
        interface = self.device / f"{self.usb_path}:1.{number}"
        interface.mkdir(exist_ok=True)
        _write(
            interface,
            bInterfaceNumber=f"{number:02x}",
            bInterfaceClass="ff",
            bInterfaceSubClass="ff",
            bInterfaceProtocol=f"{protocol:02x}",
            bNumEndpoints="03",
        )
        driver_path = self.root / "sys/bus/usb/drivers" / driver
        driver_path.mkdir(parents=True, exist_ok=True)
        _link(interface / "driver", driver_path)
        _link(interface / "subsystem", self.root / "sys/bus/usb")
        _link(self.root / "sys/bus/usb/devices" / interface.name, interface)
        return interface

    def _serial_interface(self, port: PortSpec, terminal: str) -> None:
        interface = self._interface(port.interface, port.protocol, self.profile.usb.driver)
        acm = self.profile.usb.driver == "cdc_acm"
        name = f"{'ttyACM' if acm else 'ttyUSB'}{self.next_number}"
        self.next_number += 1
        self.nodes[port.interface] = name
        # usb-serial puts a device of its own between the interface and the tty; cdc_acm does not.
        holder = interface if acm else interface / name
        node = holder / "tty" / name
        node.mkdir(parents=True)
        _write(
            node, dev=f"188:{self.next_number - 1}", uevent=f"MAJOR=188\nMINOR={self.next_number - 1}\nDEVNAME={name}"
        )
        _link(node / "device", holder)
        _link(self.root / "sys/class/tty" / name, node)
        device_node = self.root / "dev" / name
        device_node.unlink(missing_ok=True)
        device_node.symlink_to(terminal or "/dev/null")

    def _net_interface(self, number: int) -> None:
        drivers = {"ecm": "cdc_ether", "mbim": "cdc_mbim", "qmi": "qmi_wwan", "rndis": "rndis_host", "ncm": "cdc_ncm"}
        interface = self._interface(number, 0, drivers.get(self.profile.usb.net, "cdc_ether"))
        node = interface / "net" / "wwan0"
        node.mkdir(parents=True, exist_ok=True)
        _write(node, ifindex="7", address="02:00:00:00:00:07", type="1")
        _link(node / "device", interface)
        _link(self.root / "sys/class/net/wwan0", node)

    def vanish(self) -> None:
        """All of it goes; the numbers do not come back."""
        for name in self.nodes.values():
            (self.root / "sys/class/tty" / name).unlink(missing_ok=True)
            (self.root / "dev" / name).unlink(missing_ok=True)
        self.nodes.clear()
        (self.root / "sys/class/net/wwan0").unlink(missing_ok=True)
        for link in (self.root / "sys/bus/usb/devices").iterdir():
            link.unlink()
        shutil.rmtree(self.device, ignore_errors=True)


def _write(directory: Path, **files: str) -> None:
    for name, content in files.items():
        (directory / name).write_text(content + "\n", encoding="ascii")


def _link(at: Path, target: Path) -> None:
    at.unlink(missing_ok=True)
    at.symlink_to(os.path.relpath(target, at.parent))
