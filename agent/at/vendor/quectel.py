"""Quectel: +QCSQ, +QNWINFO, +QCAINFO, +QTEMP, +QRSRP and their kin (EC2x, EG, EM, RM5xx)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import inf, log10

from agent.at.engine.grammar import Reading, area, at, cell, known, number, payload, prefix_of, text, unquote, values
from agent.at.engine.row import EXECUTE, READ, SET, Command, Row
from agent.at.standard.band import (
    LTE_BANDWIDTH,
    NR_BANDWIDTH,
    RB_BANDWIDTH,
    band_number,
    eutra_band,
    eutra_channel,
    nr_band,
    nr_channel,
)
from agent.at.standard.figures import Figure, rsrp, rsrq, sinr
from agent.at.standard.operator_names import joined, plmn
from agent.at.standard.packet_data import all_assigned, assigned, little_endian
from agent.at.standard.scale import NR_SINR, QCSQ_SINR
from agent.at.vendor.quectel_qeng import TECHNOLOGY, level, rssi, strength


def read_qcsq(lines: Sequence[str], command: Command) -> Reading | None:
    """One line; in EN-DC two, of LTE and NR, or one with seven figures: four of LTE and three of NR."""
    found = [mode for line in lines if (mode := _qcsq(values(line))) is not None]
    if not found:
        return None
    nr = next((mode for mode in found[1:] if str(mode["sysmode"]).startswith(("NR5G", "5G"))), None)
    return {**found[0], **({"nr": nr, "access_technology": "NR-NSA"} if nr else {})}


def _qcsq(fields: list[str]) -> Reading | None:
    mode = unquote(at(fields, 0) or "").upper()
    if not mode[:1].isalpha():
        return None
    reading: Reading = {"sysmode": mode, "access_technology": TECHNOLOGY.get(mode), **_NO_STRENGTHS}
    if mode in ("NOSERVICE", "NO SERVICE"):
        return reading
    if mode in ("GSM", "WCDMA", "TDSCDMA"):
        extra = {} if mode == "GSM" else {"rscp_dbm": level(at(fields, 2)), "ecio_db": level(at(fields, 3), -40, 0)}
        return known({**reading, "rssi_dbm": rssi(at(fields, 1)), **extra})
    if mode.startswith(("NR5G", "5G")):
        return known({**reading, **_new_radio(fields[1:])})
    received, rsrp = rssi(at(fields, 1)), strength(at(fields, 2))
    if received in (None, 0) and rsrp is None:
        return known(reading)
    return {**reading, **_lte_strengths(fields[1:])}


_NO_STRENGTHS: Reading = {"rssi_dbm": None, "rsrp_dbm": None, "rsrq_db": None, "sinr_db": None}


def _lte_strengths(f: list[str]) -> Reading:
    """<rssi>,<rsrp>,<sinr>,<rsrq>: SINR as an index of a fifth of a dB, and on 5G modules perhaps not."""
    raw, ratio = number(at(f, 2), 0, 250), level(at(f, 3), -60, 19.5)
    sinr = QCSQ_SINR.read(at(f, 2))
    possible = sinr is not None and (ratio is None or sinr > least_sinr(ratio) - _SMOOTHING_DB)
    return {
        "rssi_dbm": rssi(at(f, 0)) or None,
        "rsrp_dbm": strength(at(f, 1)),
        "sinr_raw": raw,
        "sinr_db": sinr if possible else None,
        "sinr_scale": None if raw is None else "raw/5-20" if possible else "unknown",
        "rsrq_db": ratio,
    }


# How far below that a module may report: RSRQ and SINR are smoothed apart. Of 85 replies of twelve makers three were
# below it by more than 4 dB, and by 11 dB at most, at the lower end of their range.
_SMOOTHING_DB = 12.0


def least_sinr(ratio_db: float) -> float:
    """The SINR that an RSRQ needs in LTE. RSSI holds the two reference symbols of each of 12 subcarriers and the noise
    in all of them, so RSRQ is at most 1 / (2 + 12 / SINR) (36.214, 5.1.3); past -3 dB nothing follows."""
    share = 10 ** (-ratio_db / 10) - 2
    return 10 * log10(12 / share) if share > 0 else -inf


def _new_radio(f: list[str]) -> Reading:
    """[<rssi>,]<rsrp>,<sinr>,<rsrq> of NR, SINR in decibels; in EN-DC behind the four figures of LTE, of which the SINR
    has no known scale on these modules."""
    if len(f) >= 7:
        lte = {**_lte_strengths(f), "sinr_db": None, "sinr_scale": None}
        lte["sinr_scale"] = "unknown" if lte["sinr_raw"] is not None else None
        return {**lte, "nr": known({"sysmode": "NR5G", "access_technology": "NR", **_new_radio(f[4:7])})}
    figures = f if len(f) == 3 else f[1:]
    raw, sinr, ratio = number(at(figures, 1), -60, 250), NR_SINR.read(at(figures, 1)), level(at(figures, 2), -60, 0)
    if ratio is None and number(at(figures, 2)) is not None:
        sinr = None  # RSRQ is never positive: these columns are others than the manual's
    return {
        "rssi_dbm": None if len(f) == 3 else rssi(at(f, 0)) or None,
        "rsrp_dbm": strength(at(figures, 0)),
        "sinr_raw": raw,
        "sinr_db": sinr,
        "sinr_scale": None if raw is None else "unknown" if sinr is None else "db",
        "rsrq_db": ratio,
    }


def read_qnwinfo(lines: Sequence[str], command: Command) -> Reading | None:
    """+QNWINFO: <act>,<oper>,<band>,<channel>; two lines in EN-DC; `No Service`."""
    networks: list[Reading] = []
    for line in lines:
        fields = values(line)
        if len(fields) < 4 or not text(fields[0]):
            continue
        kind = unquote(fields[0])
        channel = _channel(fields[3], _access(kind))
        networks.append(
            {
                "act_name": kind,
                "access_technology": _access(kind),
                "plmn": plmn(fields[1]),
                "band": band_number(fields[2]) if "BAND" in fields[2].upper() else None,
                "band_name": text(fields[2]),
                "earfcn": channel,
            }
        )
    if not networks:
        none = any("NO SERVICE" in payload(line).upper() for line in lines)
        return (
            {"service": False, "access_technology": None, "plmn": None, "band": None, "earfcn": None} if none else None
        )
    anchor_of_nsa = len(networks) > 1 and str(networks[1]["act_name"]).upper().endswith("NR5G")
    return {**networks[0], "service": True, "networks": networks, **({"nr": networks[1]} if anchor_of_nsa else {})}


def _channel(raw: str | None, technology: str | None) -> int | None:
    if technology == "LTE":
        return eutra_channel(raw)
    return nr_channel(raw) if technology in ("NR", "NR-NSA") else number(raw, 0, 65_535)


_QNWINFO_NAMES = {
    "GSM": "GPRS",
    "GPRS": "GPRS",
    "EDGE": "EDGE",
    "WCDMA": "UMTS",
    "TDSCDMA": "UMTS",
    "CAT-NB1": "NB-IoT",
    "NBIOT": "NB-IoT",
    "CDMA1X": "CDMA2000OneX",
    "CDMA1X AND HDR": "CDMA2000HRPD",
    "HDR": "CDMA2000HRPD",
}


def _access(kind: str) -> str | None:
    """QNWINFO's words as TR-181 names."""
    upper = kind.upper()
    if "NR5G" in upper:
        return "NR-NSA" if "NSA" in upper else "NR"
    if "LTE" in upper or upper in ("EMTC", "CAT-M1"):
        return "LTE"
    if upper in ("HSDPA", "HSUPA", "HSPA", "HSPA+", "HSDPA&HSUPA", "HSDPA/HSUPA", "DC-HSPA+"):
        return "UMTSHSPA"
    return _QNWINFO_NAMES.get(upper)


