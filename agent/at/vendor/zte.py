"""ZTE and Gosuncn: +ZRSSI, +ZCELLINFO, +ZCAINFO, +ZPAS, +ZSINR, +ZECMCALL (MF823, MF286, ME3630; real replies)."""

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
    unquote,
    values,
)
from agent.at.engine.row import EXECUTE, READ, SET, Command, Row
from agent.at.standard.band import eutra_band, eutra_channel
from agent.at.standard.figures import rsrp, rsrq, rssi, sinr, width
from agent.at.standard.packet_data import addressing

_MODES = {
    "GSM": "GPRS",
    "GPRS": "GPRS",
    "EDGE": "EDGE",
    "UMTS": "UMTS",
    "WCDMA": "UMTS",
    "HSDPA": "UMTSHSPA",
    "HSUPA": "UMTSHSPA",
    "HSPA": "UMTSHSPA",
    "HSPA+": "UMTSHSPA",
    "DC-HSPA+": "UMTSHSPA",
    "LTE": "LTE",
    "NR": "NR",
    "ENDC": "NR-NSA",
}


def read_zrssi(lines: Sequence[str], command: Command) -> Reading | None:
    """LTE (MF286): <rsrp>,<rsrq>,<rssi>[,<sinr>]. Older sticks give magnitudes: <rssi>,<ec/io in halves>,<rscp in
    halves>, 1000 where there is none."""
    f = values(lines[-1]) if lines else []
    first = real(at(f, 0))
    if first is None:
        return None
    if first > 0 and all((real(raw) or 0) >= 0 for raw in f):
        ratio, strength = real(at(f, 1), 0, 80), real(at(f, 2), 50, 260)
        power = plain(-first) if first <= 130 else None
        halves: Reading = {"ecio_db": ratio and plain(-ratio / 2), "rscp_dbm": strength and plain(-strength / 2)}
        return known({"rssi_dbm": power, **halves})
    if len(f) < 3:
        return known({"rssi_dbm": rssi(f[0])}) if len(f) == 1 else None
    reading: Reading = {
        "rsrp_dbm": rsrp(f[0]),
        "rsrq_db": rsrq(f[1]),
        "rssi_dbm": rssi(f[2]),
        "sinr_db": sinr(at(f, 3)),
    }
    return known(reading)


_BAND = re.compile(r"(LTE|WCDMA|UMTS|NR)?\s*[Bbn]([0-9]{1,3})")
_LABEL = re.compile(r"^\s*[A-Za-z]+\s*:\s*")


def read_zcellinfo(lines: Sequence[str], command: Command) -> Reading | None:
    """+ZCELLINFO: <cell>, <pci>, LTE B<band>, <earfcn>. Gosuncn ME3630 puts the area first and writes hexadecimal with
    0X, or labels each: tac:4F2A,cellid:5A2B103,pci:500,band:LTE B3."""
    f = [_LABEL.sub("", unquote(raw)) for raw in values(lines[-1])] if lines else []
    place = next((i for i, raw in enumerate(f) if _BAND.fullmatch(raw)), 0)
    match = _BAND.fullmatch(f[place]) if 2 <= place <= 3 else None
    if match is None:
        return None
    earfcn = eutra_channel(at(f, place + 1))
    raw_pci = f[place - 1]
    pci = hexadecimal(raw_pci, 503) if raw_pci[:2] in ("0x", "0X") else number(raw_pci, 0, 503)
    return {
        "access_technology": {"LTE": "LTE", "WCDMA": "UMTS", "UMTS": "UMTS", "NR": "NR"}.get(match[1] or ""),
        **({"tac": area(f[0])} if place == 3 else {}),
        "ci": cell(f[place - 2]),
        "pci": pci,
        "band": number(match[2], 1, 512),
        "earfcn": earfcn,
    }


def read_zcainfo(lines: Sequence[str], command: Command) -> Reading | None:
    """+ZCAINFO: <pci>,<band>,<any>,<earfcn>,<MHz>;<second carrier>;…: the band may stand a place later in those."""
    carriers: list[Reading] = []
    for part in (part for line in lines for part in payload(line).split(";")):
        f = values(part)
        earfcn = eutra_channel(at(f, 3))
        band = eutra_band(earfcn)
        if len(f) >= 5 and band is not None and band in (number(f[1]), number(f[2])):
            carrier: Reading = {
                "pci": number(f[0], 0, 503),
                "band": band,
                "earfcn": earfcn,
                "bandwidth_mhz": width(f[4]),
            }
            carriers.append({"role": "SCC" if carriers else "PCC", **carrier})
    if not carriers:
        return None
    return {**{key: value for key, value in carriers[0].items() if key != "role"}, "carriers": carriers}


def read_zpas(lines: Sequence[str], command: Command) -> Reading | None:
    """+ZPAS: "<technology>","<domain>"; +ZPASR: "<technology>", unasked."""
    f = values(lines[-1]) if lines else []
    kind = unquote(at(f, 0) or "")
    if not kind:
        return None
    return {
        "sysmode": kind,
        "access_technology": _MODES.get(kind.upper()),
        "srv_domain": unquote(at(f, 1) or "") or None,
    }


def read_zsinr(lines: Sequence[str], command: Command) -> Reading | None:
    return known({"sinr_db": sinr(at(values(lines[-1]), 0))}) if lines else None


def read_call(lines: Sequence[str], command: Command) -> Reading | None:
    """+ZECMCALL: IPV4, <address>, <gateway>, <dns1>, <dns2>; +ZECMCALL: CONNECT."""
    f = values(lines[-1]) if lines else []
    given = addressing(f[1:5])
    if known(given):
        return {"data_call_active": True, **given}
    word = unquote(at(f, 0) or "").upper()
    return {"data_call_active": word == "CONNECT"} if word in ("CONNECT", "DISCONNECT") else None


ROWS = (
    Row("+ZRSSI", (EXECUTE, READ), read_zrssi, "ZTE", "rsrp_dbm rsrq_db rssi_dbm sinr_db rscp_dbm ecio_db"),
    Row("+ZSINR", (EXECUTE, READ), read_zsinr, "ZTE", "sinr_db"),
    Row("+ZCELLINFO", (READ, EXECUTE), read_zcellinfo, "ZTE", "access_technology tac ci pci band earfcn"),
    Row("+ZCAINFO", (READ,), read_zcainfo, "ZTE", "pci band earfcn bandwidth_mhz carriers"),
    Row("+ZPAS", (READ,), read_zpas, "ZTE", "sysmode access_technology", prefixes=("+ZPAS", "+ZPASR")),
    Row("+ZECMCALL", (READ, SET), read_call, "ZTE", "data_call_active address gateway dns1 dns2", 60.0, dials=True),
)
