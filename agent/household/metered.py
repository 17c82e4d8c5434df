"""What the devices of the house are to know of the line: it is metered, and how near it is to its limit. Pure.

A device that knows holds its own updates back. Two signals carry it; README.md says which systems read which.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.status_schema import Announcement

# Network Cost element, [MS-NCT] 2.2: a vendor-specific element (IEEE 802.11-2020, 9.4.2.25) of Microsoft's OUI, type
# 17; then cost level, a reserved byte, cost flags, a reserved byte.
ELEMENT_ID = 0xDD
NETWORK_COST = bytes.fromhex("0050f211")
FIXED = 0x02  # counts against a limit; VARIABLE would say that each byte costs money, which it never does here
OVER_LIMIT, APPROACHING_LIMIT = 0x01, 0x08

# By the plan's state. Lifted, suspended and expired are full speed by somebody's decision: no limit is near.
FLAGS = {"warned": APPROACHING_LIMIT, "throttled": APPROACHING_LIMIT | OVER_LIMIT, "forced": OVER_LIMIT}

# What Android (DhcpResults.hasMeteredHint), NetworkManager and ChromeOS look for in DHCP option 43.
ANDROID_METERED = "ANDROID_METERED"
VENDOR_SPECIFIC = 43  # RFC 2132, 8.4
CAPTIVE_PORTAL = 114  # RFC 8910, 2.1

YES, NO, NONE, OFF = "yes", "no", "none", "off"


@dataclass(frozen=True, slots=True)
class Signal:
    """What became of one signal: yes, no (and why), none (nothing here could carry it), or off."""

    state: str = OFF
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Announced:
    """Both signals, as `status` and the doctor show them."""

    wifi: Signal = Signal()
    cable: Signal = Signal()

    def to_dict(self) -> dict[str, Announcement]:
        return {
            name: {"state": signal.state, "reason": signal.reason}
            for name, signal in (("wifi", self.wifi), ("cable", self.cable))
        }


@dataclass(frozen=True, slots=True)
class DhcpOption:
    """One option that a DHCP server sends to everybody, asked for or not."""

    number: int
    value: str

    def __str__(self) -> str:
        return f"{self.number},{self.value}"


def element(plan_state: str) -> bytes:
    """The Network Cost element for a state of the plan."""
    body = NETWORK_COST + bytes([FIXED, 0, FLAGS.get(plan_state, 0), 0])
    return bytes([ELEMENT_ID, len(body)]) + body


def without_ours(elements: bytes) -> bytes:
    """The elements of others. Raises ValueError for what is no row of elements."""
    kept, rest = b"", elements
    while rest:
        if len(rest) < 2 or len(rest) < 2 + rest[1]:
            raise ValueError(f"{elements.hex()} is not a row of vendor elements")
        one, rest = rest[: 2 + rest[1]], rest[2 + rest[1] :]
        if not (one[0] == ELEMENT_ID and one[2:6] == NETWORK_COST):
            kept += one
    return kept


def dhcp_options(metered: str, captive_portal_url: str) -> tuple[DhcpOption, ...]:
    """The options for the configuration's `household.metered` and `household.captive_portal_url`."""
    signal = (DhcpOption(VENDOR_SPECIFIC, ANDROID_METERED),) if metered != "off" else ()
    return (*signal, DhcpOption(CAPTIVE_PORTAL, captive_portal_url)) if captive_portal_url else signal
