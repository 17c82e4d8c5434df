"""ZTE: +ZRSSI, +ZCELLINFO, +ZCAINFO, +ZPAS, +ZSINR, +ZECMCALL (MF823, MF286 and kin; real replies)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.at.engine.grammar import Reading, at, cell, known, number, payload, plain, real, unquote, values
from agent.at.engine.row import EXECUTE, READ, SET, Command, Row
from agent.at.standard.band import eutra_band
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
        halves = [real(raw, 0, 300) for raw in f[1:3]]
        ecio, strength = (None if half is None else plain(-half / 2) for half in [*halves, None, None][:2])
        return known({"rssi_dbm": plain(-first) if first <= 130 else None, "ecio_db": ecio, "rscp_dbm": strength})
    if len(f) < 3:
        return known({"rssi_dbm": plain(real(f[0], -130, -10))}) if len(f) == 1 else None
    reading: Reading = {
        "rsrp_dbm": plain(real(f[0], -150, -30)),
        "rsrq_db": plain(real(f[1], -40, 0)),
        "rssi_dbm": plain(real(f[2], -130, -10)),
        "sinr_db": plain(real(at(f, 3), -40, 60)),
    }
    return known(reading)


def read_zcellinfo(lines: Sequence[str], command: Command) -> Reading | None:
    """+ZCELLINFO: <cell>, <pci>, LTE B<band>, <earfcn>."""
    f = values(lines[-1]) if lines else []
    match = re.fullmatch(r"(LTE|WCDMA|NR)?\s*B([0-9]{1,3})", unquote(at(f, 2) or ""))
    if match is None:
        return None
    earfcn = number(at(f, 3), 0, 262_143)
    return {
        "access_technology": {"LTE": "LTE", "WCDMA": "UMTS", "NR": "NR"}.get(match[1] or ""),
        "ci": cell(f[0]),
        "pci": number(f[1], 0, 503),
        "band": int(match[2]),
        "earfcn": earfcn,
    }


def read_zcainfo(lines: Sequence[str], command: Command) -> Reading | None:
    """+ZCAINFO: <pci>,<band>,<any>,<earfcn>,<MHz>;<second carrier>;…: the band may stand a place later in those."""
    carriers: list[Reading] = []
    for part in (part for line in lines for part in payload(line).split(";")):
        f = values(part)
        earfcn = number(at(f, 3), 0, 262_143)
        band = eutra_band(earfcn)
        if len(f) >= 5 and band is not None and band in (number(f[1]), number(f[2])):
            width = plain(real(f[4], 0, 100))
            carriers.append({"pci": number(f[0], 0, 503), "band": band, "earfcn": earfcn, "bandwidth_mhz": width})
    return {**carriers[0], "carriers": carriers} if carriers else None


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
    return known({"sinr_db": plain(real(at(values(lines[-1]), 0), -40, 60))}) if lines else None


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
    Row("+ZCELLINFO", (READ, EXECUTE), read_zcellinfo, "ZTE", "access_technology ci pci band earfcn"),
    Row("+ZCAINFO", (READ,), read_zcainfo, "ZTE", "pci band earfcn bandwidth_mhz carriers"),
    Row("+ZPAS", (READ,), read_zpas, "ZTE", "sysmode access_technology", prefixes=("+ZPAS", "+ZPASR")),
    Row("+ZECMCALL", (READ, SET), read_call, "ZTE", "data_call_active address gateway dns1 dns2", 60.0, dials=True),
)