def read_qcainfo(lines: Sequence[str], command: Command) -> Reading | None:
    """One line a carrier, the primary first; EG060W leaves the prefix out of the secondary's."""
    carriers = [carrier for line in lines if (carrier := _carrier(values(line))) is not None]
    if not carriers:
        return None
    return {"carriers": carriers, **{key: carriers[0][key] for key in _FIRST_CARRIER}}


_FIRST_CARRIER = ("band", "earfcn", "pci", "rsrp_dbm", "rsrq_db", "rssi_dbm")
_ROLES = {"PCC": "PCC", "SCC": "SCC", "PSS": "PCC", "SSS": "SCC"}
_BARE_CARRIER = re.compile(r'"(?:[ps]cc|[ps]ss)",[0-9].*', re.IGNORECASE)


def _carrier(fields: list[str]) -> Reading | None:
    """+QCAINFO: "PCC"|"SCC",<earfcn>,<bandwidth>,<band>,<state>,<pci>,<rsrp>,<rsrq>,<rssi>,<sinr>; lengths vary."""
    role = _ROLES.get(unquote(at(fields, 0) or "").upper())
    label = unquote(at(fields, 3) or "")
    radio = "NR" if "NR" in label.upper() else "LTE"
    channel = nr_channel(at(fields, 1)) if radio == "NR" else eutra_channel(at(fields, 1))
    if role is None or channel is None or (channel == 0 and band_number(label) is None):  # 0 and no band: no carrier
        return None
    width = number(at(fields, 2), 0, 400)
    table: dict[int, float] = dict(NR_BANDWIDTH) if radio == "NR" else {**LTE_BANDWIDTH, **RB_BANDWIDTH}
    # Early firmware has no state before the PCI, and cuts a carrier of NR behind it.
    stateless = len(fields) == 5 or (number(at(fields, 4)) or 0) > 9
    tail = ["", *fields[4:]] if stateless else fields[4:]
    first = 5 if radio == "NR" and not stateless else 2  # a secondary of NR has three fields of its uplink before them
    received = strength(at(tail, first))
    return {
        "role": role,
        "radio": radio,
        "earfcn": channel,
        "band": band_number(label) or (nr_band(channel) if radio == "NR" else eutra_band(channel)),
        "bandwidth_mhz": table.get(-1 if width is None else width),
        "state": number(at(tail, 0), 0, 9),
        "pci": number(at(tail, 1), 0, 1007 if radio == "NR" else 503),
        "rsrp_dbm": received,
        "rsrq_db": level(at(tail, first + 1), -60, 30) if received is not None else None,
        "rssi_dbm": level(at(tail, 4)) if radio == "LTE" else None,
    }


