"""u-blox: +UCGED, +UCELLINFO, +CGED, +URAT, +UPSND (TOBY, LARA, SARA manuals; real replies)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.at.engine.grammar import (
    Reading,
    area,
    at,
    cell,
    hexadecimal,
    known,
    number,
    payload,
    plain,
    real,
    text,
    values,
)
from agent.at.engine.row import ANY_LINE, EXECUTE, READ, SET, Command, Row
from agent.at.standard.band import eutra_band, eutra_channel
from agent.at.standard.figures import rsrp, rsrq
from agent.at.standard.operator_names import joined
from agent.at.standard.packet_data import assigned
from agent.at.standard.scale import ECNO, RSCP, RSRP, RSRQ, RXLEV

_URAT = {0: ("2g",), 1: ("2g", "3g"), 2: ("3g",), 3: ("4g",), 4: ("2g", "3g", "4g"), 5: ("2g", "4g"), 6: ("3g", "4g")}
_URAT_PREFERRED = {0: "2g", 2: "3g", 3: "4g"}


def read_urat(lines: Sequence[str], command: Command) -> Reading | None:
    f = values(lines[-1]) if lines else []
    selection, preferred = number(at(f, 0), 0, 20), number(at(f, 1), 0, 20)
    if selection is None:
        return None
    return {
        "rat": selection,
        "modes": list(_URAT.get(selection, ())),
        "preferred": _URAT_PREFERRED.get(preferred) if preferred is not None else None,
    }


def read_ucged(lines: Sequence[str], command: Command) -> Reading | None:
    """Mode 5 (LARA): +RSRP: <pci>,<earfcn>,"<dBm>", and +RSRQ likewise. Mode 2 (TOBY): a line of radio, one of cell."""
    reading: Reading = {"pci": None, "earfcn": None, "band": None, "rsrp_dbm": None, "rsrq_db": None}
    technology: int | None = None
    for line in lines:
        f, head = values(line), line.lstrip()[:5].upper()
        if head in ("+RSRP", "+RSRQ"):
            key = "rsrp_dbm" if head == "+RSRP" else "rsrq_db"
            channel = eutra_channel(at(f, 1))
            reading |= {"pci": number(at(f, 0), 0, 503), "earfcn": channel, "band": eutra_band(channel)}
            reading[key] = (rsrp if head == "+RSRP" else rsrq)(at(f, 2))
        elif len(f) == 4 and not line.startswith("+"):
            technology = number(f[0], 0, 9)
            reading["plmn"] = joined(f[2], f[3])
        elif not line.startswith("+"):
            reading |= _CELLS.get(technology or 6, _lte)(f)
    return known(reading)


def _lte(f: list[str]) -> Reading:
    """<earfcn>,<band>,<ul>,<dl>,<tac>,<cell>,<pci>,<tmsi>,<group>,<code>,<rsrp>,<rsrq>,<sinr>,…; 255: none."""
    if len(f) < 12:
        return {}
    sinr = real(at(f, 12), -30, 50) if "." in (at(f, 12) or "") else None
    earfcn = eutra_channel(f[0])
    return {
        "access_technology": "LTE",
        "earfcn": earfcn,
        "band": _band(f[1], earfcn),
        "tac": area(f[4]),
        "ci": cell(f[5]),
        "pci": number(f[6], 0, 503),
        "rsrp_dbm": _level(f[10], RSRP.read(f[10]), -156, -31),
        "rsrq_db": _level(f[11], RSRQ.read(f[11]), -43, -1),
        "sinr_db": plain(sinr),
    }


def _band(raw: str, earfcn: int | None) -> int | None:
    """None where channel and band contradict each other: SARA-R5 says 13 beside 5110, a channel of band 12."""
    named, found = number(raw, 1, 254), eutra_band(earfcn)
    return named if found in (None, named) else None


def _level(raw: str, by_index: float | int | None, low: float, high: float) -> float | int | None:
    """Indices as in +CESQ, plain dBm on some firmware."""
    return plain(real(raw, low, high)) if raw.startswith("-") else by_index


def _umts(f: list[str]) -> Reading:
    """<uarfcn>,<band>,<cell>,<lac>,<rac>,<scrambling code>,…."""
    return {
        "access_technology": "UMTS",
        "uarfcn": number(at(f, 0), 0, 16_383),
        "ci": cell(at(f, 2)),
        "lac": area(at(f, 3)),
        "rac": hexadecimal(at(f, 4), 254),
        "psc": number(at(f, 5), 0, 511),
    }


def _gsm(f: list[str]) -> Reading:
    """<arfcn>,<1900 band>,<cell>,<bsic>,<lac>,<rac>,<rxlev>,…."""
    return {
        "access_technology": "GPRS",
        "arfcn": number(at(f, 0), 0, 1023),
        "ci": cell(at(f, 2)),
        "lac": area(at(f, 4)),
        "rac": hexadecimal(at(f, 5), 254),
        "rssi_dbm": RXLEV.read(at(f, 6)),
    }


_CELLS = {2: _gsm, 3: _umts, 6: _lte}


def read_cellinfo(lines: Sequence[str], command: Command) -> Reading | None:
    """+UCELLINFO: <mode>,<type>,<mcc>,<mnc>,…: type 0 and 1 GSM, 2 to 4 UMTS, 5 and 6 LTE; even or first is serving."""
    cells = [found for line in lines if (found := _cellinfo(values(line))) is not None]
    return {**cells[0], "cells": cells} if cells else None


def _cellinfo(f: list[str]) -> Reading | None:
    kind, place = number(at(f, 1), 0, 6), joined(at(f, 2), at(f, 3))
    if kind is None or len(f) < 7:
        return None
    if kind <= 1:  # <lac>,<cell>,<rxlev>
        return {
            "access_technology": "GPRS",
            "plmn": place,
            "lac": area(f[4]),
            "ci": cell(f[5]),
            "rssi_dbm": RXLEV.read(f[6]),
        }
    if kind <= 4:  # <lac>,<cell>,<scrambling code>,<channel>,<rscp>,<ecno>
        return {
            "access_technology": "UMTS",
            "plmn": place,
            "lac": area(f[4]),
            "ci": cell(f[5]),
            "psc": number(f[6], 0, 511),
            "uarfcn": number(at(f, 7), 0, 16_383),
            "rscp_dbm": RSCP.read(at(f, 8)),
            "ecio_db": ECNO.read(at(f, 9)),
        }
    return {  # <cell>,<pci>,<tac>,<rsrp>,<rsrq>
        "access_technology": "LTE",
        "plmn": place,
        "ci": cell(f[4]),
        "pci": number(f[5], 0, 503),
        "tac": area(f[6]),
        "rsrp_dbm": RSRP.read(at(f, 7)),
        "rsrq_db": RSRQ.read(at(f, 8)),
    }


_PAIR = re.compile(r"([A-Za-z]+)\s*:\s*([0-9A-Fa-f-]+)")


def read_cged(lines: Sequence[str], command: Command) -> Reading | None:
    """+CGED: MCC:206, MNC: 01, LAC:00de, CI:9878, BSIC:15, Arfcn:01001, RxLev:033, over one or more lines."""
    found = {key.upper(): value for key, value in _PAIR.findall(" ".join(map(payload, lines)))}
    reading: Reading = {
        "plmn": joined(found.get("MCC"), found.get("MNC")),
        "lac": area(found.get("LAC")),
        "ci": cell(found.get("CI")),
        "arfcn": number(found.get("ARFCN"), 0, 1023),
        "rssi_dbm": RXLEV.read(found.get("RXLEV")),
    }
    return {"access_technology": "GPRS", **reading} if known(reading) else None


def read_profile(lines: Sequence[str], command: Command) -> Reading | None:
    """+UPSND: <profile>,<what>,<value>: 0 the address, 1 and 2 the name servers, 8 whether the profile is active."""
    f = values(lines[-1]) if lines else []
    what, given = number(at(f, 1), 0, 99), at(f, 2)
    if what == 8:
        return {"active": given == "1"}
    key = {0: "address", 1: "dns1", 2: "dns2"}.get(what) if what is not None else None
    return {key: assigned(given)} if key else None


def read_usb(lines: Sequence[str], command: Command) -> Reading | None:
    """+UUSBCONF: <profile>,"<class of the network function>",…,"<product>"."""
    f = values(lines[-1]) if lines else []
    profile = number(at(f, 0), 0, 99)
    return None if profile is None else {"usb_profile": profile, "network_function": text(at(f, 1))}


def read_routing(lines: Sequence[str], command: Command) -> Reading | None:
    """+UBMCONF: 1 the module routes, 2 it bridges."""
    mode = {"1": "router", "2": "bridge"}.get(payload(lines[-1])) if lines else None
    return {"mode": mode} if mode else None


_CELL = "access_technology plmn tac lac rac ci pci earfcn band rsrp_dbm rsrq_db rssi_dbm sinr_db"
_INFO = "access_technology plmn tac lac ci pci rsrp_dbm rsrq_db rssi_dbm rscp_dbm ecio_db cells"
ROWS = (
    Row("+URAT", (READ,), read_urat, "u-blox", "rat modes preferred"),
    Row("+UCGED", (READ,), read_ucged, "u-blox", _CELL, prefixes=("+UCGED", "+RSRP", "+RSRQ"), bare=ANY_LINE),
    Row("+UPSND", (SET,), read_profile, "u-blox", "address dns1 dns2 active"),
    Row("+UUSBCONF", (READ,), read_usb, "u-blox", "usb_profile network_function"),
    Row("+UBMCONF", (READ,), read_routing, "u-blox", "mode"),
    Row("+UCELLINFO", (READ,), read_cellinfo, "u-blox", _INFO),
    Row("+CGED", (SET, READ, EXECUTE), read_cged, "u-blox", "access_technology plmn lac ci rssi_dbm", body=True),
)
