"""The device's disk: a Debian root made by mmdebstrap, and on it the agent from its own package, or by the Pi's script.

Called by the device guest. Both are cached: the root until its list of packages changes (a minute, cold), the disk
until the agent's package changes (some ten seconds). The kernel is not on the disk; it is the lean guest's.
"""

from __future__ import annotations

import hashlib
import runpy
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from simulator.qemu.cache import entry, find_tool, forget_old
from simulator.qemu.debian import PACKAGES, PI_PACKAGES, base_root
from simulator.qemu.errors import GuestError
from simulator.qemu.foreign import SUITE, foreign_root, take_place
from simulator.qemu.kernel import Kernel, find_kernel

__all__ = ["base_root", "build_package", "device_disk", "in_root"]

PROJECT = Path(__file__).parents[2]
ROOTFS = Path(__file__).parent / "rootfs"
PI_SCRIPT = PROJECT / "firmware-config/raspberry-pi/setup.sh"
CERTIFICATES = PROJECT / "firmware-config/broker/certificates.sh"
BROKER = "broker.example"  # the operator's dnsmasq knows it
IMEI = "001017000000003"  # of the simulated module (simulator.modem.identity), as its label has it
TLS = """listener 8883
cafile /etc/mosquitto/certs/device-ca.pem
certfile /etc/mosquitto/certs/broker.pem
keyfile /etc/mosquitto/certs/broker.key
require_certificate true
use_identity_as_username true
"""
PACKAGE, RASPBERRY_PI = "package", "raspberry-pi"  # the ways in which the agent comes onto a device
DISK_MB = 1_000
_KEPT_S = 7 * 86_400.0  # each change of the agent or the simulator makes another disk

# What costs boot time under TCG and does nothing for a guest.
MASKED = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer"),
    *("e2scrub_reap.service", "systemd-logind.service", "getty@tty1.service", "serial-getty@ttyS0.service"),
    *("getty-static.service", "systemd-timesyncd.service", "keyboard-setup.service", "mosquitto.service"),
    *("systemd-network-generator.service", "systemd-pstore.service", "systemd-binfmt.service"),
    *(f"modprobe@{name}.service" for name in ("dm_mod", "loop", "fuse", "drm", "efi_pstore")),
)
ENABLED = (
    *("guest-network.service", "guest-modem.service", "guest-broker.service", "guest-dhcp.service"),
    "guest-hand.service",
)


def build_package(folder: Path, version: str | None = None) -> Path:
    """The agent's Debian package, as `make deb` makes it."""
    maker: Callable[..., Path] = runpy.run_path(str(PROJECT / "firmware-config/debian/build.py"))["build"]
    return maker(folder, version)


def device_disk(suite: str = "bookworm", architecture: str = "amd64", way: str = PACKAGE) -> Path:
    """An ext4 disk with the agent installed, from the cache or made now. Never written to: guests use a layer on it.

    For another architecture all is installed and configured on this machine's own; then its programs take the place of
    ours (simulator.qemu.foreign), so that nothing foreign runs before the guest does."""
    if architecture != "amd64" and suite != SUITE:
        raise GuestError(f"a guest of {architecture} is {SUITE}; there is no {suite}")
    recipe = WAYS[way]
    root = base_root(suite, packages=recipe.packages)
    kernel = find_kernel(architecture)
    with tempfile.TemporaryDirectory() as side:
        package = build_package(Path(side))
        inside = sorted(path for path in (PROJECT / "simulator").rglob("*") if path.is_file() and path.suffix != ".pyc")
        content = [package.read_bytes(), *(path.read_bytes() for path in (*inside, *recipe.files))]
        content.append(f"{kernel.release} {way}".encode())
        key = hashlib.sha256(b"".join(content)).hexdigest()[:10]
        forget_old("disk", _KEPT_S)
        place = f"disk/{root.name}-{key}"
        return entry(place, lambda folder: _make_disk(folder, root, package, kernel, recipe)) / "disk.img"