def read_qtemp(lines: Sequence[str], command: Command) -> Reading | None:
    """Three plain numbers, or one line a sensor. Sensors report 255 or below -40 when they are off."""
    sensors: dict[str, int] = {}
    for line in lines:
        fields = values(line)
        if len(fields) == 2 and number(fields[0]) is None:
            pairs = [(unquote(fields[0]), number(fields[1], -40, 125))]
        else:
            pairs = [(f"sensor{i + 1}", number(raw, -40, 125)) for i, raw in enumerate(fields)]
        sensors.update((name, value) for name, value in pairs if value is not None)
    return {"temperature_c": max(sensors.values()), "sensors_c": sensors} if sensors else None


def read_qrsrp(lines: Sequence[str], command: Command) -> Reading | None:
    """+QRSRP/+QRSRQ/+QSINR: <prx>,<drx>,<rx2>,<rx3>,<mode>; -32768 is an antenna that is not there."""
    key, read = _ANTENNAS[(prefix_of(lines[0]) if lines else "") or "+QRSRP"]
    antennas: dict[str, list[Figure]] = {}
    for line in lines:
        fields = values(line)
        mode = unquote(fields[-1]).upper() if fields and number(fields[-1]) is None else "LTE"
        figures = [read(raw) for raw in fields if number(raw) is not None]
        if figures:
            antennas[mode] = [None if figure in _NO_ANTENNA else figure for figure in figures]
    if not antennas:
        return None
    first = next(iter(antennas.values()))
    best = [value for value in first if value is not None]
    return {key: max(best) if best else None, "antennas": antennas}


_NO_ANTENNA = (-140, -44)  # the ends of RSRP's range in LTE (36.133, 9.1.4)
_ANTENNAS = {"+QRSRP": ("rsrp_dbm", rsrp), "+QRSRQ": ("rsrq_db", rsrq), "+QSINR": ("sinr_db", sinr)}


def read_qgdcnt(lines: Sequence[str], command: Command) -> Reading | None:
    """+QGDCNT: <sent>,<received>; commonly read in the wrong order."""
    fields = values(lines[-1]) if lines else []
    sent, received = number(at(fields, 0), 0), number(at(fields, 1), 0)
    return None if sent is None or received is None else {"bytes_sent": sent, "bytes_received": received}


def read_data_call(lines: Sequence[str], command: Command) -> Reading | None:
    """+QNETDEVCTL: <op>,<cid>,<urc>[,<state>]: the call is up when the state says so, else when op was 1 or 3."""
    fields = values(lines[-1]) if lines else []
    op = number(at(fields, 0), 0, 3)
    if op is None:
        return None
    state = number(at(fields, 3), 0, 1)
    return {"data_call_active": bool(state) if state is not None else op in (1, 3), "cid": number(at(fields, 1), 0, 16)}


def read_qsimstat(lines: Sequence[str], command: Command) -> Reading | None:
    """+QSIMSTAT: <enable>,<inserted>; 2 is not known yet."""
    inserted = number(at(values(lines[-1]), 1), 0, 1) if lines else None
    return None if inserted is None else {"inserted": bool(inserted)}


