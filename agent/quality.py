"""How good a radio value is, in one word, and the thresholds behind the word. Pure; for the meter, status and doctor.

The thresholds are field practice for LTE and NR (3GPP defines none): at an RSRP of -100 dBm or an SINR of 0 dB a
household still gets some megabits; below -110 dBm or -5 dB it does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.status_schema import Signal

WORDS = ("excellent", "good", "fair", "weak", "bad")

# value: (unit, worst and best end of a gauge, the lowest value that still earns each word but the last)
SCALES: dict[str, tuple[str, tuple[float, float], tuple[float, float, float, float]]] = {
    "rsrp_dbm": ("dBm", (-130, -70), (-80, -90, -100, -110)),
    "rsrq_db": ("dB", (-20, -5), (-9, -12, -15, -18)),
    "sinr_db": ("dB", (-10, 30), (20, 13, 5, 0)),
    "rssi_dbm": ("dBm", (-113, -51), (-65, -75, -85, -95)),
}


def word(name: str, value: float | None) -> str | None:
    """The quality word of one value; None for an unknown value."""
    if value is None or name not in SCALES:
        return None
    for text, least in zip(WORDS, SCALES[name][2], strict=False):
        if value >= least:
            return text
    return WORDS[-1]


def share(name: str, value: float) -> float:
    """Where a value stands on its gauge, 0 to 1."""
    low, high = SCALES[name][1]
    return min(1.0, max(0.0, (value - low) / (high - low)))


def levels(signal: Signal) -> dict[str, float | None]:
    """The values that have a scale, by name."""
    return {
        "rsrp_dbm": signal.get("rsrp_dbm"),
        "rsrq_db": signal.get("rsrq_db"),
        "sinr_db": signal.get("sinr_db"),
        "rssi_dbm": signal.get("rssi_dbm"),
    }


def overall(signal: Signal) -> str | None:
    """One word for a signal: the worse of level and noise, since either alone makes a line slow. RSSI counts only on
    technologies that have nothing better: it measures noise along with signal."""
    heard = levels(signal)
    words = [w for name in ("rsrp_dbm", "sinr_db") if (w := word(name, heard[name])) is not None]
    if not words and (w := word("rssi_dbm", heard["rssi_dbm"])) is not None:
        words = [w]
    return max(words, key=WORDS.index, default=None)
