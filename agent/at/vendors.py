"""Sierra, u-blox, Intel and Fibocom: !GSTATUS, +URAT, +UCGED, +XMCI, +XACT, +GTCCINFO and their kin (real replies)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.at.band import band_number, eutra_band
from agent.at.grammar import Reading, at, hexadecimal, known, number, payload, plain, real, rounded, unquote, values
from agent.at.names import joined
from agent.at.row import ANY_LINE, EXECUTE, READ, SET, Command, Row
from agent.at.signal import rsrp, rsrq, scaled

# -- Sierra --------------------------------------------------------------------------------------------------------

_GSTATUS: dict[str, re.Pattern[str]] = {
    "temperature_c": re.compile(r"Temperature:\s*(-?[0-9]+(?:\.[0-9]+)?)"),
    "mode": re.compile(r"System mode:\s*([A-Za-z0-9-]+)"),
    "ps_state": re.compile(r"PS state:\s*([A-Za-z ]+?)\s*(?:\t|\n|$|  )"),
    "band": re.compile(r"LTE band:\s*(B?[0-9]+)"),
    "bandwidth": re.compile(r"LTE bw:\s*([0-9.]+)"),
    "earfcn": re.compile(r"LTE Rx chan:\s*([0-9]+)"),
    "rssi": re.compile(r"(?:PCC RxM RSSI|RSSI \(dBm\)|RxM RSSI C0):\s*(-?[0-9]+)"),
    "rsrp": re.compile(r"RSRP \(dBm\):\s*(-?[0-9.]+)"),
    "rsrq": re.compile(r"RSRQ \(dB\):\s*(-?[0-9.]+)"),
    "sinr": re.compile(r"SINR \(dB\):\s*(-?[0-9.]+)"),
    "tac": re.compile(r"TAC:\s*([0-9A-Fa-f]+)"),
    "lac": re.compile(r"LAC:\s*([0-9A-Fa-f]+)"),
    "ci": re.compile(r"Cell ID:\s*([0-9A-Fa-f]+)"),
}


def read_gstatus(lines: Sequence[str], command: Command) -> Reading | None:
    """!GSTATUS: two columns of words, an unprintable layout that no two firmwares share."""
    body = "\n".join(lines)
    found = {key: match[1] for key, pattern in _GSTATUS.items() if (match := pattern.search(body))}
    if not found:
        return None
    mode = found.get("mode", "").upper()
    return {
        "access_technology": {"LTE": "LTE", "WCDMA": "UMTS", "GSM": "GPRS", "ENDC": "NR-NSA", "NR5G": "NR"}.get(mode),
        "band": band_number(found.get("band")),
        "bandwidth_mhz": plain(real(found.get("bandwidth"))),
        "earfcn": number(found.get("earfcn"), 0, 262_143),
        "rssi_dbm": plain(real(found.get("rssi"), -140, -1)),
        "rsrp_dbm": plain(real(found.get("rsrp"), -160, -1)),
        "rsrq_db": plain(real(found.get("rsrq"), -60, 20)),
        "sinr_db": plain(real(found.get("sinr"), -40, 60)),
        "tac": hexadecimal(found.get("tac")),
        "lac": hexadecimal(found.get("lac")),
        "ci": hexadecimal(found.get("ci")),
        "temperature_c": plain(real(found.get("temperature_c"), -60, 150)),
        "attached": found["ps_state"].strip() == "Attached" if "ps_state" in found else None,
    }


def read_pctemp(lines: Sequence[str], command: Command) -> Reading | None:
    """!PCTEMP?: `Temperature: 29.71` among other words."""
    match = re.search(r"Temperature:\s*(-?[0-9]+(?:\.[0-9]+)?)", "\n".join(lines))
    return {"temperature_c": plain(float(match[1]))} if match else None


# -- u-blox --------------------------------------------------------------------------------------------------------

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
    for line in lines:
        f, head = values(line), line.lstrip()[:5].upper()
        if head in ("+RSRP", "+RSRQ"):
            key = "rsrp_dbm" if head == "+RSRP" else "rsrq_db"
            reading |= {"pci": number(at(f, 0), 0, 503), "earfcn": number(at(f, 1), 0, 262_143)}
            reading[key] = _signed(at(f, 2))
        elif not line.startswith("+"):
            reading |= _ucged_cell(f)
    earfcn = reading["earfcn"]
    reading["band"] = reading["band"] or (eutra_band(earfcn) if isinstance(earfcn, int) else None)
    return known(reading)


def _signed(raw: str | None) -> float | int | None:
    value = unquote(raw or "")
    return plain(float(value)) if re.fullmatch(r"-?0*[0-9]{1,3}(?:\.[0-9]{1,2})?", value) else None


def _ucged_cell(f: list[str]) -> Reading:
    if len(f) == 4 and number(f[2], 0, 999) is not None:
        return {"plmn": joined(f[2], f[3])} if number(f[0]) == 6 else {}
    if len(f) < 12:
        return {}
    return {
        "earfcn": number(f[0], 0, 262_143),
        "band": number(f[1], 1, 512),
        "tac": hexadecimal(f[4]),
        "ci": hexadecimal(f[5]),
        "pci": number(f[6], 0, 503),
        "rsrp_dbm": _index_or_dbm(f[10], rsrp),
        "rsrq_db": _index_or_dbm(f[11], rsrq),
    }


def _index_or_dbm(raw: str, by_index: object) -> float | int | None:
    value = real(raw, -160, 97)
    if value is None:
        return None
    return plain(value) if value < 0 else (rsrp(raw) if by_index is rsrp else rsrq(raw))


# -- Intel and Fibocom ---------------------------------------------------------------------------------------------


def read_xmci(lines: Sequence[str], command: Command) -> Reading | None:
    """+XMCI: <type>,…: 4 the serving LTE cell, 5 its neighbours; strengths as indices, 255 and all-F unknown."""
    cells = [(number(at(f, 0), 0, 9), f) for f in map(values, lines) if len(f) >= 12]
    serving = next((_xmci_cell(f) for kind, f in cells if kind == 4), None)
    neighbours = [_xmci_cell(f) for kind, f in cells if kind == 5]
    if serving is None and not neighbours:
        return None
    return {**(serving or {}), "neighbours": neighbours}


def _xmci_cell(f: list[str]) -> Reading:
    earfcn = _word(f[6], 262_143)
    return {
        "access_technology": "LTE",
        "plmn": joined(f[1], f[2]) if number(f[1]) else None,
        "tac": _word(f[3], 0xFFFD),
        "ci": _word(f[4], 0x0FFFFFFF),
        "pci": _word(f[5], 503),
        "earfcn": earfcn,
        "band": eutra_band(earfcn),
        "rsrp_dbm": rsrp(f[9]),
        "rsrq_db": rsrq(f[10]),
        "sinr_db": scaled(f[11], 100, 0, 0.5, low=-100),
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
    bands = [name for figure in figures if figure is not None and (name := _xact_band(figure))]
    first = {0: "2g", 1: "3g", 2: "4g"}.get(preferred) if preferred is not None and len(modes) > 1 else None
    return {"modes": modes, "preferred": first, "bands": bands}


def _xact_band(figure: int) -> str | None:
    if figure in (850, 900, 1800, 1900):
        return {850: "g850", 900: "egsm", 1800: "dcs", 1900: "pcs"}[figure]
    return f"utran-{figure}" if figure < 100 else f"eutran-{figure - 100}" if figure < 200 else None


def read_gtccinfo(lines: Sequence[str], command: Command) -> Reading | None:
    """+GTCCINFO: a headed list; a line that begins with 1 is the serving cell (4 LTE, 9 NR)."""
    for line in lines:
        f = values(line) if ":" not in line else values(line.partition(":")[2])
        if len(f) >= 12 and number(f[0]) == 1 and number(f[1]) in (4, 9):
            return _gt_lte(f) if number(f[1]) == 4 else _gt_nr(f)
    return None


def _gt_common(f: list[str]) -> Reading:
    return {"plmn": joined(f[2], f[3]), "tac": hexadecimal(f[4]), "ci": hexadecimal(f[5])}


def _gt_lte(f: list[str]) -> Reading:
    """Channel and PCI are hexadecimal on some firmware and decimal on other: the band tells which."""
    code = number(f[8], 0, 1999)
    band = code - 100 if code is not None and 100 < code < 200 else code
    decimal, other = number(f[6], 0, 262_143), hexadecimal(f[6])
    as_decimal = eutra_band(decimal) == band and decimal is not None
    earfcn = decimal if as_decimal else other if eutra_band(other) == band else None
    pci = (number(f[7], 0, 503) if as_decimal else hexadecimal(f[7])) if earfcn is not None else None
    return {
        "access_technology": "LTE",
        **_gt_common(f),
        "earfcn": earfcn,
        "pci": pci,
        "band": band,
        "rsrp_dbm": rsrp(at(f, 12)),
        "rsrq_db": rsrq(at(f, 13)),
        "sinr_raw": number(f[10]),
    }


def _gt_nr(f: list[str]) -> Reading:
    code = number(f[8], 0, 5999)
    return {
        "access_technology": "NR",
        **_gt_common(f),
        "earfcn": number(f[6], 0, 3_279_165),
        "pci": number(f[7], 0, 1007),
        "band": int(str(code)[2:]) if code is not None and code > 5000 and str(code)[2:] else code,
        "rsrp_dbm": scaled(at(f, 12), 126, -157),
        "rsrq_db": scaled(at(f, 13), 126, -43.5, 0.5),
    }


def read_temperature(lines: Sequence[str], command: Command) -> Reading | None:
    """+MTSM: <degrees>; +GTSENRDTEMP: <sensor>,<thousandths of a degree>."""
    degrees: list[float] = []
    for f in map(values, lines):
        value = number(f[-1], -60_000, 150_000)
        if value is not None:
            degrees.append(value / 1000 if len(f) > 1 and abs(value) > 200 else value)
    return {"temperature_c": rounded(max(degrees))} if degrees else None


def read_lines(lines: Sequence[str], command: Command) -> Reading | None:
    found = [unquote(payload(line)) for line in lines]
    return {"lines": found} if found else None


# -- ZTE -----------------------------------------------------------------------------------------------------------


def read_zrssi(lines: Sequence[str], command: Command) -> Reading | None:
    """+ZRSSI: <rsrp>,<rsrq>,<rssi> (MF286): told apart by their size, a figure of another kind is left out."""
    f = values(lines[-1]) if lines else []
    if len(f) < 3:
        return None
    figures = {"rsrp_dbm": real(f[0], -150, -30), "rsrq_db": real(f[1], -40, 0), "rssi_dbm": real(f[2], -130, -10)}
    return known({key: plain(value) for key, value in figures.items()})


def read_zcellinfo(lines: Sequence[str], command: Command) -> Reading | None:
    """+ZCELLINFO: <cell>, <pci>, LTE B<band>, <earfcn>."""
    f = values(lines[-1]) if lines else []
    match = re.fullmatch(r"(LTE|WCDMA|NR)?\s*B([0-9]{1,3})", unquote(at(f, 2) or ""))
    if match is None:
        return None
    earfcn = number(at(f, 3), 0, 262_143)
    return {
        "access_technology": {"LTE": "LTE", "WCDMA": "UMTS", "NR": "NR"}.get(match[1] or ""),
        "ci": hexadecimal(f[0]),
        "pci": number(f[1], 0, 503),
        "band": int(match[2]),
        "earfcn": earfcn,
    }


_CELL = "access_technology plmn tac ci pci earfcn band rsrp_dbm rsrq_db sinr_db"
_SIERRA = "access_technology band earfcn rssi_dbm rsrp_dbm rsrq_db sinr_db tac ci temperature_c"
ROWS = (
    Row("!GSTATUS", (READ,), read_gstatus, "Sierra", _SIERRA, bare=ANY_LINE),
    Row("!PCTEMP", (READ,), read_pctemp, "Sierra", "temperature_c", bare=ANY_LINE),
    Row("+URAT", (READ,), read_urat, "u-blox", "rat modes preferred"),
    Row("+UCGED", (READ,), read_ucged, "u-blox", _CELL, prefixes=("+UCGED", "+RSRP", "+RSRQ"), bare=ANY_LINE),
    Row("+XMCI", (SET, EXECUTE, READ), read_xmci, "Intel XMM", _CELL + " neighbours"),
    Row("+XACT", (READ,), read_xact, "Intel XMM", "modes preferred bands"),
    Row("+GTCCINFO", (READ, EXECUTE), read_gtccinfo, "Fibocom", _CELL, bare=ANY_LINE),
    Row("+GTSENRDTEMP", (SET, READ), read_temperature, "Fibocom", "temperature_c"),
    Row("+ZRSSI", (EXECUTE, READ), read_zrssi, "ZTE", "rsrp_dbm rsrq_db rssi_dbm"),
    Row("+ZCELLINFO", (READ, EXECUTE), read_zcellinfo, "ZTE", "access_technology ci pci band earfcn"),
    Row("+MTSM", (SET, READ, EXECUTE), read_temperature, "Fibocom", "temperature_c"),
)
