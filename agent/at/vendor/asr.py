"""Modules on ASR chips: China Mobile +MUESTATS (ML307), openLuat +EEMGINFO and +CCED (Air720, Air724, Air780E).

Sources: the ML307 AT manual, openLuat's AT manual and replies in its repositories. They print countries and networks of
+EEMLTESVC as numbers whose hexadecimal digits are the code: 1120 is 0x460.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.at.engine.grammar import (
    Reading,
    area,
    at,
    cell,
    known,
    known_area,
    known_cell,
    number,
    plain,
    real,
    unquote,
    values,
)
from agent.at.engine.row import EXECUTE, READ, SET, Command, Row, generic_parse
from agent.at.standard.band import LTE_BANDWIDTH, RB_BANDWIDTH, eutra_band, eutra_channel, eutra_number, eutra_place
from agent.at.standard.figures import width
from agent.at.standard.operator_names import joined
from agent.at.standard.scale import RSRP, RSRQ, RXLEV, TENTHS_RSRP, TENTHS_RSRQ, TENTHS_RSSI, TENTHS_SINR

# <rat> of +MUESTATS (ML3xx AT manual 4.5); 5 is eMTC.
_RAT = {1: "GPRS", 2: "UMTS", 3: "UMTS", 4: "LTE", 5: "LTE", 6: "NB-IoT"}
_EUTRA = ("LTE", "NB-IoT")


def read_statistics(lines: Sequence[str], command: Command) -> Reading | None:
    """+MUESTATS: "<kind>",…, of which the serving cell's radio, its place and its band are read; "ncell" lines are
    neighbours. Other kinds of statistics are plain fields."""
    rows = [(unquote(f[0]).lower(), f[1:]) for f in map(values, lines)]
    found = next((_KINDS[kind](f) for kind, f in rows if kind in _KINDS), None)
    return found or generic_parse(lines, command)


def _scell(f: list[str]) -> Reading | None:
    """<rat>,<mcc>,<mnc>,<earfcn>,<offset>,<pci>,<rsrp>,<rsrq>,<rssi>,<snr>[,<MHz>]; in GSM <rat>,<mcc>,<mnc>,<lac>,
    <cell>,<arfcn>,…, of which nothing says how many of the optional fields come before the level."""
    technology = _RAT.get(number(at(f, 0)) or 0)
    place: Reading = {"access_technology": technology, "plmn": joined(at(f, 1), at(f, 2))}
    if technology not in _EUTRA or len(f) < 10:
        return known(place)
    channel = eutra_channel(f[3])
    return {
        **place,
        "earfcn": channel,
        "band": eutra_band(channel),
        "pci": number(f[5], 0, 503),
        "rsrp_dbm": TENTHS_RSRP.read(f[6]),
        "rsrq_db": TENTHS_RSRQ.read(f[7]),
        "rssi_dbm": TENTHS_RSSI.read(f[8]),
        "sinr_db": TENTHS_SINR.read(f[9]),
        "bandwidth_mhz": width(at(f, 10)),
    }


def _radio(f: list[str]) -> Reading | None:
    """<rat>,<rsrp>,<rssi>,<tx power>,<tx time>,<rx time>,<cell>,<coverage>,<snr>,<earfcn>,<pci>,<rsrq>."""
    technology = _RAT.get(number(at(f, 0)) or 0)
    if technology not in _EUTRA or len(f) < 12:
        return None
    channel = eutra_channel(f[9])
    return {
        "access_technology": technology,
        "ci": cell(f[6]),
        "earfcn": channel,
        "band": eutra_band(channel),
        "pci": number(f[10], 0, 503),
        "rsrp_dbm": TENTHS_RSRP.read(f[1]),
        "rsrq_db": TENTHS_RSRQ.read(f[11]),
        "rssi_dbm": TENTHS_RSSI.read(f[2]),
        "sinr_db": TENTHS_SINR.read(f[8]),
    }


def _sband(f: list[str]) -> Reading | None:
    return known({"band": eutra_number(at(f, 0))})


_KINDS = {"scell": _scell, "radio": _radio, "sband": _sband}


def _plmn(mcc: str | None, length: str | None, mnc: str | None) -> str | None:
    """Decimal codes, or numbers whose hexadecimal digits are the codes; the length of the MNC stands between them."""
    country, network, digits = number(mcc, 0, 0xFFF), number(mnc, 0, 0xFFF), number(length, 2, 3)
    if country is None or network is None or digits is None:
        return None
    written = f"{network:x}" if country > 999 else str(network)
    return joined(f"{country:x}" if country > 999 else str(country), written.zfill(digits))


def read_engineering(lines: Sequence[str], command: Command) -> Reading | None:
    """+EEMLTESVC: <mcc>,<digits of the mnc>,<mnc>,<tac>,<pci>,<dl>,<ul>,<band>,<dl bandwidth>,<ci>,[<mode>,]<rsrp>,
    <rsrq>,<sinr>,…: firmware with 27 fields leaves the transmission mode out."""
    f = next((f for line in lines if "EEMLTESVC" in line.upper() and len(f := values(line)) >= 14), None)
    if f is None:
        return None
    channel, band = eutra_place(f[5], f[7])
    strengths = f[10:13] if len(f) == 27 else f[11:14]
    width = number(f[8], 0, 100)
    return {
        "access_technology": "LTE",
        "plmn": _plmn(f[0], f[1], f[2]),
        "tac": known_area(number(f[3], 0)),
        "pci": number(f[4], 0, 503),
        "earfcn": channel,
        "band": band,
        "bandwidth_mhz": LTE_BANDWIDTH.get(-1 if width is None else width),
        "ci": known_cell(number(f[9], 0)),
        "rsrp_dbm": RSRP.read(strengths[0]),
        "rsrq_db": RSRQ.read(strengths[1]),
        "sinr_raw": number(strengths[2], -100, 250),
    }


_CCED = re.compile(r"\+CCED:\s*(LTE|GSM)\s+(current|neighbor)\s+cell(?:\s+info)?\s*:(.*)", re.IGNORECASE | re.DOTALL)


def read_cells(lines: Sequence[str], command: Command) -> Reading | None:
    """+CCED:LTE current cell: <mcc>,<mnc>,<imsi>,<roaming>,<band>,<bandwidth>,<earfcn>,<ci>,<rsrp>,<rsrq>,<tac>,
    <srxlev>,<pci>; GSM current cell info: <mcc>,<mnc>,<lac>,<ci>,<bsic>,<rxlev>,…: the identity stays unread."""
    found = [(match[1].upper(), values(match[3])) for line in lines if (match := _CCED.match(line)) and _serves(match)]
    kind, f = found[0] if found else ("", [])
    if kind == "LTE" and len(f) >= 13:
        return _lte_cell(f)
    if kind != "GSM" or len(f) < 6:
        return None
    return {
        "access_technology": "GPRS",
        "plmn": joined(f[0], f[1]),
        "lac": area(f[2]),
        "ci": cell(f[3], 16),
        "bsic": number(f[4], 0, 63),
        "rssi_dbm": RXLEV.read(f[5]),
        "arfcn": number(at(f, 7), 0, 1023),
    }


def _serves(match: re.Match[str]) -> bool:
    return match[2].lower() == "current"


def _lte_cell(f: list[str]) -> Reading:
    channel, band = eutra_place(f[6], f[4])
    blocks = unquote(f[5]).lower()
    width = number(blocks.lstrip("n"), 0, 100)
    table: dict[int, float] = RB_BANDWIDTH if blocks.startswith("n") else LTE_BANDWIDTH
    return {
        "access_technology": "LTE",
        "plmn": joined(f[0], f[1]),
        "band": band,
        "earfcn": channel,
        "bandwidth_mhz": table.get(-1 if width is None else width),
        "ci": known_cell(number(f[7], 0)),
        "rsrp_dbm": _level(f[8], RSRP.read(f[8]), -156, -31),
        "rsrq_db": _level(f[9], RSRQ.read(f[9]), -43, -1),
        "tac": known_area(number(f[10], 0)),
        "pci": number(f[12], 0, 503),
    }


def _level(raw: str, by_index: float | int | None, low: float, high: float) -> float | int | None:
    """An index as in +CESQ; a figure with a sign is in decibels already."""
    return plain(real(raw, low, high)) if raw.startswith("-") else by_index


_CELL = "access_technology plmn tac ci pci earfcn band bandwidth_mhz rsrp_dbm rsrq_db"
_ENGINEERING = ("+EEMGINFO", "+EEMLTESVC", "+EEMLTEINTRA", "+EEMLTEINTER", "+EEMLTEINTERRAT", "+EEMGINFOBASIC")


def read_band(lines: Sequence[str], command: Command) -> Reading | None:
    """*BANDIND: <n>,<band>,<technology>; 7 is LTE (Luat LTE module AT manual 9.6; MikroTik R11e-LTE6)."""
    f = values(lines[-1]) if lines else []
    return {"band": eutra_number(at(f, 1)), "access_technology": "LTE"} if number(at(f, 2)) == 7 else None


ROWS = (
    Row("*BANDIND", (READ,), read_band, "ASR", "access_technology band"),
    Row("+MUESTATS", (SET, EXECUTE, READ), read_statistics, "China Mobile", _CELL + " rssi_dbm sinr_db", 10.0),
    Row(
        "+EEMGINFO",
        (READ, EXECUTE),
        read_engineering,
        "openLuat, ASR",
        _CELL + " sinr_raw",
        10.0,
        prefixes=_ENGINEERING,
    ),
    Row("+CCED", (SET,), read_cells, "openLuat", _CELL + " lac rssi_dbm", 30.0),
)
