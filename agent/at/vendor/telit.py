"""Telit: #RFSTS, #MONI, #QSS, #PSNT, #TEMPMON (LE910, LM960 manuals; real replies).

#RFSTS has one layout a radio technology and no word that says which: it is known by which of its fields are negative.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from agent.at.engine.charset import name
from agent.at.engine.grammar import (
    Reading,
    area,
    at,
    cell,
    hexadecimal,
    known,
    known_area,
    known_cell,
    number,
    payload,
    plain,
    prefix_of,
    quoted,
    real,
    text,
    unquote,
    values,
)
from agent.at.engine.row import ANY_LINE, EXECUTE, READ, SET, Command, Row
from agent.at.standard.band import eutra_band, eutra_channel, eutra_number, nr_band, nr_channel
from agent.at.standard.figures import ecio, rscp, rsrp, rsrq, rssi, sinr
from agent.at.standard.operator_names import joined, plmn

_PSNT = {0: "GPRS", 1: "EDGE", 2: "UMTS", 3: "UMTSHSPA", 4: "LTE"}
_MONI = re.compile(r"([A-Za-z_]+):\s*([-0-9A-Fa-f.]+)")


def read_rfsts(lines: Sequence[str], command: Command) -> Reading | None:
    """The columns of #RFSTS; LN940 heads them with ^RFSTS: on a line of its own and writes the PLMN without a space."""
    f = next((f for line in reversed(lines) if len(f := values(line)) >= 8), None)
    if f is None:
        return None
    place = _plmn(f[0])
    # IMSI and name stand behind the cell, both in quotes and both empty at times.
    quotes = [i for i in range(6, len(f) - 1) if quoted(f[i]) and quoted(f[i + 1])]
    subscriber = quotes[-1] if quotes else None
    tail: Reading = {
        "ci": cell(f[subscriber - 1]) if subscriber else None,
        "operator": name(at(f, subscriber + 1)) if subscriber else None,
    }
    if _negative(f[2]) and (_negative(f[3]) or _negative(f[4])):
        return _lte(f, place, tail, subscriber)
    if _negative(f[2]):
        tail["ci"] = known_cell(tail["ci"] if isinstance(tail["ci"], int) else None, 16)
        return {
            "access_technology": "GPRS",
            "plmn": place,
            "arfcn": number(f[1], 0, 1023),
            "rssi_dbm": rssi(f[2]),
            "lac": area(f[3]),
            "rac": hexadecimal(f[4], 254),
            **tail,
        }
    if _negative(f[3]) or _negative(f[4]):
        return {
            "access_technology": "UMTS",
            "plmn": place,
            "uarfcn": number(f[1], 0, 16_383),
            "psc": number(f[2], 0, 511),
            "ecio_db": ecio(f[3]),
            "rscp_dbm": rscp(f[4]),
            "rssi_dbm": rssi(f[5]),
            "lac": area(f[6]),
            "rac": hexadecimal(f[7], 254),
            **tail,
        }
    return {"access_technology": None, "plmn": place, "rsrp_dbm": None, "rssi_dbm": None, "rsrq_db": None, **tail}


def _lte(f: list[str], place: str | None, tail: Reading, subscriber: int | None) -> Reading:
    """<plmn>,<channel>,<rsrp>,<rssi>,<rsrq>,<tac>,…,<cell>,<imsi>,<name>,<sd>,<band>[,<sinr>]: the last of LN940 alone,
    with a fraction in dB; what a whole number means there is not known. NR has the same columns (FN980)."""
    nr = _above_eutra(f[1])
    earfcn = nr_channel(f[1]) if nr else eutra_channel(f[1])
    named = at(f, subscriber + 3) if subscriber else None
    band, reported = (nr_band(earfcn), number(named, 1, 512)) if nr else (eutra_band(earfcn), eutra_number(named))
    ratio = at(f, subscriber + 4) if subscriber else None
    if nr and subscriber:
        tail["ci"] = cell(f[subscriber - 1], 36)
    return {
        "access_technology": "NR" if nr else "LTE",
        "plmn": place,
        "earfcn": earfcn,
        "rsrp_dbm": rsrp(f[2]),
        "rssi_dbm": rssi(f[3]),
        "rsrq_db": rsrq(f[4]),
        "tac": area(f[5], 24 if nr else 16),
        "band": None if nr and band not in (None, reported) else band or reported,
        "sinr_db": sinr(ratio) if "." in (ratio or "") else None,
        **tail,
    }


def _above_eutra(raw: str) -> bool:
    """A channel that only NR has: E-UTRA's end at 70 705, those of its unlicensed bands are 255 144 to 262 143 (36.101
    table 5.7.3-1)."""
    return number(raw, 70_706, 255_143) is not None or number(raw, 262_144) is not None


def _negative(raw: str) -> bool:
    value = real(raw)
    return value is not None and value < 0


def _plmn(raw: str) -> str | None:
    mcc, gap, mnc = unquote(raw).partition(" ")
    return joined(mcc, mnc) if gap else plmn(raw)


