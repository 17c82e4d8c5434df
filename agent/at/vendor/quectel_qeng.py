"""Quectel +QENG: serving cell and neighbours in every radio technology (EC2x, EG, EM and RM5xx manuals; real replies).

The SINR field means three things on three firmwares: decibels, raw/5-20, and 2*raw-20. Alone it is given raw with
sinr_scale "unknown" (a negative value can only be decibels); `settle_sinr` decides by the +QCSQ of the same poll. In NR
large ones are tenths as well: RM500Q gave 180 beside 18.5 dB of QMI (a change to libqmi that was tested with it).
Sources: Quectel EC2x&EG9x AT manual (decibels), its later issues (`0.2 * X * 10 - 20`), EC25 replies (raw/5-20).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agent.at.engine.grammar import Reading, area, at, cell, known, number, plain, real, rounded, text, unquote, values
from agent.at.engine.row import SET, Command, Row
from agent.at.standard.band import (
    LTE_BANDWIDTH,
    NR_BANDWIDTH,
    eutra_channel,
    eutra_place,
    nr_band,
    nr_channel,
)
from agent.at.standard.operator_names import joined

TECHNOLOGY = {
    "LTE": "LTE",
    "CAT-M": "LTE",
    "CAT-M1": "LTE",
    "EMTC": "LTE",
    "CAT-NB": "NB-IoT",
    "CAT-NB1": "NB-IoT",
    "CAT-NB2": "NB-IoT",
    "NBIOT": "NB-IoT",
    "WCDMA": "UMTS",
    "TDSCDMA": "UMTS",
    "GSM": "GPRS",
    "CDMA": "CDMA2000OneX",
    "HDR": "CDMA2000HRPD",
    "EVDO": "CDMA2000HRPD",
    "NR5G": "NR",
    "NR5G-SA": "NR",
    "NR5G-NSA": "NR-NSA",
    "5GNR": "NR",
}


def rssi(raw: str | None) -> float | int | None:
    """RSSI as EG21-G gives it: a positive magnitude is negated."""
    value = real(raw, -200, 200)
    return None if value is None else plain(-value if value > 0 else value)


def level(raw: str | None, low: float = -160, high: float = -10) -> float | int | None:
    """A strength in dBm or a ratio in dB. Exactly -140 is what stands where no antenna or cell was measured."""
    value = plain(real(raw, low, high))
    return None if value == -140 else value


def strength(raw: str | None) -> float | int | None:
    """RSRP: never stronger than -31 dBm (38.133 table 10.1.6.1-1)."""
    return level(raw, -160, -30)


SCALES: dict[str, Callable[[float], float]] = {
    "db": lambda raw: raw,
    "raw/5-20": lambda raw: raw / 5 - 20,
    "2*raw-20": lambda raw: 2 * raw - 20,
}
NR_SCALES: dict[str, Callable[[float], float]] = {**SCALES, "raw/10": lambda raw: raw / 10}


def settle_sinr(cell: Reading, reference: Reading) -> Reading:
    """Choose the scale whose result lies nearest to +QCSQ's SINR of the same poll, for either leg of EN-DC."""
    nr, other = cell.get("nr"), reference.get("nr")
    if isinstance(nr, dict) and isinstance(other, dict):
        cell = {**cell, "nr": settle_sinr(nr, other)}
    raw, known_db = cell.get("sinr_raw"), reference.get("sinr_db")
    if not isinstance(raw, (int, float)) or cell.get("sinr_db") is not None or not isinstance(known_db, (int, float)):
        return cell
    scales = NR_SCALES if raw > 50 and str(cell.get("rat")).startswith("NR5G") else SCALES
    scale = min(scales, key=lambda name: abs(scales[name](raw) - known_db))
    return {**cell, "sinr_scale": scale, "sinr_db": rounded(scales[scale](raw))}


def _sinr(raw: str | None, *, nr: bool = False) -> Reading:
    value = plain(real(raw, -60, 250))
    if value is None:
        return {"sinr_raw": None, "sinr_scale": None, "sinr_db": None}
    if value < 0:
        return {"sinr_raw": value, "sinr_scale": "db", "sinr_db": value}
    if value > 50 and not nr:  # beyond what decibels and 2*raw-20 can reach
        return {"sinr_raw": value, "sinr_scale": "raw/5-20", "sinr_db": rounded(value / 5 - 20)}
    return {"sinr_raw": value, "sinr_scale": "unknown", "sinr_db": None}


