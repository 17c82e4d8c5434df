"""Makers of whom one or two commands matter: Cinterion ^SMONI, Icera %NWSTATE, Option _OWANDATA, Sequans +SQNMONI, MeiG
^CELLINFO, Neoway +NETDMSGEX."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.at.engine.charset import name
from agent.at.engine.grammar import Reading, area, at, cell, known, number, payload, plain, real, unquote, values
from agent.at.engine.row import ANY_LINE, EXECUTE, READ, SET, Command, Row
from agent.at.standard.band import RB_BANDWIDTH, band_number, eutra_band, eutra_channel, eutra_number, nr_channel
from agent.at.standard.operator_names import joined, plmn
from agent.at.standard.packet_data import addressing
from agent.at.standard.scale import TENTHS_RSRP, TENTHS_RSRQ, TENTHS_RSSI, TENTHS_SINR

# -- Cinterion -----------------------------------------------------------------------------------------------------


def read_smoni(lines: Sequence[str], command: Command) -> Reading | None:
    """^SMONI: <generation>,…: SEARCH in place of figures while there is no cell, LIMSRV before them without service."""
    f = values(lines[-1]) if lines else []
    generation = unquote(at(f, 0) or "").upper()
    reader = _GENERATIONS.get(generation)
    if reader is None:
        return None
    early = len(f) > 2 and number(f[1]) is None  # the state of some modules stands before the figures, not behind
    state = unquote(f[1] if early else f[-1]).upper()
    body = [f[0], *f[2:]] if early else f
    return {"state": state if state.isalpha() else None, **reader(body)}


def _second(f: list[str]) -> Reading:
    """2G,<arfcn>,<level>,<mcc>,<mnc>,<lac>,<cell>,…"""
    return {
        "access_technology": "GPRS",
        "plmn": joined(at(f, 3), at(f, 4)),
        "arfcn": number(at(f, 1), 0, 1023),
        "rssi_dbm": plain(real(at(f, 2), -130, -1)),
        "lac": area(at(f, 5)),
        "ci": cell(at(f, 6), 16),
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
        "earfcn": eutra_channel(at(f, 1)),
        "band": eutra_number(at(f, 2)),
        "bandwidth_mhz": plain(real(at(f, 3), 0, 20)),
        "tac": area(at(f, 8)),
        "ci": cell(at(f, 9)),
        "pci": number(at(f, 10), 0, 503),
        "rsrp_dbm": plain(real(at(f, 12), -156, -31)),
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
    the physical cell; every figure is -1 where nothing was measured."""
    body = payload(lines[0]) if lines else ""
    found = {key.upper(): value for key, value in re.findall(r"([A-Za-z]+):\s*(-?[0-9.]+)", body)}
    if "RSRP" not in found:
        return None
    earfcn, received = eutra_channel(found.get("EARFCN")), real(found["RSRP"], -156, -31)
    figures = found if received is not None else {}
    return {
        "access_technology": "LTE",
        "operator": name(re.split(r"\s+[A-Za-z]+:", body, maxsplit=1)[0]),
        "plmn": joined(found.get("CC"), found.get("NC")),
        "rsrp_dbm": plain(received),
        "rsrq_db": plain(real(figures.get("RSRQ"), -60, 20)),
        "sinr_db": plain(real(figures.get("CINR"), -40, 60)),
        "rssi_dbm": plain(real(figures.get("PWR"), -130, -1)),
        "pci": number(found.get("ID"), 0, 503),
        "earfcn": earfcn,
        "band": eutra_band(earfcn),
    }


# -- MeiG and Neoway -----------------------------------------------------------------------------------------------


def read_cellinfo(lines: Sequence[str], command: Command) -> Reading | None:
    """MeiG ^CELLINFO: LTE,<duplex>,<mcc>,<mnc>,_,<pci>,_,<cell>,<tac>,<band>,<bandwidth>,…,<rsrp>,<rsrq>,<sinr>,…;
    5G,<duplex>,<mcc>,<mnc>,<cell>,<pci>,<tac>,<band>,<MHz>,<scs>,…,<rsrp>,<rsrq>,<sinr>; LTE-NR with NR from the
    thirtieth field on. Which base cell and area have is not known, so they are left out."""
    f = values(lines[-1]) if lines else []
    rat = unquote(at(f, 0) or "").upper()
    if rat not in ("LTE", "LTE-NR", "EN-DC", "5G") or len(f) < 17:
        return None
    head: Reading = {"plmn": joined(f[2], f[3]), **_meig_strengths(f[14:17])}
    if rat == "5G":
        width = number(f[8], 5, 400)
        own: Reading = {"pci": number(f[5], 0, 1007), "band": number(f[7], 1, 512), "bandwidth_mhz": width}
        return {"access_technology": "NR", **head, **own}
    width = number(f[10], 0, 100)
    reading: Reading = {
        "access_technology": "LTE",
        **head,
        "pci": number(f[5], 0, 503),
        "band": eutra_number(f[9]),
        "bandwidth_mhz": RB_BANDWIDTH.get(width or 0) or ({7: 1.4}.get(width or 0)),
    }
    nr = known({**_meig_strengths(f[29:32]), "band": number(at(f, 32), 1, 512)}) if rat != "LTE" else None
    return {**reading, **({"nr": nr, "access_technology": "NR-NSA"} if nr else {})}


