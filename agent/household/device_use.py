"""How much each device of the household has used in the billing period. Pure; fed by daemon/tasks/page.py.

Amounts and Ethernet addresses alone: no names, no hours. It stays in the home: on the page, and in the device's own
store, of which nothing of it goes into a report, a bundle or the log. A phone that takes another address for this
network is another device.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from agent.household.page_view import TENTH_BYTES
from agent.household.publication import Shares
from agent.traffic.model import DeviceBytes

MOST_DEVICES, MOST_ADDRESSES = 256, 1_024
STRANGER = "-"


@dataclass
class DeviceUse:
    """One household's devices in one period."""

    period: str = ""
    used_bytes: dict[str, int] = field(default_factory=dict)  # by Ethernet address
    _owners: dict[str, str] = field(default_factory=dict)  # IP address to Ethernet address, in the order of their news

    def take(self, more: DeviceBytes, period: str, charge: str) -> int:
        """Add what was counted since the last time; how many bytes that were. `charge` is the plan's: which direction
        uses up the allowance."""
        if period != self.period:
            self.period, self.used_bytes = period, {}
        before = sum(self.used_bytes.values())
        for (mac, address), octets in more.sent.items():
            self._owners.pop(address, None)
            self._owners[address] = mac
            if charge != "received":
                self._add(mac, octets)
        for address, octets in more.received.items():
            if charge != "sent" and address in self._owners:
                self._add(self._owners[address], octets)
        for address in list(self._owners)[: max(0, len(self._owners) - MOST_ADDRESSES)]:
            del self._owners[address]
        return sum(self.used_bytes.values()) - before

    def _add(self, mac: str, octets: int) -> None:
        if mac in self.used_bytes or len(self.used_bytes) < MOST_DEVICES:
            self.used_bytes[mac] = self.used_bytes.get(mac, 0) + octets

    def shares(self, charged_bytes: int) -> list[tuple[str, Shares]]:
        """What each address's reader is shown; a stranger's own is 0. Nobody's that is known is what the ledger has and
        no device: what was used while nothing counted by device."""
        total = sum(self.used_bytes.values())
        unknown = charged_bytes - total
        unknown = unknown if unknown > max(TENTH_BYTES, charged_bytes // 100) else 0
        out = [(STRANGER, (0, _tenths(total), _tenths(unknown)))]
        for address, mac in sorted(self._owners.items()):
            own = self.used_bytes.get(mac, 0)
            out.append((address, (_tenths(own), _tenths(total - own), _tenths(unknown))))
        return out

    def listed(self) -> list[tuple[str, int]]:
        """All devices for the household that wants a list, by what it finds in their settings: the IPv4 address that
        they have now, else the Ethernet address. The most used first; those below 0.1 GB are left out."""
        addresses = {mac: address for address, mac in self._owners.items() if ":" not in address}
        found = sorted(self.used_bytes.items(), key=lambda pair: (-pair[1], pair[0]))
        return [(addresses.get(mac, mac), _tenths(octets)) for mac, octets in found if _tenths(octets)]

    # -- over a restart

    def saved(self) -> str:
        return json.dumps({"period": self.period, "used_bytes": self.used_bytes}, separators=(",", ":"))

    @classmethod
    def restored(cls, text: str | None) -> DeviceUse:
        """What was saved; nothing where it cannot be read."""
        try:
            found = json.loads(text or "{}")
            used = {str(mac): int(octets) for mac, octets in found["used_bytes"].items()}
            return cls(str(found["period"]), dict(list(used.items())[:MOST_DEVICES]))
        except (AttributeError, KeyError, TypeError, ValueError):
            return cls()


def _tenths(octets: int) -> int:
    return (octets + TENTH_BYTES // 2) // TENTH_BYTES
