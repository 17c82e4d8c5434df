"""Strengths, ratios and other figures that come as they stand: each within what its quantity can be, None outside it.

Where nothing is measured modules write 0, 255, -140, -32768 and what they like; a figure past its range is none.
"""

from __future__ import annotations

from agent.at.engine.grammar import plain, real

Figure = float | int | None


def rsrp(raw: str | None) -> Figure:
    """dBm (38.133 table 10.1.6.1-1)."""
    return plain(real(raw, -156, -31))


def rsrq(raw: str | None) -> Figure:
    """dB (38.133 table 10.1.11.1-1)."""
    return plain(real(raw, -43, 20))


def sinr(raw: str | None) -> Figure:
    """dB (38.133 table 10.1.16.1-1 ends at -23 and 40; modules print a little more)."""
    return plain(real(raw, -30, 50))


def rssi(raw: str | None) -> Figure:
    """dBm, in any technology: above the noise of the narrowest carrier, below what a receiver stands."""
    return plain(real(raw, -140, -10))


def rscp(raw: str | None) -> Figure:
    """dBm (25.133 table 9.1: -120 to -25, below which modules print a little more)."""
    return plain(real(raw, -130, -25))


def ecio(raw: str | None) -> Figure:
    """dB (25.133 table 9.2 ends at -24; modules print down to the ratio of their filters)."""
    return plain(real(raw, -40, 0))


def width(raw: str | None) -> Figure:
    """MHz, of one carrier: from NB-IoT's 0.2 to 400 (38.101-2)."""
    return plain(real(raw, 0.2, 400))


def temperature(raw: str | None) -> Figure:
    """Degrees Celsius, of a chip that still answers."""
    return plain(real(raw, -60, 150))