def read_moni(lines: Sequence[str], command: Command) -> Reading | None:
    """#MONI: <name> RSRP:-101 RSRQ:-13 TAC:2D18 Id:3089F02 EARFCN:66786 PWR:-68dbm DRX:640 pci:1, a line a cell; or a
    table with the serving cell in the row that begins with S."""
    cells = [cell for line in lines if (cell := _monitored(payload(line))) is not None]
    if not cells:
        return None
    named = [cell for cell in cells if cell["operator"] or cell["plmn"]]
    serving = (named or cells)[0]
    neighbours = [cell for cell in cells if cell is not serving]
    return {**serving, **({"neighbours": neighbours} if neighbours else {})}


_TABLE_ROW = re.compile(
    r"(S|N[0-9])\s+([0-9A-F]{1,2})\s+([0-9A-Fa-f]{4})\s+([0-9A-Fa-f]{4})\s+([0-9]+)\s+(-[0-9]+)dbm(?:(?:\s+\S+){4}\s+(.+))?",
    re.IGNORECASE,
)


def _monitored(body: str) -> Reading | None:
    row = _TABLE_ROW.match(body)
    if row is not None:  # Cell BSIC LAC CellId ARFCN Power C1 C2 TA RxQual PLMN
        place: Reading = {"lac": area(row[3]), "ci": cell(row[4], 16), "arfcn": number(row[5], 0, 1023)}
        return {"access_technology": "GPRS", "operator": name(row[7]), "plmn": None, "rssi_dbm": rssi(row[6]), **place}
    found = {key.upper(): value for key, value in _MONI.findall(body)}
    label = re.split(r"(?:^|\s+)[\[A-Za-z_]+:", body, maxsplit=1)[0]
    nr = _monitored_nr(found)
    if not found.keys() & {"RSRP", "LAC", "RSCP", "ARFCN"}:
        place = {"operator": name(label), "plmn": joined(found.get("CC"), found.get("NC"))}
        return {"access_technology": "NR", **place, **nr} if nr else None
    earfcn = eutra_channel(found.get("EARFCN"))
    technology = "LTE" if "RSRP" in found else "UMTS" if "PSC" in found or "RSCP" in found else "GPRS"
    return known(
        {
            "access_technology": technology,
            "operator": None if label.startswith("Adj Cell") else name(label),
            "plmn": joined(found.get("CC"), found.get("NC")),
            "rscp_dbm": rscp(found.get("RSCP")),
            "ecio_db": ecio(found.get("ECIO")),
            "psc": number(found.get("PSC"), 0, 511),
            "rsrp_dbm": rsrp(found.get("RSRP")),
            "rsrq_db": rsrq(found.get("RSRQ")),
            "rssi_dbm": rssi((found.get("PWR") or "").rstrip("dbDB") or None),
            "tac": area(found.get("TAC")),
            "lac": area(found.get("LAC")),
            "ci": cell(found.get("ID"), 16 if technology == "GPRS" else 28),
            "earfcn": earfcn,
            "band": eutra_band(earfcn),
            "pci": number(found.get("PCI"), 0, 503),
            "uarfcn": number(found.get("UARFCN"), 0, 16_383),
            "arfcn": number(found.get("ARFCN"), 0, 1023),
            "nr": nr or None,
        }
    )


def _monitored_nr(found: Mapping[str, str]) -> Reading | None:
    """FN980: NR_BAND:79 NR_CH:723360 NR_PWR:-60dbm NR_RSRP:-71 NR_RSRQ:-10 NR_PCI:11, behind LTE's figures in EN-DC.
    NR_SINR:56 is no count of dB and its scale is documented nowhere we know."""
    return known(
        {
            "band": number(found.get("NR_BAND"), 1, 512),
            "earfcn": nr_channel(found.get("NR_CH")),
            "rsrp_dbm": rsrp(found.get("NR_RSRP")),
            "rsrq_db": rsrq(found.get("NR_RSRQ")),
            "pci": number(found.get("NR_PCI"), 0, 1007),
        }
    )


def read_qss(lines: Sequence[str], command: Command) -> Reading | None:
    """#QSS: <n>,<status>: 0 no SIM, 1 inserted, 2 unlocked, 3 ready."""
    status = number(at(values(lines[-1]), 1), 0, 3) if lines else None
    return None if status is None else {"inserted": status > 0, "status": status}


def read_technology(lines: Sequence[str], command: Command) -> Reading | None:
    """#PSNT: <n>,<technology>."""
    f = values(lines[-1]) if lines else []
    kind = number(f[-1], 0, 9) if f else None
    return None if kind is None else {"mode": kind, "access_technology": _PSNT.get(kind)}


def read_temperature(lines: Sequence[str], command: Command) -> Reading | None:
    """#TEMPMON: <level>,<degrees>; #TEMPSENS: <sensor>,<degrees>."""
    rows = (values(line) for line in lines if prefix_of(line) != "#TEMPMON" or len(values(line)) == 2)  # else a setting
    degrees = [value for f in rows if len(f) > 1 and (value := number(f[-1], -40, 125)) is not None]
    return {"temperature_c": max(degrees)} if degrees else None


