"""Intel XMM, in Fibocom's and others' modules: +XMCI, +XACT, +XLEC, +XCCINFO, +XREG, +XDNS (L850, L860)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from agent.at.engine.grammar import (
    Reading,
    area,
    at,
    cell,
    hexadecimal,
    known,
    number,
    unquote,
    values,
)
from agent.at.engine.row import EXECUTE, READ, SET, Command, Row
from agent.at.standard.band import (
    LTE_BANDWIDTH,
    eutra_band,
    eutra_channel,
    eutra_number,
)
from agent.at.standard.operator_names import joined
from agent.at.standard.packet_data import all_assigned
from agent.at.standard.scale import ECNO, RSCP, RSRP, RSRQ, XMM_SNR


def read_xmci(lines: Sequence[str], command: Command) -> Reading | None:
    """+XMCI: <type>,…: 0, 2 and 4 the serving GSM, UMTS, LTE cell, 1, 3 and 5 neighbours; 255 and all-F unknown."""
    cells = [(number(at(f, 0), 0, 5), f) for f in map(values, lines)]
    found = [(kind, _xmci(kind, f)) for kind, f in cells if kind is not None and len(f) >= 9]
    serving = next((read for kind, read in found if kind in (0, 2, 4) and read), None)
    neighbours = [read for kind, read in found if kind in (1, 3, 5) and read]
    if serving is None and not neighbours:
        return None
    return {**(serving or {}), "neighbours": neighbours}


def _xmci(kind: int, f: list[str]) -> Reading | None:
    place = joined(f[1], f[2])
    if kind <= 1:
        return {
            "access_technology": "GPRS",
            "plmn": place,
            "lac": area(f[3]),
            "ci": cell(f[4], 16),
            "arfcn": hexadecimal(f[6], 1023),
        }
    if kind <= 3:  # <psc>,<dl>,<ul>,<path loss>,<rssi>,<rscp>,<ecn0>; the shorter form leaves RSSI out
        strengths = f[9:12] if len(f) >= 12 else ["", *f[9:11]]
        return {
            "access_technology": "UMTS",
            "plmn": place,
            "lac": area(f[3]),
            "ci": cell(f[4]),
            "psc": hexadecimal(f[5], 511),
            "uarfcn": hexadecimal(f[6], 16_383),
            "rscp_dbm": RSCP.read(at(strengths, 1)),
            "ecio_db": ECNO.read(at(strengths, 2)),
        }
    if len(f) < 12:
        return None
    earfcn = eutra_channel(str(hexadecimal(f[6], 262_143)))
    return {
        "access_technology": "LTE",
        "plmn": place,
        "tac": area(f[3]),
        "ci": cell(f[4]),
        "pci": hexadecimal(f[5], 503),
        "earfcn": earfcn,
        "band": eutra_band(earfcn),
        "rsrp_dbm": RSRP.read(f[9]),
        "rsrq_db": RSRQ.read(f[10]),
        "sinr_db": XMM_SNR.read(f[11]),
        "timing_advance": hexadecimal(at(f, 12), 0x7FFFFFFE),
    }


def read_xact(lines: Sequence[str], command: Command) -> Reading | None:
    """+XACT: <act>,<preferred>,<second>,<bands…>: 1 to 99 UMTS, 101 to 199 LTE, 900/1800/1900/850 GSM."""
    f = values(lines[-1]) if lines else []
    act = number(at(f, 0), 0, 9)
    if act is None:
        return None
    sets = {0: ["2g"], 1: ["3g"], 2: ["4g"], 3: ["2g", "3g"], 4: ["3g", "4g"], 5: ["2g", "4g"], 6: ["2g", "3g", "4g"]}
    preferred = number(at(f, 1), 0, 2)
    modes = sets.get(act, [])
    figures = [number(raw, 1, 1999) for raw in f[3:]]
    bands = [name for figure in figures if figure is not None and (name := band_of(figure))]
    first = {0: "2g", 1: "3g", 2: "4g"}.get(preferred) if preferred is not None and len(modes) > 1 else None
    return {"modes": modes, "preferred": first, "bands": bands}


def band_of(figure: int) -> str | None:
    """1 to 99 UMTS, 101 to 199 LTE, GSM by its frequency: Intel's numbers, and u-blox's."""
    if figure in (850, 900, 1800, 1900):
        return {850: "g850", 900: "egsm", 1800: "dcs", 1900: "pcs"}[figure]
    return f"utran-{figure}" if figure < 100 else f"eutran-{figure - 100}" if figure < 200 else None


def read_xlec(lines: Sequence[str], command: Command) -> Reading | None:
    """+XLEC: <n>,<carriers>,<bandwidth>…,BAND_LTE_<n>,<band>…: a bandwidth a carrier, and a band where it is not 0."""
    f = values(lines[-1]) if lines else []
    first = next((i for i, raw in enumerate(f) if _XLEC_BAND.fullmatch(unquote(raw))), len(f))
    count = number(at(f, 1), 0, 5)
    bands = _xlec_bands(f[first : first + max(count or 0, 1)])
    widths = [LTE_BANDWIDTH.get(-1 if (value := number(raw)) is None else value) for raw in f[2:first]]
    if number(at(f, 0), 0, 9) is None or count is None or not (bands or any(widths)):
        return None
    carriers: list[Reading] = [
        {"role": "SCC" if i else "PCC", "band": at(bands, i), "earfcn": None, "bandwidth_mhz": at(widths, i)}
        for i in range(count)
    ]
    reading: Reading = {"band": at(bands, 0), "bandwidth_mhz": at(widths, 0), "bands": bands}
    return {**reading, **({"carriers": carriers} if len(carriers) > 1 else {})}


_XLEC_BAND = re.compile(r"BAND_LTE_([0-9]{1,2})")


def _xlec_bands(f: Sequence[str]) -> list[int]:
    """The primary's band by name, the secondaries' by name or number: replies of L860, whose channels lie in them."""
    bands: list[int] = []
    for raw in f:
        match = _XLEC_BAND.fullmatch(unquote(raw))
        band = eutra_number(match[1] if match else raw)
        if band is None:
            break
        bands.append(band)
    return bands


def intel_carriers(answers: Mapping[str, Reading]) -> list[Reading]:
    """The carriers that +XLEC counts with the channels of +RSRP?, or of +XMCI=1, in whose order the bandwidths are. The
    secondaries are the cells of the primary's PCI on other channels; where there are more or fewer, none is named."""
    listed = answers.get("+XLEC", {}).get("carriers")
    if not isinstance(listed, list):
        return []
    heard = _heard(answers)
    found = [one for one in heard if one["pci"] == heard[0]["pci"]]
    if not heard or heard[0]["pci"] is None or len(found) != len(listed):
        return []
    if any(carrier["band"] not in (None, one["band"]) for carrier, one in zip(listed, found, strict=True)):
        return []
    return [{**carrier, **one} for carrier, one in zip(listed, found, strict=True)]


