"""Who dials on this system, and with which access point name: NetworkManager, or OpenWrt's netifd.

Where one of them dials, its own setting counts and the module's is overwritten at each connection; so it is that
setting which doctor compares and setup changes. Asked by one-shot programs; a system without them has neither.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.errors import AgentError

ASK_S = 5.0
# The protocols of netifd that take an APN (OpenWrt packages: uqmi, umbim, comgt, modemmanager, xmm-modem).
PROTOCOLS = frozenset({"qmi", "mbim", "ncm", "3g", "directip", "modemmanager", "wwan", "xmm", "fibocom", "quectel"})

Run = Callable[[Sequence[str]], str]


@dataclass(frozen=True, slots=True)
class Dialler:
    """One connection that somebody else dials."""

    owner: str  # NetworkManager or netifd
    name: str  # of the connection, or of the section
    apn: str

    def commands(self, apn: str) -> tuple[tuple[str, ...], ...]:
        """What changes its APN; it counts from the next connection on."""
        if self.owner == "NetworkManager":
            return (("nmcli", "connection", "modify", self.name, "gsm.apn", apn),)
        return ("uci", "set", f"network.{self.name}.apn={apn}"), ("uci", "commit", "network")

    @property
    def again(self) -> str:
        """What connects anew."""
        return f"nmcli connection up {self.name}" if self.owner == "NetworkManager" else f"ifup {self.name}"


def run(words: Sequence[str]) -> str:
    """What the program prints. Raises AgentError with its own words."""
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=ASK_S, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AgentError(f"{words[0]}: {error}") from error
    if done.returncode:
        raise AgentError(f"{' '.join(words)}: {done.stderr.strip() or f'ended with status {done.returncode}'}")
    return done.stdout


def diallers(ask: Run = run) -> tuple[Dialler, ...]:
    """All connections that dial with an APN of their own."""
    return (*_network_manager(ask), *_netifd(ask))


def _network_manager(ask: Run) -> list[Dialler]:
    """Terse output escapes colons in names by a backslash (nmcli(1), --escape)."""
    found = []
    for line in _lines(ask, ("nmcli", "-t", "-f", "TYPE,NAME", "connection", "show")):
        kind, _, name = line.partition(":")
        if kind == "gsm":
            name = re.sub(r"\\(.)", r"\1", name)
            apn = "".join(_lines(ask, ("nmcli", "-g", "gsm.apn", "connection", "show", name))).strip()
            found.append(Dialler("NetworkManager", name, apn))
    return found


def _netifd(ask: Run) -> list[Dialler]:
    """network.wwan.proto='qmi' and network.wwan.apn='internet' of `uci show network`."""
    options: dict[str, dict[str, str]] = {}
    for line in _lines(ask, ("uci", "-q", "show", "network")):
        if found := re.fullmatch(r"network\.([^.=]+)\.(proto|apn)='?(.*?)'?", line):
            options.setdefault(found[1], {})[found[2]] = found[3]
    return [
        Dialler("netifd", section, values.get("apn", ""))
        for section, values in options.items()
        if values.get("proto") in PROTOCOLS
    ]


def _lines(ask: Run, words: Sequence[str]) -> list[str]:
    try:
        return ask(words).splitlines()
    except AgentError:
        return []
