"""Intel XMM and Fibocom: +XMCI, +XACT, +XLEC, +XCCINFO; +GTCCINFO, +GTCAINFO, +GTRNDIS (L850, FM150, FM350, FM650)."""

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
    known_area,
    known_cell,
    number,
    rounded,
    unquote,
    values,
)
from agent.at.engine.row import ANY_LINE, EXECUTE, READ, SET, Command, Row
from agent.at.standard.band import (
    LTE_BANDWIDTH,
    RB_BANDWIDTH,
    eutra_band,
    eutra_channel,
    eutra_number,
    nr_band,
    nr_channel,
)
from agent.at.standard.operator_names import joined
from agent.at.standard.packet_data import addressing, all_assigned
from agent.at.standard.scale import ECNO, RSCP, RSRP, RSRQ, SS_RSRP, SS_RSRQ, XMM_SNR

# -- Intel ---------------------------------------------------------------------------------------------------------


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
            "arfcn": _word(f[6], 1023),
        }
    if kind <= 3:  # <psc>,<dl>,<ul>,<path loss>,<rssi>,<rscp>,<ecn0>; the shorter form leaves RSSI out
        strengths = f[9:12] if len(f) >= 12 else ["", *f[9:11]]
        return {
            "access_technology": "UMTS",
            "plmn": place,
            "lac": area(f[3]),
            "ci": cell(f[4]),
            "psc": _word(f[5], 511),
            "uarfcn": _word(f[6], 16_383),
            "rscp_dbm": RSCP.read(at(strengths, 1)),
            "ecio_db": ECNO.read(at(strengths, 2)),
        }
    if len(f) < 12:
        return None
    earfcn = eutra_channel(str(_word(f[6], 262_143)))
    return {
        "access_technology": "LTE",
        "plmn": place,
        "tac": area(f[3]),
        "ci": cell(f[4]),
        "pci": _word(f[5], 503),
        "earfcn": earfcn,
        "band": eutra_band(earfcn),
        "rsrp_dbm": RSRP.read(f[9]),
        "rsrq_db": RSRQ.read(f[10]),
        "sinr_db": XMM_SNR.read(f[11]),
        "timing_advance": _word(at(f, 12), 0x7FFFFFFE),
    }


def _word(raw: str | None, high: int) -> int | None:
    value = hexadecimal(raw)
    return value if value is not None and value <= high else None


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
    return known({"band": int(match[1]) if match else None, "address": given[0] if given else None})


def read_xdns(lines: Sequence[str], command: Command) -> Reading | None:
    """+XDNS: <cid>,<dns1>,<dns2>."""
    for f in map(values, reversed(lines)):
        given = [found for raw in f[1:] for found in all_assigned(raw)]
        if given:
            return {"cid": number(f[0], 0, 255), "dns1": given[0], "dns2": at(given, 1)}
    return None


# -- Fibocom -------------------------------------------------------------------------------------------------------


def read_gtccinfo(lines: Sequence[str], command: Command) -> Reading | None:
    """Serving cells lead with 1, neighbours with 2, then the radio technology: 2 UMTS, 4 LTE, 9 NR."""
    fields = [values(line) if ":" not in line else values(line.partition(":")[2]) for line in lines]
    rows = [f for f in fields if len(f) >= 9 and number(f[1]) in _GT]
    if any(re.search("[A-Fa-f]", f[6] + f[7]) for f in rows):  # this firmware writes channel and PCI in hexadecimal
        rows = [[*f[:6], *(str(hexadecimal(raw) or "") for raw in f[6:8]), *f[8:]] for f in rows]
    serving = [_GT[number(f[1]) or 0](f) for f in rows if number(f[0]) == 1 and len(f) >= 12]
    neighbours = [_GT[number(f[1]) or 0](f) for f in rows if number(f[0]) == 2]
    if not serving:
        return {"neighbours": neighbours} if neighbours else None
    nr = next((found for found in serving[1:] if found["access_technology"] == "NR"), None)
    second = {"nr": nr, "access_technology": "NR-NSA"} if nr and serving[0]["access_technology"] == "LTE" else {}
    return {**serving[0], **second, "neighbours": neighbours}


def _common(f: list[str], area_bits: int, cell_bits: int) -> Reading:
    return {"plmn": joined(f[2], f[3]), "tac": area(f[4], area_bits), "ci": cell(f[5], cell_bits)}


