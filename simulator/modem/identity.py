"""Numbers for a simulated subscriber and device: well formed, check digits right, and nobody's.

IMEI type codes that begin with 00 are for test equipment (3GPP 23.003, GSMA TS.06).
"""

from __future__ import annotations

from simulator.modem.state import State


def luhn(digits: str) -> str:
    """The check digit of ISO 7812 for what goes before it."""
    total = 0
    for place, char in enumerate(reversed(digits)):
        value = int(char) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def fill(state: State, seed: int) -> None:
    """Give the device and its SIM the numbers of this seed."""
    number = seed % 1_000_000
    imei = f"00101700{number:06d}"
    state.imei = imei + luhn(imei)
    state.sim.imsi = f"{state.network.mcc}{state.network.mnc}{number:010d}"
    iccid = f"8932010000{number:08d}"
    state.sim.iccid = iccid + luhn(iccid)
    state.sim.msisdn = f"+3247{number:07d}"
