"""What the platform's package manager needs and how it compares versions: one row each, and which one is here.

It also checks who made a package: apt by the signed index of a feed, opkg-key by a signature beside the package, apk by
the one inside it. judge.sh, which may do it, calls them; here stands what is to be fetched for that.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from agent.errors import AgentError

COMPARE_S = 20.0


@dataclass(frozen=True, slots=True)
class PackageManager:
    name: str
    mark: str  # is there where this one is the platform's
    beside: tuple[str, ...]  # what is fetched from the package's folder; {} is the package's name
    newer: tuple[str, ...]  # compares {new} with {old}
    says: str | None  # what it prints then; None: its exit status tells
    unit: str  # is there where something waits for what is handed over
    start: tuple[str, ...] = ()  # wakes it; empty: it watches for the request


OPENWRT_UNIT = "/etc/init.d/modem-agent-update"

# dpkg(1) --compare-versions; opkg-lede's opkg_compare_versions_cmd (libopkg/opkg_cmd.c); apk-version(8) -t.
# The marks are those of agent/system.py, apk before opkg: an image may bring both names.
TABLE = (
    PackageManager(
        "apk", "lib/apk/db", (), ("apk", "version", "-t", "{new}", "{old}"), ">", OPENWRT_UNIT, (OPENWRT_UNIT, "start")
    ),
    PackageManager(
        "opkg", "usr/lib/opkg", ("{}.sig",), ("opkg", "compare-versions", "{new}", ">>", "{old}"), None,
        OPENWRT_UNIT, (OPENWRT_UNIT, "start"),
    ),
    PackageManager(
        "dpkg", "var/lib/dpkg", ("InRelease", "Packages"), ("dpkg", "--compare-versions", "{new}", "gt", "{old}"), None,
        "/etc/systemd/system/multi-user.target.wants/modem-agent-update.path",
    ),
)  # fmt: skip


def find(root: Path = Path("/")) -> PackageManager:
    """Raises AgentError where there is none that this table knows."""
    for manager in TABLE:
        if (root / manager.mark).is_dir():
            return manager
    raise AgentError(f"no package manager here: none of {', '.join(row.name for row in TABLE)}")


def is_newer(manager: PackageManager, new: str, old: str) -> bool:
    """Whether `new` is above `old`, in the manager's own order. Raises AgentError."""
    words = [word.format(new=new, old=old) for word in manager.newer]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=COMPARE_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AgentError(f"{words[0]}: {error}") from error
    return done.returncode == 0 if manager.says is None else done.stdout.strip() == manager.says