_MEASURED = ("pci", "earfcn", "band", "rsrp_dbm")


def _heard(answers: Mapping[str, Reading]) -> list[Reading]:
    """The serving cell and its neighbours as they were measured."""
    cells: list[Reading] = []
    measured = answers.get("+RSRP", {}).get("cells")
    serving = answers.get("+XMCI", {})
    neighbours = serving.get("neighbours")
    source = measured if isinstance(measured, list) else [serving, *neighbours] if isinstance(neighbours, list) else []
    for found in source:
        if found.get("earfcn") is not None and found["earfcn"] not in [kept["earfcn"] for kept in cells]:
            cells.append({key: found.get(key) for key in _MEASURED})
    return cells


def read_xccinfo(lines: Sequence[str], command: Command) -> Reading | None:
    """+XCCINFO: <mode>,<mcc>,<mnc>,<cell>,<rat>,<band>,<lac>,<area type>,<rac>,<tac>,…; LTE bands count from 100."""
    f = values(lines[-1]) if lines else []
    if len(f) < 6:
        return None
    code = number(f[5], 1, 199)
    return known(
        {
            "plmn": joined(f[1], f[2]),
            "ci": cell(f[3]),
            "band": code - 100 if code is not None and code > 100 else None,
            "lac": area(at(f, 6)),
            "tac": area(at(f, 9)),
        }
    )


def read_xreg(lines: Sequence[str], command: Command) -> Reading | None:
    """+XREG: <n>,<state>,<band>,<address>: the state has numbers of its own and is left alone."""
    f = values(lines[-1]) if lines else []
    match = next((m for raw in f if (m := re.fullmatch(r"BAND_LTE_([0-9]{1,2})", unquote(raw)))), None)
    given = [found for raw in f for found in all_assigned(raw)]
    return known({"band": eutra_number(match[1]) if match else None, "address": given[0] if given else None})


def read_xdns(lines: Sequence[str], command: Command) -> Reading | None:
    """+XDNS: <cid>,<dns1>,<dns2>."""
    for f in map(values, reversed(lines)):
        given = [found for raw in f[1:] for found in all_assigned(raw)]
        if given:
            return {"cid": number(f[0], 0, 255), "dns1": given[0], "dns2": at(given, 1)}
    return None


_CELL = "access_technology plmn tac lac ci pci earfcn band rsrp_dbm rsrq_db sinr_db"
ROWS = (
    Row("+XMCI", (SET, EXECUTE, READ), read_xmci, "Intel XMM", _CELL + " neighbours"),
    Row("+XACT", (READ,), read_xact, "Intel XMM", "modes preferred bands"),
    Row("+XLEC", (READ, EXECUTE), read_xlec, "Intel XMM", "band bandwidth_mhz bands carriers"),
    Row("+XCCINFO", (READ, EXECUTE), read_xccinfo, "Intel XMM", "plmn ci band lac tac"),
    Row("+XREG", (READ,), read_xreg, "Intel XMM", "band address"),
    Row("+XDNS", (READ, SET), read_xdns, "Intel XMM", "cid dns1 dns2"),
)