def read_qeng(lines: Sequence[str], command: Command) -> Reading | None:
    """`servingcell` in one line (LTE, WCDMA, GSM, SA) or several (EN-DC: state, LTE, NR5G-NSA); neighbours."""
    state: str | None = None
    cells: list[Reading] = []
    neighbours: list[Reading] = []
    for line in lines:
        fields = values(line)
        head = unquote(at(fields, 0) or "").lower()
        if head == "servingcell":
            state = text(at(fields, 1))
            fields = fields[2:]
        elif head.startswith("neighbo"):
            neighbours.extend(filter(None, [_neighbour(fields[1:])]))
            continue
        found = _cell(fields)
        if found is not None and not _absent(found):
            cells.append(found)
    if state is None and not cells and not neighbours:
        return None
    serving = cells[0] if cells else {**_EMPTY_CELL}
    reading: Reading = {"state": state, **serving, "cells": cells}
    nr = next((c for c in cells if str(c["rat"]).startswith("NR5G")), None)
    if nr is not None and nr is not serving:
        reading["nr"] = nr
        reading["access_technology"] = "NR-NSA"
    if neighbours:
        reading["neighbours"] = neighbours
    return reading


def _absent(found: Reading) -> bool:
    """EN-DC without a second leg: 65535 and -32768 in every place."""
    return found["rat"] == "NR5G-NSA" and found["pci"] is None and found["rsrp_dbm"] is None


_EMPTY_CELL: Reading = {
    "rat": None,
    "access_technology": None,
    "plmn": None,
    "ci": None,
    "tac": None,
    "lac": None,
    "pci": None,
    "earfcn": None,
    "band": None,
    "rsrp_dbm": None,
    "rsrq_db": None,
    "rssi_dbm": None,
    "sinr_db": None,
    "sinr_raw": None,
    "sinr_scale": None,
}


def _cell(fields: list[str]) -> Reading | None:
    rat = unquote(at(fields, 0) or "").upper().removeprefix("NTN ")  # by satellite: the same columns
    if rat in ("LTE", "CAT-M", "CAT-NB", "EMTC", "NBIOT", "CAT-M1"):
        return _lte(rat, fields[1:])
    if rat == "WCDMA":
        return _wcdma(fields[1:])
    if rat in ("TDSCDMA", "CDMA", "HDR", "EVDO"):
        return _other(rat, fields[1:])
    if rat == "GSM":
        return _gsm(fields[1:])
    if rat == "NR5G-SA":
        return _sa(fields[1:])
    return _nsa(fields[1:]) if rat == "NR5G-NSA" else None


def _lte(rat: str, f: list[str]) -> Reading:
    earfcn, band = eutra_place(at(f, 5), at(f, 6))
    received = strength(at(f, 10))
    # NB-IoT has 0.2 MHz, whatever stands there.
    widths: dict[int, float] = {} if "NB" in rat or earfcn is None else LTE_BANDWIDTH
    return {
        **_EMPTY_CELL,
        "rat": rat,
        "access_technology": TECHNOLOGY.get(rat, "LTE"),
        "duplex": text(at(f, 0)),
        "plmn": joined(at(f, 1), at(f, 2)),
        "ci": cell(at(f, 3)),
        "pci": number(at(f, 4), 0 if earfcn is not None else 1, 503),
        "earfcn": earfcn,
        "band": band,
        "bandwidth_up_mhz": widths.get(_index(at(f, 7))),
        "bandwidth_mhz": widths.get(_index(at(f, 8))),
        "tac": area(at(f, 9)),
        "rsrp_dbm": received,
        "rsrq_db": level(at(f, 11), -60, 30 if received is not None else -1),
        "rssi_dbm": level(at(f, 12)),
        **_sinr(at(f, 13)),
        **_lte_tail(f[14:]),
    }


def _lte_tail(f: list[str]) -> Reading:
    """[<CQI>,<tx_power>,]<srxlev>: one field on EC2x, three on RM5xx, where tx_power is in tenths of a dBm."""
    if len(f) <= 1:
        return {"srxlev": number(at(f, 0))}
    return {"cqi": number(f[0], 0, 30), "tx_power_raw": number(at(f, 1)), "srxlev": number(at(f, 2))}


def _wcdma(f: list[str]) -> Reading:
    return {
        **_EMPTY_CELL,
        "rat": "WCDMA",
        "access_technology": "UMTS",
        "plmn": joined(at(f, 0), at(f, 1)),
        "lac": area(at(f, 2)),
        "ci": cell(at(f, 3)),
        "uarfcn": number(at(f, 4), 0, 16_383),
        "psc": number(at(f, 5), 0, 511),
        "rac": number(at(f, 6), 0, 254),
        "rscp_dbm": level(at(f, 7)),
        "ecio_db": level(at(f, 8), -60, 0),
    }


def _other(rat: str, f: list[str]) -> Reading:
    """TD-SCDMA: <mcc>,<mnc>,<lac>,<cell>,<channel>,<rssi>,<rscp>,<ecno>; CDMA with the received power in that place."""
    strengths: Reading = {"rssi_dbm": level(at(f, 5))}
    if rat == "TDSCDMA":
        strengths |= {"rscp_dbm": level(at(f, 6)), "ecio_db": level(at(f, 7), -60, 0)}
    else:
        strengths |= {"ecio_db": level(at(f, 6), -60, 0)}
    head = {"plmn": joined(at(f, 0), at(f, 1)), "lac": area(at(f, 2)), "ci": cell(at(f, 3))}
    return {**_EMPTY_CELL, "rat": rat, "access_technology": TECHNOLOGY.get(rat), **head, **strengths}