def _lte_channel(raw: str | None, cell_raw: str | None, band: int | None) -> tuple[int | None, int | None]:
    """Channel and PCI are hexadecimal on some firmware and decimal on other: where no letter does, the band tells."""
    for digits, pci in ((raw, number(cell_raw, 0, 503)), (str(hexadecimal(raw)), _word(cell_raw, 503))):
        channel = eutra_channel(digits)
        if channel is not None and band in (None, eutra_band(channel)):
            return channel, pci
    return None, None


def _nr_channel(f: list[str], band: int | None) -> tuple[int | None, int | None]:
    """Bands of NR overlap and not every one is in the table: a decimal channel is believed where none is surer."""
    decimal = (nr_channel(f[6]), number(f[7], 0, 1007))
    for channel, pci in (decimal, (nr_channel(str(hexadecimal(f[6]))), _word(f[7], 1007))):
        if channel is not None and nr_band(channel) is not None and band in (None, nr_band(channel)):
            return channel, pci
    return decimal


def _band(raw: str | None, above: int) -> int | None:
    """103 is LTE band 3; 501 and 5078 are NR bands 1 and 78: the digits behind the 50."""
    code = number(raw, 0, 509_999)
    if code is None or code == 0:
        return None
    digits = str(code)
    if digits.startswith("50") and len(digits) > 2:
        return number(digits[2:], 1, 512)
    return code - above if above < code < above + 100 else code if code < 512 else None


def _gt_lte(f: list[str]) -> Reading:
    band = _band(f[8], 100) if len(f) >= 14 else None  # a neighbour's line has the bandwidth there
    earfcn, pci = _lte_channel(f[6], f[7], band)
    tail = f[10:] if len(f) >= 14 else ["", *f[-3:]]
    return {
        "access_technology": "LTE",
        **_common(f, 16, 28),
        "earfcn": earfcn,
        "pci": pci,
        "band": band or eutra_band(earfcn),
        "rsrp_dbm": RSRP.read(at(tail, 2)),
        "rsrq_db": RSRQ.read(at(tail, 3)),
        "sinr_raw": number(at(tail, 0)),
    }


def _gt_nr(f: list[str]) -> Reading:
    band = _band(f[8], 0) if len(f) >= 14 else None
    arfcn, pci = _nr_channel(f, band)
    tail = f[10:] if len(f) >= 14 else ["", *f[-3:]]
    return {
        "access_technology": "NR",
        **_common(f, 24, 36),
        "earfcn": arfcn,
        "pci": pci,
        "band": band or nr_band(arfcn),
        "rsrp_dbm": SS_RSRP.read(at(tail, 2)),
        "rsrq_db": SS_RSRQ.read(at(tail, 3)),
        "sinr_raw": number(at(tail, 0)),
    }


def _gt_umts(f: list[str]) -> Reading:
    """…,<uarfcn>,<psc>,<band>,<ecno>,<rscp>,…: strengths differ from manual to manual and are left out."""
    head = {"plmn": joined(f[2], f[3]), "lac": area(f[4]), "ci": cell(f[5])}
    return {"access_technology": "UMTS", **head, "uarfcn": number(f[6], 0, 16_383), "psc": number(f[7], 0, 511)}


_GT = {2: _gt_umts, 4: _gt_lte, 9: _gt_nr}


def read_gtcainfo(lines: Sequence[str], command: Command) -> Reading | None:
    """PCC:<band>,<pci>,<channel>,<bandwidth>,…; SCC<n>:<state>,<ul>,<band>,<pci>,<channel>,<bandwidth>,…. L850 numbers
    its lines instead: 1,<band>,<mcc>,<mnc>,<tac>,<cell>,<pci>,<rsrp>,<rsrq>,<sinr>,<channel>,…."""
    carriers: list[Reading] = []
    old: Reading = {}
    for line in lines:
        body = line.rpartition("+GTCAINFO:")[2].strip()
        match = re.match(r"(PCC|SCC)\s*[0-9]*\s*:(.*)", body, re.DOTALL)
        if match:
            f = values(match[2])
            carriers.append(_carrier(match[1], f if match[1] == "PCC" else f[2:], f))
        elif len(f := values(body)) >= 14 and number(f[0]) == 1:
            old = _numbered(f)
            carriers.append({"role": "PCC", **{key: old[key] for key in ("band", "pci", "earfcn", "bandwidth_mhz")}})
    if not carriers:
        return None
    first = carriers[0]
    return {**{key: first[key] for key in ("band", "earfcn", "pci", "bandwidth_mhz")}, **old, "carriers": carriers}


