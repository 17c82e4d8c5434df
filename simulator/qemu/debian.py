"""Debian roots by mmdebstrap: which packages a device has, and the one call that fetches them.

Called by the image builder (a configured root) and by simulator.qemu.foreign (an unpacked one).
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from simulator.qemu.cache import entry, find_tool
from simulator.qemu.errors import GuestUnavailable

# The agent's dependencies come in as the package's own would on a device; the rest is the guest's.
PACKAGES = (
    *("systemd", "systemd-sysv", "udev", "dbus", "kmod", "iproute2", "iputils-ping", "nftables", "tzdata"),
    *("python3", "python3-click", "python3-paho-mqtt", "python3-pyroute2", "python3-serial"),
    *("mosquitto", "mosquitto-clients", "mtd-utils", "e2fsprogs", "procps", "modemmanager"),
    "dnsmasq-base",  # the operator's name server
)
# What firmware-config/raspberry-pi/setup.sh would install, and a DHCP client for the household.
PI_PACKAGES = (*PACKAGES, "network-manager", "dnsmasq", "systemd-timesyncd", "busybox-static")
_SUFFIX = ("doc", "man", "locale", "info")


def mmdebstrap(folder: Path, suite: str, architecture: str, packages: Sequence[str], variant: str = "minbase") -> None:
    """Fill `folder` with a root of these packages, configured or (`extract`) only unpacked."""
    if os.geteuid() != 0:
        raise GuestUnavailable("a device image is made by mmdebstrap and chroot: run this as root")
    command = [find_tool("mmdebstrap", "mmdebstrap"), f"--variant={variant}", f"--architectures={architecture}"]
    command += [f"--include={','.join(packages)}", '--aptopt=Acquire::Languages "none"']
    command += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _SUFFIX]
    command += [suite, str(folder)]
    if architecture != "amd64":
        # The security archive of a foreign architecture is now and then out of step; the main one alone will do.
        command.append(f"deb {main_archive(suite)} {suite} main")
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if result.returncode != 0:
        raise GuestUnavailable("mmdebstrap: " + " / ".join(result.stderr.strip().splitlines()[-3:]))


def main_archive(suite: str) -> str:
    """Where this machine's apt gets Debian from."""
    apt = find_tool("apt-get", "apt")
    listing = [apt, "indextargets", "--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages"]
    lines = subprocess.run(listing, capture_output=True, text=True, timeout=60).stdout.splitlines()
    found = [uri for uri, _, codename in (line.partition(" ") for line in lines) if codename == suite]
    if not found:
        raise GuestUnavailable(f"apt knows no archive of {suite}")
    return found[0]


def base_root(suite: str = "bookworm", architecture: str = "amd64", packages: tuple[str, ...] = PACKAGES) -> Path:
    """A Debian root as a folder, from the cache or made now."""
    key = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:8]
    return entry(f"root/{suite}-{architecture}-{key}", lambda folder: mmdebstrap(folder, suite, architecture, packages))


def installed(root: Path) -> list[str]:
    """The names of all packages of a configured root."""
    names = re.findall(r"^Package: (\S+)$", (root / "var/lib/dpkg/status").read_text(), re.MULTILINE)
    return sorted(set(names))