def _meig_strengths(f: list[str]) -> Reading:
    return {
        "rsrp_dbm": plain(real(at(f, 0), -156, -31)),
        "rsrq_db": plain(real(at(f, 1), -43, 20)),
        "sinr_db": TENTHS_SINR.read(at(f, 2)),
    }


def read_thermal(lines: Sequence[str], command: Command) -> Reading | None:
    """MeiG +TEMP: "<sensor>","<degrees>", a line a sensor; UNISOC's in thousandths."""
    figures = [number(f[-1], -60_000, 150_000) for f in map(values, lines) if len(f) >= 2]
    degrees = [value / 1000 if abs(value) > 200 else value for value in figures if value is not None]
    return {"temperature_c": plain(round(max(degrees), 1))} if degrees else None


def read_netdmsgex(lines: Sequence[str], command: Command) -> Reading | None:
    """Neoway +NETDMSGEX: "<mode>","<mcc>+<mnc>","<band>",<channel>,…. LTE: <tac>,<cell>,<pci>,<rx>,<tx>,<rsrp>,<rsrq>,
    <sinr>,<rssi>; NR: <gNB>,<pci>,<rsrp>,<rsrq>,<sinr>; WCDMA: <lac>,<cell>,<psc>,<rac>,<rx>,<tx>,<rscp>,<ecio>. All
    strengths are tenths; which base areas and cells have is not known, so they are left out."""
    f = values(lines[-1]) if lines else []
    mode = unquote(at(f, 0) or "").upper()
    if len(f) < 9:
        return None
    mcc, _, mnc = unquote(f[1]).partition("+")
    place = joined(mcc, mnc)
    if mode.endswith("LTE") and "NR" not in mode:
        channel = eutra_channel(f[3])
        return {
            "access_technology": "LTE",
            "plmn": place,
            "band": band_number(f[2]) or eutra_band(channel),
            "earfcn": channel,
            "pci": number(f[6], 0, 503),
            "rsrp_dbm": TENTHS_RSRP.read(at(f, 9)),
            "rsrq_db": TENTHS_RSRQ.read(at(f, 10)),
            "sinr_db": TENTHS_SINR.read(at(f, 11)),
            "rssi_dbm": TENTHS_RSSI.read(at(f, 12)),
        }
    if mode.startswith("NR"):
        return {
            "access_technology": "NR-NSA" if "ENDC" in mode else "NR",
            "plmn": place,
            "band": band_number(f[2]),
            "earfcn": nr_channel(f[3]),
            "pci": number(f[5], 0, 1007),
            "rsrp_dbm": TENTHS_RSRP.read(f[6]),
            "rsrq_db": TENTHS_RSRQ.read(f[7]),
            "sinr_db": TENTHS_SINR.read(f[8]),
        }
    if mode.startswith(("WCDMA", "HSDPA", "HSUPA")):
        technology = "UMTS" if mode == "WCDMA" else "UMTSHSPA"
        rscp = real(at(f, 10), -1250, -250)
        strength = None if rscp is None else plain(rscp / 10)
        return {"access_technology": technology, "plmn": place, "psc": number(f[6], 0, 511), "rscp_dbm": strength}
    return None


_SMONI = "access_technology plmn earfcn band lac tac ci pci rssi_dbm rscp_dbm ecio_db rsrp_dbm rsrq_db"
ROWS = (
    Row("^SMONI", (EXECUTE, READ), read_smoni, "Cinterion", _SMONI),
    Row("^SMONG", (EXECUTE, READ), read_smong, "Cinterion", "access_technology plmn arfcn rac", bare=ANY_LINE),
    Row("^SCTM", (READ,), read_sctm, "Cinterion", "temperature_c"),
    Row(
        "^CELLINFO",
        (SET, READ, EXECUTE),
        read_cellinfo,
        "MeiG",
        "access_technology plmn pci band bandwidth_mhz rsrp_dbm rsrq_db sinr_db nr",
    ),
    Row("+TEMP", (EXECUTE, READ), read_thermal, "MeiG", "temperature_c"),
    Row(
        "+NETDMSGEX",
        (EXECUTE, READ),
        read_netdmsgex,
        "Neoway",
        "access_technology plmn band earfcn pci rsrp_dbm rsrq_db rssi_dbm sinr_db rscp_dbm",
    ),
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
