"""The two boards a guest can be: a PC, and ARM's `virt` as the Raspberry Pi's stand-in. A row each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from simulator.qemu.errors import GuestUnavailable


@dataclass(frozen=True)
class Architecture:
    """How QEMU and Debian call it, and what its board is made of."""

    name: str  # as uname -m and --arch have it
    debian: str
    qemu: str
    package: str  # that brings QEMU for it
    board: tuple[str, ...]
    console: str
    loader: Path | None = None  # what boots a disk; None: QEMU's own

    def firmware(self) -> list[str]:
        """QEMU's arguments to boot a disk by its own boot loader."""
        if self.loader is None:
            return []
        if not self.loader.exists():
            raise GuestUnavailable(f"{self.loader} not found; install it with: sudo apt-get install -y {_EFI}")
        return ["-bios", str(self.loader)]


_EFI = "qemu-efi-aarch64"
X86_64 = Architecture(
    name="x86_64",
    debian="amd64",
    qemu="qemu-system-x86_64",
    package="qemu-system-x86",
    board=("-M", "q35,hpet=off", "-cpu", "max,la57=off"),
    console="ttyS0",
)
AARCH64 = Architecture(
    name="aarch64",
    debian="arm64",
    qemu="qemu-system-aarch64",
    package="qemu-system-arm",
    board=("-M", "virt", "-cpu", "cortex-a72"),  # the cores of a Raspberry Pi 4
    console="ttyAMA0",
    loader=Path("/usr/share") / _EFI / "QEMU_EFI.fd",
)
ARCHITECTURES = {each.name: each for each in (X86_64, AARCH64)}
