"""`modem-sim qemu --image FILE`: boots a given image (OpenWrt x86/64 or armsr, as its builder left it) and installs the
agent's package into it.

The image is never written to: the guest works on a layer over it. It boots by its own boot loader. What is installed
comes on a second disk that is nothing but a tar archive, so that the image needs no file system or driver of ours; the
commands go over its serial console. Its first NIC is the LAN, the second the WAN with a way out, where packages come
from if this machine has one; the module is on QEMU's USB bus (simulator.qemu.outside).
"""

from __future__ import annotations

import json
import shutil
import tarfile
import tempfile
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from simulator.qemu import ipk
from simulator.qemu.architecture import ARCHITECTURES
from simulator.qemu.device import layer_over
from simulator.qemu.errors import GuestError
from simulator.qemu.machine import Hardware, Machine
from simulator.qemu.outside import OutsideModule
from simulator.qemu.serial import SerialShell

# Run in the guest. Feeds are asked for what the package needs; without any, what lies here must do.
INSTALL = """#!/bin/sh
cd "${0%/*}" || exit 1
if command -v opkg >/dev/null; then
  opkg update || echo "install: no feeds; what the package needs must be there"
  opkg install ./*.ipk
elif command -v apk >/dev/null; then
  apk update || echo "install: no feeds; what the package needs must be there"
  apk add --allow-untrusted ./*.apk
else
  echo "install: neither opkg nor apk in this image"
  exit 1
fi
"""
_DISKS = "for disk in /dev/vdb /dev/sdb; do [ -b $disk ] && break; done"


class Firmware:
    """A given image with the agent's package. A context manager; power_on() as often as wished, on the same layer."""

    def __init__(
        self, image: Path, *, arch: str = "x86_64", packages: Sequence[Path] = (), profile: str = "quectel-ec25"
    ) -> None:
        self.board = ARCHITECTURES[arch]
        self.folder = Path(tempfile.mkdtemp(prefix="modem-agent-image-"))
        self.module = OutsideModule(profile)
        self._machine: Machine | None = None
        self._shell: SerialShell | None = None
        try:
            self._layer(image)
            self._bag(packages)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _layer(self, image: Path) -> None:
        if not image.is_file():
            raise GuestError(f"{image}: no such image")
        if image.suffix == ".gz":
            image = _unpacked(image, self.folder / "image")
        layer_over(image, self.folder / "disk.qcow2")

    def _bag(self, packages: Sequence[Path]) -> None:
        """The second disk: a tar of the packages and what installs them, padded to whole sectors."""
        script = self.folder / "install.sh"
        script.write_text(INSTALL)
        with tarfile.open(self.folder / "bag.img", "w") as bag:
            bag.add(script, "modem-agent-install/install.sh")
            for package in packages or [ipk.build(self.folder)]:
                if not package.is_file():
                    raise GuestError(f"{package}: no such package")
                bag.add(package, f"modem-agent-install/{package.name}")

    @property
    def machine(self) -> Machine:
        if self._machine is None:
            raise GuestError("the image is not running")
        return self._machine

    def power_on(self, timeout_s: float = 170) -> float:
        """Start it; the seconds until its console has a shell."""
        if self._machine is not None:
            raise GuestError("the image is running already")
        began = time.monotonic()
        self._machine = Machine(
            Hardware(
                kernel=None,
                disks=[self.folder / "disk.qcow2", self.folder / "bag.img"],
                cpus=2,
                architecture=self.board,
                extra=[*_NICS, *self.module.arguments],
            )
        )
        try:
            self._shell = SerialShell(self._machine.folder / "serial", self._machine, timeout_s)
        except GuestError as error:
            last = self._machine.last_lines()
            self.power_cut()
            raise GuestError(
                f"the image did not come up within {timeout_s:g} s ({error})\n-- console --\n{last}"
            ) from None
        return time.monotonic() - began

    def install(self, timeout_s: float = 600) -> str:
        """Install the package; what the package manager said. GuestError if it refuses."""
        return self.shell(f"{_DISKS}; tar -xf $disk -C /tmp && sh /tmp/modem-agent-install/install.sh 2>&1", timeout_s)

    def shell(self, text: str, timeout_s: float = 60, check: bool = True) -> str:
        """Run a line of shell in the guest as root; its output. GuestError when it fails, unless check is False."""
        if self._shell is None:
            raise GuestError("the image is not running")
        result = self._shell.run(text, timeout_s)
        if check and result.exit_code != 0:
            raise GuestError(f"{text}: exit code {result.exit_code}\n{result.output[-2000:]}")
        return result.output

    def unplug(self) -> None:
        self.module.unplug(self.machine)

    def plug(self) -> None:
        self.module.plug(self.machine)

    def control(self, words: list[str]) -> str:
        """What `modem-sim ctl` does, to the module outside; its cable is QEMU's."""
        cable = {"unplug": lambda args: self.unplug(), "plug": lambda args: self.plug()}
        answer = self.module.running.perform(words[0], words[1:], cable)
        return json.dumps(answer, indent=2, ensure_ascii=False) + "\n"

    def power_cut(self) -> None:
        """Pull the plug. The layer keeps what was flushed."""
        if self._shell is not None:
            self._shell.close()
            self._shell = None
        if self._machine is not None:
            self._machine.close()
            self._machine = None

    def __enter__(self) -> Firmware:
        self.module.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.power_cut()
        self.module.__exit__(kind, error, at)
        shutil.rmtree(self.folder, ignore_errors=True)


_NICS = [
    *("-netdev", "hubport,id=lan,hubid=0", "-device", "virtio-net-pci,netdev=lan,mac=02:00:00:00:01:01,romfile="),
    *("-netdev", "user,id=wan", "-device", "virtio-net-pci,netdev=wan,mac=02:00:00:00:02:01,romfile="),
]


def _unpacked(image: Path, place: Path) -> Path:
    """An image's .gz unpacked. OpenWrt puts its metadata after the compressed stream, which gzip(1) complains of."""
    stream = zlib.decompressobj(wbits=31)
    with image.open("rb") as source, place.open("wb") as target:
        while not stream.eof and (piece := source.read(1 << 20)):
            try:
                target.write(stream.decompress(piece))
            except zlib.error as error:
                raise GuestError(f"{image}: {error}") from error
    if not stream.eof:
        raise GuestError(f"{image}: ends in the middle of the compressed data")
    return place