def _carrier(role: str, f: list[str], whole: list[str]) -> Reading:
    band = _band(at(f, 0), 100)
    is_nr = (number(at(f, 0)) or 0) >= 500
    lte = (None, None) if is_nr else _lte_channel(at(f, 2), at(f, 1), band)
    channel, pci = (nr_channel(at(f, 2)), number(at(f, 1), 0, 1007)) if is_nr else lte
    width = number(at(f, 3), 0, 5000)
    blocks = RB_BANDWIDTH.get(width or 0)
    return {
        "role": role,
        "band": band,
        "pci": pci,
        "earfcn": channel,
        "bandwidth_mhz": None if width is None else rounded(width / 5) if is_nr else blocks,
        "state": number(at(whole, 0), 0, 9) if role == "SCC" else None,
    }


def _numbered(f: list[str]) -> Reading:
    channel = eutra_channel(f[10])
    width = number(f[12], 0, 5)
    return {
        "plmn": joined(f[2], f[3]),
        "tac": known_area(number(f[4], 0)),
        "ci": known_cell(number(f[5], 0)),
        "band": eutra_number(f[1]) or eutra_band(channel),
        "pci": number(f[6], 0, 503),
        "rsrp_dbm": RSRP.read(f[7]),
        "rsrq_db": RSRQ.read(f[8]),
        "earfcn": channel,
        "bandwidth_mhz": LTE_BANDWIDTH.get(width) if width is not None else None,
    }


def read_temperature(lines: Sequence[str], command: Command) -> Reading | None:
    """+MTSM: <degrees>; +GTSENRDTEMP: <sensor>,<thousandths of a degree>."""
    degrees: list[float] = []
    for f in map(values, lines):
        value = number(f[-1], -60_000, 150_000)
        if value is not None:
            degrees.append(value / 1000 if len(f) > 1 and abs(value) > 200 else value)
    return {"temperature_c": rounded(max(degrees))} if degrees else None


def read_rndis(lines: Sequence[str], command: Command) -> Reading | None:
    """+GTRNDIS: <state>[,<cid>,<address>,<gateway>,<dns1>,<dns2>]."""
    f = values(lines[-1]) if lines else []
    state = number(at(f, 0), 0, 1)
    if state is None:
        return None
    return {"data_call_active": state == 1, "cid": number(at(f, 1), 0, 255), **addressing(f[2:6])}


_CELL = "access_technology plmn tac lac ci pci earfcn band rsrp_dbm rsrq_db sinr_db"
ROWS = (
    Row("+XMCI", (SET, EXECUTE, READ), read_xmci, "Intel XMM", _CELL + " neighbours"),
    Row("+XACT", (READ,), read_xact, "Intel XMM", "modes preferred bands"),
    Row("+XLEC", (READ, EXECUTE), read_xlec, "Intel XMM", "band bandwidth_mhz bands carriers"),
    Row("+XCCINFO", (READ, EXECUTE), read_xccinfo, "Intel XMM", "plmn ci band lac tac"),
    Row("+XREG", (READ,), read_xreg, "Intel XMM", "band address"),
    Row("+XDNS", (READ, SET), read_xdns, "Intel XMM", "cid dns1 dns2"),
    Row("+GTCCINFO", (READ, EXECUTE), read_gtccinfo, "Fibocom", _CELL + " nr neighbours", bare=ANY_LINE),
    Row(
        "+GTCAINFO",
        (READ, EXECUTE),
        read_gtcainfo,
        "Fibocom",
        "plmn tac ci band earfcn pci rsrp_dbm rsrq_db bandwidth_mhz carriers",
        bare=ANY_LINE,
    ),
    Row("+GTRNDIS", (READ,), read_rndis, "Fibocom", "data_call_active cid address gateway dns1 dns2"),
    Row("+GTSENRDTEMP", (SET, READ), read_temperature, "Fibocom", "temperature_c"),
    Row("+MTSM", (SET, EXECUTE, READ), read_temperature, "Fibocom", "temperature_c"),
)
