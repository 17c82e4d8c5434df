"""Interface statistics as NetJSON (netjson.org, DeviceMonitoring): what OpenWISP and its like already read.

Used by `usage --netjson`. The counters are the kernel's own, so that it answers with or without a running agent.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

SYSFS = Path("/sys/class/net")
STATISTICS = (
    "rx_bytes", "tx_bytes", "rx_packets", "tx_packets", "rx_errors", "tx_errors", "rx_dropped", "tx_dropped",
    "multicast", "collisions",
)  # fmt: skip


def monitoring(patterns: Sequence[str], root: Path = SYSFS) -> dict[str, object]:
    """The DeviceMonitoring object with the WAN interfaces that exist."""
    names = sorted(p.name for p in root.iterdir()) if root.is_dir() else []
    chosen = [n for n in names if any(fnmatchcase(n, pattern) for pattern in patterns)]
    return {"type": "DeviceMonitoring", "interfaces": [_interface(root / name) for name in chosen]}


def _interface(folder: Path) -> dict[str, object]:
    out: dict[str, object] = {"name": folder.name, "type": "virtual" if not (folder / "device").exists() else "other"}
    address = _text(folder / "address")
    if address and address != "00:00:00:00:00:00":
        out["mac"] = address
    mtu = _text(folder / "mtu")
    if mtu.isdigit():
        out["mtu"] = int(mtu)
    out["up"] = _text(folder / "operstate") in ("up", "unknown")
    values = {name: _text(folder / "statistics" / name) for name in STATISTICS}
    out["statistics"] = {name: int(value) for name, value in values.items() if value.isdigit()}
    return out


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
