"""Makers of whom one or two commands matter: Cinterion ^SMONI, Icera %NWSTATE, Option _OWANDATA, Sequans +SQNMONI,
Neoway +NETDMSGEX."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.at.engine.charset import name
from agent.at.engine.grammar import Reading, area, at, cell, known, number, payload, plain, real, unquote, values
from agent.at.engine.row import ANY_LINE, EXECUTE, READ, SET, Command, Row
from agent.at.standard.band import (
    band_number,
    eutra_band,
    eutra_channel,
    eutra_number,
    eutra_place,
    nr_channel,
)
from agent.at.standard.figures import ecio, rscp, rsrp, rsrq, rssi, sinr, width
from agent.at.standard.operator_names import joined, plmn
from agent.at.standard.packet_data import addressing
from agent.at.standard.scale import TENTHS_RSRP, TENTHS_RSRQ, TENTHS_RSSI, TENTHS_SINR

# -- Cinterion -----------------------------------------------------------------------------------------------------


def read_smoni(lines: Sequence[str], command: Command) -> Reading | None:
    """^SMONI: <generation>,…: SEARCH in place of figures while there is no cell, LIMSRV before them without service."""
    f = values(lines[-1]) if lines else []
    generation = unquote(at(f, 0) or "").upper()
    reader = _fourth if generation.startswith("CAT.") else _GENERATIONS.get(generation)  # Cat.M1, Cat.NB1
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
        "rssi_dbm": rssi(at(f, 2)),
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
        "ecio_db": ecio(at(f, 3)),
        "rscp_dbm": rscp(at(f, 4)),
        "lac": area(at(f, 7)),
        "ci": cell(at(f, 8)),
    }


def _fourth(f: list[str]) -> Reading:
    """4G,<earfcn>,<band>,[<dl MHz>,<ul MHz>,]<duplex>,<mcc>,<mnc>,<tac>,<cell>,<pci>,<srxlev>,<rsrp>,<rsrq>,<state>."""
    duplex = next((i for i, raw in enumerate(f) if raw.upper() in ("FDD", "TDD")), 5)
    tail = f[duplex + 1 :]
    return {
        "access_technology": "NB-IoT" if "NB" in f[0].upper() else "LTE",
        "plmn": joined(at(tail, 0), at(tail, 1)),
        "earfcn": eutra_channel(at(f, 1)),
        "band": eutra_number(at(f, 2)),
        "bandwidth_mhz": width(at(f, 3)) if duplex == 5 else None,
        "tac": area(at(tail, 2)),
        "ci": cell(at(tail, 3)),
        "pci": number(at(tail, 4), 0, 503),
        "rsrp_dbm": rsrp(at(tail, 6)),
        "rsrq_db": rsrq(at(tail, 7)),
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
        "rsrq_db": rsrq(figures.get("RSRQ")),
        "sinr_db": sinr(figures.get("CINR")),
        "rssi_dbm": rssi(figures.get("PWR")),
        "pci": number(found.get("ID"), 0, 503),
        "earfcn": earfcn,
        "band": eutra_band(earfcn),
    }


# -- Neoway ----------------------------------------------------------------------------------------------------------


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
        channel, band = eutra_place(f[3], f[2])
        return {
            "access_technology": "LTE",
            "plmn": place,
            "band": band,
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
