"""From dBm and dB to the indices that modules print: 27.007 8.5 (+CSQ), 8.69 (+CESQ), and the vendors' own scales."""

from __future__ import annotations

import math

LTE_RESOURCE_BLOCKS = {1: 6, 3: 15, 5: 25, 10: 50, 15: 75, 20: 100}
LTE_BANDWIDTH_INDEX = {1: 0, 3: 1, 5: 2, 10: 3, 15: 4, 20: 5}
NR_BANDWIDTHS_MHZ = (5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 100, 200, 400)


def clamp(value: float, low: int, high: int) -> int:
    return int(min(max(round(value), low), high))


def rssi_dbm(rsrp_dbm: float, rsrq_db: float, bandwidth_mhz: int) -> float:
    """36.214 5.1.3: RSRQ = N x RSRP / RSSI, so the three can never contradict each other."""
    blocks = LTE_RESOURCE_BLOCKS.get(bandwidth_mhz, bandwidth_mhz * 5)
    return rsrp_dbm - rsrq_db + 10 * math.log10(blocks)


def csq(rssi: float) -> int:
    return clamp((rssi + 113) / 2, 0, 31)


def cesq_rsrp(rsrp: float) -> int:
    return clamp(rsrp + 141, 0, 97)


def cesq_rsrq(rsrq: float) -> int:
    return clamp((rsrq + 20) * 2, 0, 34)


def cesq_rscp(rscp: float) -> int:
    return clamp(rscp + 121, 0, 96)


def cesq_ecno(ecno: float) -> int:
    return clamp((ecno + 24.5) * 2, 0, 49)


def cesq_rxlev(rssi: float) -> int:
    return clamp(rssi + 111, 0, 63)


def qcsq_sinr(sinr_db: float) -> int:
    """Quectel's +QCSQ: a fifth of a dB from -20 dB."""
    return clamp((sinr_db + 20) * 5, 0, 250)


def hcsq_sinr(sinr_db: float) -> int:
    """Huawei's ^HCSQ: a fifth of a dB from -20.2 dB."""
    return clamp((sinr_db + 20.2) * 5, 0, 251)


def xcesq_snr(sinr_db: float) -> int:
    """Intel's +XCESQ: half dB, signed."""
    return clamp(sinr_db * 2, -100, 100)