def _gsm(f: list[str]) -> Reading:
    return {
        **_EMPTY_CELL,
        "rat": "GSM",
        "access_technology": "GPRS",
        "plmn": joined(at(f, 0), at(f, 1)),
        "lac": area(at(f, 2)),
        "ci": cell(at(f, 3), 16),
        "bsic": number(at(f, 4), 0, 63),
        "arfcn": number(at(f, 5), 0, 1023),
        "rssi_dbm": level(at(f, 7)),
    }


def _sa(f: list[str]) -> Reading:
    """TAC stands before ARFCN here, unlike LTE."""
    arfcn = nr_channel(at(f, 6))
    return {
        **_EMPTY_CELL,
        "rat": "NR5G-SA",
        "access_technology": "NR",
        "duplex": text(at(f, 0)),
        "plmn": joined(at(f, 1), at(f, 2)),
        "ci": cell(at(f, 3), 36),
        "pci": number(at(f, 4), 0, 1007),
        "tac": area(at(f, 5), 24),
        "earfcn": arfcn,
        "band": number(at(f, 7), 1, 1024) or nr_band(arfcn),
        "bandwidth_mhz": _nr_width(at(f, 8), in_mhz=len(f) >= _UNISOC_FIELDS) if arfcn is not None else None,
        "rsrp_dbm": strength(at(f, 9)),
        "rsrq_db": level(at(f, 10), -60, 30),
        **_sinr(at(f, 11), nr=True),
    }


_UNISOC_FIELDS = 15  # RG200U, RM500U and their kin end with three fields, modules on Qualcomm chips with two


def _nr_width(raw: str | None, *, in_mhz: bool) -> float | int | None:
    """An index, and MHz on modules with a Unisoc chip: replies of those have 20, 30, 100 and no index past 14."""
    width = number(raw, 0, 400)
    if width is None or not (in_mhz or width > max(NR_BANDWIDTH)):
        return NR_BANDWIDTH.get(-1 if width is None else width)
    return width if width in NR_BANDWIDTH.values() else None


def _nsa(f: list[str]) -> Reading:
    """SINR stands before RSRQ here."""
    arfcn = nr_channel(at(f, 6))
    return {
        **_EMPTY_CELL,
        "rat": "NR5G-NSA",
        "access_technology": "NR-NSA",
        "plmn": joined(at(f, 0), at(f, 1)),
        "pci": number(at(f, 2), 0, 1007),
        "rsrp_dbm": strength(at(f, 3)),
        **_sinr(at(f, 4), nr=True),
        "rsrq_db": level(at(f, 5), -60, 30),
        "earfcn": arfcn,
        "band": number(at(f, 7), 1, 1024) or nr_band(arfcn),
        "bandwidth_mhz": _nr_width(at(f, 8), in_mhz=False),
    }


def _index(raw: str | None) -> int:
    value = number(raw)
    return -1 if value is None else value


def _neighbour(f: list[str]) -> Reading | None:
    """`"neighbourcell intra","LTE",<earfcn>,<pci>,<rsrq>,<rsrp>,<rssi>,<sinr>,…`.

    Standalone 5G firmware writes RSRP first; as the two cannot be equal, the lower figure is RSRP.
    """
    rat = unquote(at(f, 0) or "").upper()
    if rat == "WCDMA":
        return known({"rat": rat, "uarfcn": number(at(f, 1), 0, 16_383)})
    if rat not in ("LTE", "NR5G", "NR"):
        return None
    ratios = sorted((value, raw) for raw in f[3:5] if (value := real(raw)) is not None)
    raw_rsrp, raw_rsrq = (ratios[0][1], ratios[1][1]) if len(ratios) == 2 else (at(f, 4), at(f, 3))
    lte = rat == "LTE"
    found: Reading = {
        "earfcn": eutra_channel(at(f, 1)) if lte else nr_channel(at(f, 1)),
        "pci": number(at(f, 2), 0, 503 if lte else 1007),
        "rsrq_db": level(raw_rsrq, -60, 30),
        "rsrp_dbm": strength(raw_rsrp),
        "rssi_dbm": level(at(f, 5)) if lte else None,
    }
    return {"rat": rat, **found} if known(found) else None


_CELL = (
    "state rat access_technology plmn ci tac lac rac pci earfcn band bandwidth_mhz rsrp_dbm rsrq_db rssi_dbm sinr_db "
    "sinr_raw sinr_scale rscp_dbm ecio_db nr"
)
ROWS = (Row("+QENG", (SET,), read_qeng, "Quectel", _CELL + " cells neighbours", empty_ok=False),)