def _make_disk(folder: Path, base: Path, package: Path, kernel: Kernel, recipe: Recipe) -> None:
    root = folder / "root"
    _do("cp", "-a", "--reflink=auto", str(base), str(root))
    shutil.copytree(ROOTFS, root, dirs_exist_ok=True)
    (root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
    (root / "usr/sbin/policy-rc.d").chmod(0o755)
    recipe.install(root, package)
    (root / "usr/sbin/policy-rc.d").unlink()
    in_root(root, "systemctl", "enable", *ENABLED, *recipe.enabled)
    in_root(root, "systemctl", "mask", *(unit for unit in MASKED if unit not in recipe.kept))
    if "ModemManager.service" not in recipe.kept:
        in_root(root, "systemctl", "disable", "ModemManager.service")
    _add_modules(root, kernel)
    shutil.copytree(
        PROJECT / "simulator", root / "usr/lib/guest/simulator", ignore=shutil.ignore_patterns("__pycache__")
    )
    in_root(root, "python3", "-m", "compileall", "-q", "/usr/lib/guest")
    (root / "etc/hostname").write_text("modem\n")
    (root / "etc/machine-id").write_text(hashlib.md5(b"modem-agent guest").hexdigest() + "\n")
    (root / "mnt/guest").mkdir(exist_ok=True)
    if kernel.architecture != "amd64":
        take_place(root, foreign_root(kernel.architecture))
    disk = folder / "disk.img"
    with disk.open("wb") as file:
        file.truncate(DISK_MB << 20)
    _do(find_tool("mkfs.ext4", "e2fsprogs"), "-q", "-F", "-O", "^has_journal", "-d", str(root), str(disk))
    shutil.rmtree(root)


def _by_package(root: Path, package: Path) -> None:
    shutil.copy(package, root / "modem-agent.deb")
    in_root(root, "dpkg", "-i", "/modem-agent.deb")
    (root / "etc/modem-agent/guest.toml").replace(root / "etc/modem-agent/config.toml")
    in_root(root, "chgrp", "modem-agent", "/etc/modem-agent/config.toml")
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    (root / "etc/resolv.conf").write_text("nameserver 10.64.0.1\n")  # the address is fixed, and this with it


def _by_pi_script(root: Path, package: Path) -> None:
    """As a technician does it on the mounted root of an image; the module plays a network card."""
    (root / "etc/modem-agent/guest.toml").unlink()
    (root / "etc/fstab").write_text("/dev/vda / ext4 defaults,noatime 0 1\n")
    _certify(root)
    words = ["--root", str(root), "--package", str(package), "--no-packages", "--link", "ecm", "--apn", "internet"]
    _do(str(PI_SCRIPT), *words, "--lan", "lan0", "--broker", f"mqtts://{BROKER}:8883", "--read-only", "/dev/vdb")


def _certify(root: Path) -> None:
    """The device's three files where the technician puts them, and the broker's, which asks for a certificate there."""
    with tempfile.TemporaryDirectory() as fleet:
        _do(str(CERTIFICATES), fleet, BROKER, IMEI)
        for folder, place in ((f"device-{IMEI}", "etc/modem-agent"), (f"broker-{BROKER}", "etc/mosquitto/certs")):
            shutil.copytree(Path(fleet, folder), root / place, dirs_exist_ok=True)
    (root / "etc/modem-agent").chmod(0o750)
    with (root / "etc/mosquitto/guest.conf").open("a") as conf:
        conf.write(TLS)


@dataclass(frozen=True)
class Recipe:
    """How the agent comes onto a root: the packages that are there before, what installs it, units beside ENABLED."""

    packages: tuple[str, ...]
    install: Callable[[Path, Path], None]
    enabled: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()  # units that are not switched off
    files: tuple[Path, ...] = ()  # on which the disk depends, beside package and simulator


WAYS = {
    PACKAGE: Recipe(PACKAGES, _by_package, enabled=("systemd-networkd.service",)),
    RASPBERRY_PI: Recipe(
        PI_PACKAGES,
        _by_pi_script,
        kept=("systemd-timesyncd.service",),
        files=(PI_SCRIPT, CERTIFICATES),
    ),
}


def _add_modules(root: Path, kernel: Kernel) -> None:
    """The kernel's modules, indexed by the root's own depmod: udev and systemd read no index but its binary one."""
    shutil.copytree(kernel.modules, root / "usr/lib/modules" / kernel.release)
    in_root(root, "depmod", kernel.release)


def in_root(root: Path, *command: str) -> str:
    """Run a command in a root; GuestError with its last words if it fails."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    return _do("chroot", str(root), *command, environment=environment)


def _do(*command: str, environment: dict[str, str] | None = None) -> str:
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    if result.returncode != 0:
        raise GuestError(f"{' '.join(command)}: {(result.stderr or result.stdout).strip()[-500:]}")
    return result.stdout
