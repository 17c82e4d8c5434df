"""The devices of the house that have something to download by themselves, and which of them hold it back.

A device hears of a metered line by the router's DHCP options, by the Wi-Fi beacon, by both or by nothing, and reads
them as its own system's documents say: this module shares no table with the agent, whose bytes it is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from simulator.errors import UnknownName

_ASKS_BPS = 20_000_000.0  # what an update server sends to a device that asks for it, where the line lets it


def _dhcp_says_metered(options: dict[int, bytes]) -> bool:
    """AOSP, DhcpResults.hasMeteredHint and NetworkManager, nm_l3_config_data: these bytes somewhere in option 43."""
    return b"ANDROID_METERED" in options.get(43, b"")


def _elements(beacon: bytes) -> Iterator[bytes]:
    """The bodies of the vendor-specific elements: number 221, a length, the body (IEEE 802.11-2020, 9.4.2.25)."""
    while len(beacon) >= 2:
        number, length = beacon[0], beacon[1]
        if number == 221:
            yield beacon[2 : 2 + length]
        beacon = beacon[2 + length :]


def _beacon_says_metered(beacon: bytes) -> bool:
    """[MS-NCT] 2.2: after OUI and type the cost level: 2 fixed and 4 variable are metered, 0 unknown and 1 are not."""
    return any(body[:4] == b"\x00\x50\xf2\x11" and body[4] in (2, 4) for body in _elements(beacon) if len(body) >= 5)


@dataclass(frozen=True, slots=True)
class Announcement:
    """What the router says to all devices, as it lies on the wire."""

    dhcp: dict[int, bytes]
    beacon: bytes = b""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of device: what it hears."""

    dhcp: bool
    beacon: bool

    def holds_back(self, said: Announcement) -> bool:
        return (self.dhcp and _dhcp_says_metered(said.dhcp)) or (self.beacon and _beacon_says_metered(said.beacon))


# Which system reads which signal: agent/household/README.md has the sources. A Windows PC at the cable and an iPhone
# read none, so that they fetch whatever the router says.
KINDS = {
    "windows-wifi": Kind(dhcp=False, beacon=True),
    "windows-cable": Kind(dhcp=False, beacon=False),
    "android": Kind(dhcp=True, beacon=False),
    "linux": Kind(dhcp=True, beacon=True),
    "iphone": Kind(dhcp=False, beacon=False),
}


def kind_of(word: str) -> str:
    """The word, if it names a kind of device. Raises SimulatorError."""
    if word not in KINDS:
        raise UnknownName("device", word, sorted(KINDS))
    return word


class Updates:
    """What the devices have still to fetch, by kind, and what came: bytes."""

    def __init__(self) -> None:
        self._waiting: dict[str, float] = {}
        self.fetched_bytes = 0.0

    def offer(self, kind: str, gigabytes: float) -> None:
        """Updates are published for a device of this kind. Raises SimulatorError for a kind that is not known."""
        self._waiting[kind_of(kind)] = self._waiting.get(kind, 0.0) + gigabytes * 1e9

    @property
    def waiting_bytes(self) -> float:
        return sum(self._waiting.values())

    def wanted(self, said: Announcement, elapsed_s: float) -> dict[str, float]:
        """What the devices that do not hold back ask of the line in this time, in bytes by kind."""
        most = _ASKS_BPS * elapsed_s / 8
        return {kind: min(left, most) for kind, left in self._waiting.items() if not KINDS[kind].holds_back(said)}

    def arrived(self, kind: str, amount: float) -> None:
        self._waiting[kind] -= amount
        self.fetched_bytes += amount
