"""Makers of whom one or two commands matter: Cinterion ^SMONI, Icera %NWSTATE, Option _OWANDATA, Sequans +SQNMONI."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.at.engine.charset import name
from agent.at.engine.grammar import Reading, area, at, cell, known, number, payload, plain, real, unquote, values
from agent.at.engine.row import ANY_LINE, EXECUTE, READ, SET, Command, Row
from agent.at.standard.band import eutra_band
from agent.at.standard.operator_names import joined, plmn
from agent.at.standard.packet_data import addressing

# -- Cinterion -----------------------------------------------------------------------------------------------------


def read_smoni(lines: Sequence[str], command: Command) -> Reading | None:
    """^SMONI: <generation>,…: SEARCH in place of figures while there is no cell, LIMSRV before them without service."""
    f = values(lines[-1]) if lines else []
    generation = unquote(at(f, 0) or "").upper()
    reader = _GENERATIONS.get(generation)
    if reader is None:
        return None
    state = unquote(f[1]).upper() if len(f) > 1 and number(f[1]) is None else unquote(f[-1]).upper()
    body = [f[0], *f[2:]] if state == "LIMSRV" else f
    return {"state": state if state.isalpha() else None, **reader(body)}


def _second(f: list[str]) -> Reading:
    """2G,<arfcn>,<level>,<mcc>,<mnc>,<lac>,<cell>,…"""
    return {
        "access_technology": "GPRS",
        "plmn": joined(at(f, 3), at(f, 4)),
        "arfcn": number(at(f, 1), 0, 1023),
        "rssi_dbm": plain(real(at(f, 2), -130, -1)),
        "lac": area(at(f, 5)),
        "ci": cell(at(f, 6)),
    }


def _third(f: list[str]) -> Reading:
    """3G,<uarfcn>,<psc>,<ec/n0>,<rscp>,<mcc>,<mnc>,<lac>,<cell>,…"""
    return {
        "access_technology": "UMTS",
        "plmn": joined(at(f, 5), at(f, 6)),
        "uarfcn": number(at(f, 1), 0, 16_383),
        "psc": number(at(f, 2), 0, 511),
        "ecio_db": plain(real(at(f, 3), -40, 0)),
        "rscp_dbm": plain(real(at(f, 4), -130, -1)),
        "lac": area(at(f, 7)),
        "ci": cell(at(f, 8)),
    }


def _fourth(f: list[str]) -> Reading:
    """4G,<earfcn>,<band>,<dl MHz>,<ul MHz>,<duplex>,<mcc>,<mnc>,<tac>,<cell>,<pci>,<srxlev>,<rsrp>,<rsrq>,<state>."""
    return {
        "access_technology": "LTE",
        "plmn": joined(at(f, 6), at(f, 7)),
        "earfcn": number(at(f, 1), 0, 262_143),
        "band": number(at(f, 2), 1, 512),
        "bandwidth_mhz": plain(real(at(f, 3), 0, 20)),
        "tac": area(at(f, 8)),
        "ci": cell(at(f, 9)),
        "pci": number(at(f, 10), 0, 503),
        "rsrp_dbm": plain(real(at(f, 12), -160, -1)),
        "rsrq_db": plain(real(at(f, 13), -60, 20)),
    }


_GENERATIONS = {"2G": _second, "3G": _third, "4G": _fourth}


_SMONG = re.compile(r"(?m)\b([0-9]{3,4}) +([0-9-]) +\S+ +\S+ +([0-9]{3}) +([0-9]{2,3}) +\S+ +\S+ +([0-9A-Fa-f]{2})\s*$")


def read_smong(lines: Sequence[str], command: Command) -> Reading | None:
    """^SMONG: a table of one row: BCCH, what of GPRS the cell has (3 and more: EDGE), …, MCC, MNC, …, RAC."""
    match = _SMONG.search("\n".join(lines))
    if match is None:
        return None
    kind = number(match[2])
    return {
        "access_technology": None if not kind else "EDGE" if kind >= 3 else "GPRS",
        "plmn": joined(match[3], match[4]),
        "arfcn": number(match[1], 0, 1023),
        "rac": value if (value := int(match[5], 16)) < 255 else None,
    }


def read_sctm(lines: Sequence[str], command: Command) -> Reading | None:
    """^SCTM: <report>,<state>,<degrees>."""
    degrees = number(at(values(lines[-1]), 2), -60, 150) if lines else None
    return None if degrees is None else {"temperature_c": degrees}


# -- others --------------------------------------------------------------------------------------------------------

_ICERA = {"2G": "GPRS", "3G": "UMTS", "4G": "LTE", "LTE": "LTE", "GPRS": "GPRS", "EDGE": "EDGE", "UMTS": "UMTS"}


def read_nwstate(lines: Sequence[str], command: Command) -> Reading | None:
    """Icera %NWSTATE: <bars>,<mccmnc>,<generation>,<connection>,<regulation>: HSDPA and its kin in the fourth place."""
    f = values(lines[-1]) if lines else []
    if len(f) < 4:
        return None
    kind, connection = unquote(f[2]).upper(), unquote(f[3]).upper()
    technology = "UMTSHSPA" if connection.startswith(("HSDPA", "HSUPA", "HSPA")) else _ICERA.get(connection)
    return known({"plmn": plmn(f[1]), "access_technology": technology or _ICERA.get(kind)})


def read_owandata(lines: Sequence[str], command: Command) -> Reading | None:
    """Option _OWANDATA: <cid>, <address>, <gateway>, <dns1>, <dns2>, …."""
    f = values(lines[-1]) if lines else []
    if len(f) < 5:
        return None
    return {"cid": number(f[0], 0, 255), **addressing(f[1:5])}


def read_sqnmoni(lines: Sequence[str], command: Command) -> Reading | None:
    """Sequans +SQNMONI: <name> Cc:206 Nc:01 RSRP:-95.00 CINR:15.00 RSRQ:-10.00 TAC:7215 Id:257 EARFCN:1850 …: Id is
    the physical cell."""
    body = payload(lines[0]) if lines else ""
    found = {key.upper(): value for key, value in re.findall(r"([A-Za-z]+):\s*(-?[0-9.]+)", body)}
    if "RSRP" not in found:
        return None
    earfcn = number(found.get("EARFCN"), 0, 262_143)
    return {
        "access_technology": "LTE",
        "operator": name(re.split(r"\s+[A-Za-z]+:", body, maxsplit=1)[0]),
        "plmn": joined(found.get("CC"), found.get("NC")),
        "rsrp_dbm": plain(real(found["RSRP"], -160, -1)),
        "rsrq_db": plain(real(found.get("RSRQ"), -60, 20)),
        "sinr_db": plain(real(found.get("CINR"), -40, 60)),
        "rssi_dbm": plain(real(found.get("PWR"), -130, -1)),
        "pci": number(found.get("ID"), 0, 503),
        "earfcn": earfcn,
        "band": eutra_band(earfcn),
    }


_DEBUG: dict[str, re.Pattern[str]] = {
    "rat": re.compile(r"\bRAT:\s*(LTE|WCDMA|GSM)"),
    "width": re.compile(r"\bBW:\s*([0-9.]+)"),
    "earfcn": re.compile(r"EARFCN\(DL/UL\):\s*([0-9]+)"),
    "band": re.compile(r"\bBAND:\s*([0-9]+)"),
    "plmn": re.compile(r"PLMN:\s*([0-9]{3} ?[0-9]{2,3})"),
    "cell": re.compile(r"eNB ID\(PCI\):\s*([0-9]+-[0-9]+)"),
    "pci": re.compile(r"eNB ID\(PCI\):\s*[0-9-]+\(([0-9]+)\)"),
    "rsrp": re.compile(r"\bRSRP:\s*(-?[0-9.]+)"),
    "rsrq": re.compile(r"\bRSRQ:\s*(-?[0-9.]+)"),
    "rssi": re.compile(r"\bRSSI:\s*(-?[0-9.]+)"),
    "sinr": re.compile(r"\bRS-SINR:\s*(-?[0-9.]+)"),
}


def read_debug(lines: Sequence[str], command: Command) -> Reading | None:
    """Foxconn ^DEBUG: a line a label; the cell as eNB and sector."""
    body = "\n".join(lines)
    found = {key: match[1] for key, pattern in _DEBUG.items() if (match := pattern.search(body))}
    if "rsrp" not in found:
        return None
    station, _, sector = found.get("cell", "").partition("-")
    return {
        "access_technology": {"LTE": "LTE", "WCDMA": "UMTS", "GSM": "GPRS"}.get(found.get("rat", "")),
        "bandwidth_mhz": plain(real(found.get("width"), 0, 20)),
        "plmn": plmn(found.get("plmn", "").replace(" ", "")),
        "earfcn": number(found.get("earfcn"), 0, 262_143),
        "band": number(found.get("band"), 1, 512),
        "ci": (int(station) << 8) + int(sector) if sector else None,
        "pci": number(found.get("pci"), 0, 503),
        "rsrp_dbm": plain(real(found["rsrp"], -160, -30)),
        "rsrq_db": plain(real(found.get("rsrq"), -60, 20)),
        "rssi_dbm": plain(real(found.get("rssi"), -130, -1)),
        "sinr_db": plain(real(found.get("sinr"), -40, 60)),
    }


_SMONI = "access_technology plmn earfcn band lac tac ci pci rssi_dbm rscp_dbm ecio_db rsrp_dbm rsrq_db"
ROWS = (
    Row("^SMONI", (EXECUTE, READ), read_smoni, "Cinterion", _SMONI),
    Row(
        "^DEBUG",
        (READ,),
        read_debug,
        "Foxconn",
        "access_technology plmn earfcn band bandwidth_mhz ci pci rsrp_dbm rsrq_db rssi_dbm sinr_db",
        bare=ANY_LINE,
    ),
    Row("^SMONG", (EXECUTE, READ), read_smong, "Cinterion", "access_technology plmn arfcn rac", bare=ANY_LINE),
    Row("^SCTM", (READ,), read_sctm, "Cinterion", "temperature_c"),
    Row("%NWSTATE", (READ,), read_nwstate, "Icera", "plmn access_technology"),
    Row("_OWANDATA", (SET, READ), read_owandata, "Option", "cid address gateway dns1 dns2"),
    Row(
        "+SQNMONI",
        (SET,),
        read_sqnmoni,
        "Sequans",
        "operator plmn earfcn band pci rsrp_dbm rsrq_db rssi_dbm sinr_db access_technology",
    ),
)
