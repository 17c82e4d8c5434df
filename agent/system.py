"""The system that the agent stands on, and how a person starts, stops and installs there. For advice alone.

Used by the doctor, the shaper's advice and `setup`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True, slots=True)
class System:
    """Commands as a technician types them."""

    configuration: str  # the file that a person changes
    start: str
    restart: str
    log: str
    install: str  # followed by names of packages
    stop_modemmanager: str


DEBIAN = System(
    configuration="/etc/modem-agent/config.toml",
    start="systemctl start modem-agent",
    restart="systemctl restart modem-agent",
    log="journalctl -u modem-agent",
    install="apt install",
    stop_modemmanager="systemctl stop ModemManager",
)
OPENWRT_OPKG = System(
    configuration="/etc/config/modem-agent",
    start="/etc/init.d/modem-agent start",
    restart="/etc/init.d/modem-agent restart",
    log="logread -e modem-agent",
    install="opkg update; opkg install",
    stop_modemmanager="/etc/init.d/modemmanager stop",
)
OPENWRT_APK = replace(OPENWRT_OPKG, install="apk add")  # from 25.12 on


def find(root: Path = Path("/")) -> System:
    """By the file that base-files of OpenWrt brings, and by the package manager that is there."""
    if not (root / "etc/openwrt_release").exists():
        return DEBIAN
    return OPENWRT_APK if (root / "lib/apk/db").is_dir() else OPENWRT_OPKG