def read_qiact(lines: Sequence[str], command: Command) -> Reading | None:
    """+QIACT: <cid>,<state>,<type>[,<address>[,<IPv6 address>]]."""
    contexts: list[Reading] = []
    for fields in map(values, lines):
        cid, kind = number(at(fields, 0), 1, 16), number(at(fields, 2), 1, 3)
        if cid is not None:
            types = {1: "IP", 2: "IPV6", 3: "IPV4V6"}
            given = [found for raw in fields[3:] for found in all_assigned(raw)]
            contexts.append(
                {
                    "cid": cid,
                    "active": at(fields, 1) == "1",
                    "pdp_type": types.get(kind or 0),
                    "address": given[0] if given else None,
                    "addresses": given,
                }
            )
    first = next((context for context in contexts if context["address"]), contexts[0] if contexts else None)
    return {"contexts": contexts, "cid": first["cid"], "address": first["address"]} if first else None


def read_qscan(lines: Sequence[str], command: Command) -> Reading | None:
    """+QSCAN: "LTE",<mcc>,<mnc>,<arfcn>,<pci>,<rsrp>,<rsrq>,<srxlev>,<cell>,<tac>,<bandwidth>,<band>; NR: scs first."""
    found: list[Reading] = []
    for f in map(values, lines):
        rat = unquote(at(f, 0) or "").upper()
        if rat not in ("LTE", "NR5G") or len(f) < 8:
            continue
        lte = rat == "LTE"
        tail = f[8:] if lte else f[9:]
        found.append(
            {
                "rat": rat,
                "plmn": joined(f[1], f[2]),
                "earfcn": eutra_channel(f[3]) if lte else nr_channel(f[3]),
                "pci": number(f[4], 0, 503 if lte else 1007),
                "rsrp_dbm": strength(f[5]),
                "rsrq_db": level(f[6], -60, 30),
                "ci": cell(at(tail, 0), 28 if lte else 36),
                "tac": area(at(tail, 1), 16 if lte else 24),
                "band": number(at(tail, 3), 1, 512),
            }
        )
    return {"cells": found} if found else None


def read_device(lines: Sequence[str], command: Command) -> Reading | None:
    """+QNETDEVSTATUS: <address>,<mask>,<gateway>,<DHCP server>,<dns1>,<dns2>,…: dotted, or hex words as in ^DHCP."""
    f = values(lines[-1]) if lines else []
    if len(f) < 6:
        return None
    own, gateway, first, second = (assigned(raw) or little_endian(raw) for raw in (f[0], f[2], f[4], f[5]))
    reading: Reading = {"address": own, "gateway": gateway, "dns1": first, "dns2": second}
    return known({key: None if value == "0.0.0.0" else value for key, value in reading.items()})


ROWS = (
    Row(
        "+QCSQ",
        (EXECUTE, READ),
        read_qcsq,
        "Quectel",
        "sysmode access_technology rssi_dbm rsrp_dbm rsrq_db sinr_db sinr_raw nr",
        empty_ok=False,
    ),
    Row(
        "+QNWINFO", (EXECUTE, READ), read_qnwinfo, "Quectel", "access_technology plmn band band_name earfcn networks nr"
    ),
    Row(
        "+QCAINFO",
        (EXECUTE, READ),
        read_qcainfo,
        "Quectel",
        "band earfcn pci rsrp_dbm rsrq_db rssi_dbm carriers: role earfcn band bandwidth_mhz state pci rsrp_dbm",
        bare=_BARE_CARRIER,
    ),
    Row("+QTEMP", (EXECUTE, READ, SET), read_qtemp, "Quectel", "temperature_c sensors_c"),
    *(
        Row(name, (EXECUTE, READ), read_qrsrp, "Quectel", key + " antennas")
        for name, key in (("+QRSRP", "rsrp_dbm"), ("+QRSRQ", "rsrq_db"), ("+QSINR", "sinr_db"))
    ),
    Row("+QGDCNT", (READ,), read_qgdcnt, "Quectel", "bytes_sent bytes_received", empty_ok=False),
    Row("+QGDNRCNT", (READ,), read_qgdcnt, "Quectel", "bytes_sent bytes_received", empty_ok=False),
    Row("+QNETDEVSTATUS", (SET, READ, EXECUTE), read_device, "Quectel", "address gateway dns1 dns2"),
    Row("+QSCAN", (SET,), read_qscan, "Quectel", "cells: rat plmn earfcn pci rsrp_dbm rsrq_db ci tac band", 300.0),
    Row(
        "+QNETDEVCTL",
        (READ,),
        read_data_call,
        "Quectel",
        "data_call_active cid",
        form=lambda line: len(values(line)) > 2,
    ),
    Row("+QSIMSTAT", (READ,), read_qsimstat, "Quectel", "inserted", form=lambda line: len(values(line)) > 1),
    Row("+QIACT", (READ,), read_qiact, "Quectel", "cid address contexts: cid active pdp_type address", timeout_s=10.0),
)