def read_servinfo(lines: Sequence[str], command: Command) -> Reading | None:
    """#SERVINFO: <channel>,<dBm>,<name>,<plmn>,<bsic|psc|pci>,<lac|tac>,…; in LTE <drx>,<sd>,<rsrp> end it, in UMTS two
    more fields do, <nom>,<rac> (HE910 and LE910 AT references).

    Nothing names the technology: the ninth and last field, where it is an RSRP, and a channel of E-UTRA say LTE."""
    f = values(lines[-1]) if lines else []
    code = unquote(at(f, 3) or "")
    if len(f) < 6 or not re.fullmatch(r"[0-9]{5,6}", code):
        return None
    power = plain(real(f[1], -140, -1))  # "-0" without a cell
    head: Reading = {"rssi_dbm": power, "operator": name(f[2]) if quoted(f[2]) else text(f[2]), "plmn": code}
    channel = eutra_channel(f[0])
    strength = plain(real(at(f, 8), -160, -30))
    if strength is not None and len(f) == 9 and channel is not None:
        pci = number(f[4], 0, 503)
        place = {"pci": pci, "ci": cell(f[4]) if pci is None else None, "tac": area(f[5])}
        radio = {"earfcn": channel, "band": eutra_band(channel), "rsrp_dbm": strength}
        return {**head, "access_technology": "LTE", **place, **radio}
    return {**head, "lac": area(f[5])}


def read_survey(lines: Sequence[str], command: Command) -> Reading | None:
    """#CSURV: `earfcn: 1850 rxLev: -65 mcc: 206 mnc: 01 cellId: … tac: 7215 cellIdentity: 06A3C103 rsrp: -95.00 …`."""
    cells: list[Reading] = []
    for line in lines:
        found = {key.lower(): value for key, value in re.findall(r"([A-Za-z]+):\s*([-0-9A-Fa-f.]+)", line)}
        channel = eutra_channel(found.get("earfcn"))
        if "mcc" not in found or "mnc" not in found:
            continue
        cells.append(
            {
                "plmn": joined(found["mcc"], found["mnc"]),
                "earfcn": channel,
                "band": eutra_band(channel),
                "uarfcn": number(found.get("uarfcn"), 0, 16_383),
                "arfcn": number(found.get("arfcn"), 0, 1023),
                "rssi_dbm": rssi(found.get("rxlev")),
                "rsrp_dbm": rsrp(found.get("rsrp")),
                "rsrq_db": rsrq(found.get("rsrq")),
                "tac": known_area(number(found.get("tac"), 0)),
                "lac": known_area(number(found.get("lac"), 0)),
                "ci": cell(found.get("cellidentity")) or known_cell(number(found.get("cellid"), 0)),
            }
        )
    return {"cells": cells} if cells else None


def read_ecm(lines: Sequence[str], command: Command) -> Reading | None:
    """#ECM: <cid>,<state>."""
    f = values(lines[-1]) if lines else []
    state = number(at(f, 1), 0, 1)
    return None if state is None else {"data_call_active": bool(state)}


_MONITOR = (
    "access_technology operator plmn rsrp_dbm rsrq_db rssi_dbm rscp_dbm ecio_db psc tac lac ci"
    " earfcn band pci uarfcn arfcn nr neighbours"
)
_RF = "access_technology plmn earfcn band rsrp_dbm rssi_dbm rsrq_db sinr_db tac lac rac ci operator"
ROWS = (
    Row("#RFSTS", (EXECUTE, READ), read_rfsts, "Telit", _RF, empty_ok=False),
    Row("^RFSTS", (EXECUTE, READ), read_rfsts, "Telit LN940, Foxconn", _RF, empty_ok=False, body=True),
    Row("#MONI", (EXECUTE, READ, SET), read_moni, "Telit", _MONITOR),
    Row("#QSS", (READ,), read_qss, "Telit", "inserted status", form=lambda line: len(values(line)) > 1),
    Row("#PSNT", (READ,), read_technology, "Telit", "access_technology", form=lambda line: len(values(line)) > 1),
    Row(
        "#TEMPMON", (SET, READ, EXECUTE), read_temperature, "Telit", "temperature_c", prefixes=("#TEMPMEAS", "#TEMPMON")
    ),
    Row("#TEMPSENS", (SET, READ, EXECUTE), read_temperature, "Telit", "temperature_c"),
    Row(
        "#SERVINFO",
        (EXECUTE, READ),
        read_servinfo,
        "Telit",
        "rssi_dbm operator plmn lac tac ci pci earfcn band rsrp_dbm",
    ),
    *(
        Row(
            name_,
            (EXECUTE, SET),
            read_survey,
            "Telit",
            "cells: plmn earfcn band rsrp_dbm rsrq_db rssi_dbm tac lac ci",
            300.0,
            bare=ANY_LINE,
        )
        for name_ in ("#CSURV", "#CSURVC")
    ),
    Row("#ECM", (READ,), read_ecm, "Telit", "data_call_active"),
)
