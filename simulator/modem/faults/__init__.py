"""The faults that modules in the field have, by name. Importing this package registers them all."""

from __future__ import annotations

from simulator.modem.fault import FAULTS
from simulator.modem.faults import network, power, sim, wire  # noqa: F401


def names() -> list[str]:
    return sorted(FAULTS)
