"""From dBm and dB to the indices that modules print.

Each scale comes from another source than the agent's parser takes it from (agent/at/standard/scale.py): a wrong belief
must not be shared by both. A test compares the two lists.
"""

from __future__ import annotations

import math

SOURCES: dict[tuple[str, str], str] = {
    ("+CSQ", "rssi_dbm"): "Siemens MC55 AT command set, 8.4: 0 is -113 dBm or less, 31 is -51 dBm or greater",
    ("+CESQ", "rssi_dbm"): "45.008 8.1.4: RXLEV 0 is below -110 dBm",
    ("+CESQ", "rscp_dbm"): "25.133 table 9.1: CPICH_RSCP_LEV_00 is below -120 dBm",
    ("+CESQ", "ecio_db"): "25.133 table 9.2: CPICH_Ec/No_00 is below -24 dB",
    ("+CESQ", "rsrq_db"): "36.133 table 9.1.7-1: RSRQ_00 is below -19.5 dB",
    ("+CESQ", "rsrp_dbm"): "36.133 table 9.1.4-1: RSRP_00 is below -140 dBm",
    ("+CESQ", "nr.rsrq_db"): "38.133 table 10.1.11.1-1: SS-RSRQ_0 is below -43 dB",
    ("+CESQ", "nr.rsrp_dbm"): "38.133 table 10.1.6.1-1: RSRP_0 is below -156 dBm",
    ("+CESQ", "nr.sinr_db"): "38.133 table 10.1.16.1-1: SS-SINR_0 is below -23 dB",
    ("+XCESQ", "sinr_db"): "L860 replies: 11 and 19 beside an RSRQ of -10 dB are halves of a dB, not tenths",
    ("+QCSQ", "sinr_db"): "a reply of one second: +QCSQ 55 beside -9 dB of +QENG",
    ("+QCSQ", "nr.sinr_db"): "a reply of one second: +QCSQ 4 beside 5 dB of +QENG",
    ("^HCSQ", "rsrp_dbm"): "36.133 table 9.1.4-1, which the replies of ME909s and E3372 fit",
    ("^HCSQ", "rsrq_db"): "36.133 table 9.1.7-1, which the replies of ME909s and E3372 fit",
    ("^HCSQ", "sinr_db"): "a reply of a 5G module: 165 beside 12.8 dB",
}

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
    """Quectel's +QCSQ on LTE modules: a fifth of a dB from -20 dB."""
    return clamp((sinr_db + 20) * 5, 0, 250)


def hcsq_sinr(sinr_db: float) -> int:
    """Huawei's ^HCSQ: a fifth of a dB from -20.2 dB."""
    return clamp((sinr_db + 20.2) * 5, 0, 251)


def xcesq_snr(sinr_db: float) -> int:
    """Intel's +XCESQ: half dB, signed."""
    return clamp(sinr_db * 2, -100, 100)
