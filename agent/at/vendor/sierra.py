"""Sierra Wireless: !GSTATUS, !LTEINFO, !PCTEMP, !GETBAND, *CNTI (MC74xx, EM74xx, EM75xx, EM91xx manuals; real replies).

Their answers are tables for people: labels and figures in two columns, or a line of headings over a line of values.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.at.engine.grammar import Reading, area, at, cell, known, number, payload, values
from agent.at.engine.row import ANY_LINE, READ, SET, Command, Row
from agent.at.standard.band import band_number, eutra_band, eutra_channel, eutra_place, nr_channel
from agent.at.standard.figures import rsrp, rsrq, rssi, sinr, temperature, width
from agent.at.standard.operator_names import joined

_GSTATUS: dict[str, re.Pattern[str]] = {
    "temperature_c": re.compile(r"Temperature:\s*(-?[0-9]+(?:\.[0-9]+)?)"),
    "mode": re.compile(r"System mode:\s*([A-Za-z0-9-]+)"),
    "ps_state": re.compile(r"PS state:\s*([A-Za-z ]+?)\s*(?:\t|\n|$|  )"),
    "band": re.compile(r"LTE band:\s*(B?[0-9]+)"),
    "bandwidth": re.compile(r"LTE bw:\s*([0-9.]+)"),
    "earfcn": re.compile(r"LTE Rx chan:\s*([0-9]+)"),
    "uarfcn": re.compile(r"WCDMA channel:\s*([0-9]+)"),
    "arfcn": re.compile(r"GSM channel:\s*([0-9]+)"),
    "rssi": re.compile(r"(?:PCC RxM RSSI|RSSI \(dBm\)|RxM RSSI C0):\s*(-?[0-9]+)"),
    "rsrp": re.compile(r"(?<!\) )(?:PCC RxM RSRP|RSRP \(dBm\)):\s*(-?[0-9.]+)"),
    "rsrq": re.compile(r"(?<!\) )RSRQ \(dB\):\s*(-?[0-9.]+)"),
    "sinr": re.compile(r"(?<!\) )SINR \(dB\):\s*(-?[0-9.]+)"),
    "tac": re.compile(r"TAC:\s*([0-9A-Fa-f]+)"),
    "lac": re.compile(r"LAC:\s*([0-9A-Fa-f]+)"),
    "ci": re.compile(r"Cell ID:\s*([0-9A-Fa-f]+)"),
}
_NR: dict[str, re.Pattern[str]] = {
    "band": re.compile(r"NR5G(?:\(sub6\))? band:\s*n?([0-9]+)"),
    "earfcn": re.compile(r"NR5G (?:Rx|dl) chan(?:nel)?:\s*([0-9]+)"),
    "bandwidth": re.compile(r"NR5G dl bw:\s*([0-9]+)"),
    "rsrp": re.compile(r"NR5G\(?\w*\)? RSRP \(dBm\):\s*(-?[0-9.]+)"),
    "rsrq": re.compile(r"NR5G\(?\w*\)? RSRQ \(dB\):\s*(-?[0-9.]+)"),
    "sinr": re.compile(r"NR5G\(?\w*\)? SINR \(dB\):\s*(-?[0-9.]+)"),
}
_MODES = {
    "GSM": "GPRS",
    "GPRS": "GPRS",
    "EDGE": "EDGE",
    "WCDMA": "UMTS",
    "UMTS": "UMTS",
    "HSDPA": "UMTSHSPA",
    "HSUPA": "UMTSHSPA",
    "HSDPA/HSUPA": "UMTSHSPA",
    "HSPA+": "UMTSHSPA",
    "LTE": "LTE",
    "ENDC": "NR-NSA",
    "NR5G": "NR",
    "SA": "NR",
}


def read_gstatus(lines: Sequence[str], command: Command) -> Reading | None:
    """!GSTATUS: two columns of words, an unprintable layout that no two firmwares share."""
    body = "\n".join(lines)
    found = _found(_GSTATUS, body)
    if not found:
        return None
    nr, carriers = _found(_NR, body), _carriers(found, body)
    return {
        "access_technology": _MODES.get(found.get("mode", "").upper()),
        "band": band_number(found.get("band")),
        "bandwidth_mhz": width(found.get("bandwidth")),
        **_strengths(found, eutra_channel(found.get("earfcn"))),
        "uarfcn": number(found.get("uarfcn"), 0, 16_383),
        "arfcn": number(found.get("arfcn"), 0, 1023),
        "rssi_dbm": rssi(found.get("rssi")),
        "tac": area(found.get("tac")),
        "lac": area(found.get("lac")),
        "ci": cell(found.get("ci")),
        "temperature_c": temperature(found.get("temperature_c")),
        "attached": found["ps_state"].strip() == "Attached" if "ps_state" in found else None,
        "nr": known(
            {
                "band": number(nr.get("band"), 1, 1024),
                "bandwidth_mhz": number(nr.get("bandwidth"), 5, 400),
                **_strengths(nr, nr_channel(nr.get("earfcn"))),
            }
        ),
        **({"carriers": carriers} if carriers else {}),
    }


_SECONDARY = re.compile(r"LTE S[SC]C([0-9]) state\s*:\s*(ACTIVE|INACTIVE)")
_STATES = {"ACTIVE": 2, "INACTIVE": 1}  # as +QCAINFO numbers them


def _carriers(found: dict[str, str], body: str) -> list[Reading]:
    """The primary and each secondary that the network has configured: EM74xx has one, `LTE Scell band`, EM75xx and
    EM9xxx up to four, `LTE SSC1 state`, spelt so or as SCC."""
    labels = [(f"S[SC]C{match[1]}", f"SCC{match[1]}", match[2]) for match in _SECONDARY.finditer(body)]
    if not labels and "LTE Scell band" in body:
        labels = [("Scell", "SCC", "ACTIVE" if re.search(r"LTE CA state\s*:\s*ACTIVE", body) else "INACTIVE")]
    secondary = [_secondary(label, measured, state, body) for label, measured, state in labels]
    primary: Reading = {
        "role": "PCC",
        "band": band_number(found.get("band")),
        "earfcn": eutra_channel(found.get("earfcn")),
        "bandwidth_mhz": width(found.get("bandwidth")),
        "rsrp_dbm": rsrp(found.get("rsrp")),
    }
    return [primary, *secondary] if secondary else []


def _secondary(label: str, measured: str, state: str, body: str) -> Reading:
    def figure(pattern: str) -> str | None:
        match = re.search(pattern, body)
        return match[1] if match else None

    strength = figure(rf"{measured} RxM (?:RSSI:.*?)?RSRP(?: \(dBm\))?:\s*(-[0-9.]+)")
    if re.search(rf"{measured} NR5G", body):
        strength = None  # the number counts the legs of NR there
    channel = eutra_channel(figure(rf"LTE {label} (?:Rx )?chan\s*:\s*([0-9]+)"))
    named = band_number(figure(rf"LTE {label} band\s*:\s*(B?[0-9]+)"))
    return {
        "role": "SCC",
        "state": _STATES[state],
        "band": eutra_band(channel) or named,  # EM7565 1.09 names the band before: B2 for channel 1599
        "earfcn": channel,
        "bandwidth_mhz": width(figure(rf"LTE {label} bw\s*:\s*([0-9.]+)")),
        "rsrp_dbm": rsrp(strength),
    }


def _found(patterns: dict[str, re.Pattern[str]], body: str) -> dict[str, str]:
    return {key: match[1] for key, pattern in patterns.items() if (match := pattern.search(body))}


def _strengths(found: dict[str, str], channel: int | None) -> Reading:
    return {
        "earfcn": channel,
        "rsrp_dbm": rsrp(found.get("rsrp")),
        "rsrq_db": rsrq(found.get("rsrq")),
        "sinr_db": sinr(found.get("sinr")),
    }


def read_nrinfo(lines: Sequence[str], command: Command) -> Reading | None:
    """!NRINFO: the NR lines of !GSTATUS."""
    found = _found(_NR, "\n".join(lines))
    reading = {"band": number(found.get("band"), 1, 1024), **_strengths(found, nr_channel(found.get("earfcn")))}
    return {"access_technology": "NR", **reading} if known(reading) else None


# Headings of !LTEINFO and what they are here; TAC is decimal, CID hexadecimal.
_SERVING = ("Serving:", "IntraFreq:", "InterFreq:")


def read_lteinfo(lines: Sequence[str], command: Command) -> Reading | None:
    """!LTEINFO: a line of headings for the serving cell, its frequency's and the other frequencies' neighbours."""
    section, headings = "", [""]
    serving: Reading | None = None
    neighbours: list[Reading] = []
    for line in _unfolded(lines):
        words = line.split()
        if words and words[0].rstrip(":") + ":" in _SERVING:
            section, headings = words[0].rstrip(":"), words[1:]
        elif words and words[0].endswith(":"):
            section = ""
        elif section and headings and len(words) % len(headings) == 0:
            rows = [words[first : first + len(headings)] for first in range(0, len(words), len(headings))]
            tables = [dict(zip(headings, row, strict=True)) for row in rows]
            if section == "Serving":
                serving = _serving(tables[0]) if tables else serving
            else:
                neighbours += map(_neighbour, tables)
    if serving is None:
        return None
    return {**serving, "neighbours": neighbours}


def _unfolded(lines: Sequence[str]) -> list[str]:
    """The lines of the table, also where what carried them has joined them (RouterOS at-chat)."""
    body = "\n".join(map(payload, lines))
    body = re.sub(r"[ \t]+(?=(?:IntraFreq|InterFreq|GSM|WCDMA|CDMA 1x):)", "\n", body)
    return re.sub(r"(?<=RXLV)[ \t]+(?=\S)", "\n", body).splitlines()


def _serving(columns: dict[str, str]) -> Reading:
    _, band = eutra_place(columns.get("EARFCN"), columns.get("Bd"))
    return {
        "access_technology": "LTE",
        "plmn": joined(columns.get("MCC"), columns.get("MNC")),
        "tac": number(columns.get("TAC"), 1, 65_533),
        "ci": cell(columns.get("CID")),
        "band": band,
        "sinr_db": sinr(columns.get("SNR")),
        **_neighbour(columns),
    }


def _neighbour(columns: dict[str, str]) -> Reading:
    return {
        "earfcn": eutra_channel(columns.get("EARFCN")),
        "pci": number(columns.get("PCI"), 0, 503),
        "rsrq_db": rsrq(columns.get("RSRQ")),
        "rsrp_dbm": rsrp(columns.get("RSRP")),
        "rssi_dbm": rssi(columns.get("RSSI")),
    }


def read_pctemp(lines: Sequence[str], command: Command) -> Reading | None:
    """!PCTEMP?: `Temperature: 29.71` among other words."""
    match = re.search(r"Temperature:\s*(-?[0-9]+(?:\.[0-9]+)?)", "\n".join(lines))
    return known({"temperature_c": temperature(match[1])}) if match else None


def read_band(lines: Sequence[str], command: Command) -> Reading | None:
    """!GETBAND: LTE B3; !GETRAT: LTE."""
    words = payload(lines[-1]).split() if lines else []
    technology = _MODES.get(words[0].upper()) if words else None
    if technology is None:
        return None
    return {"access_technology": technology, "band": band_number(words[-1]) if technology == "LTE" else None}


def read_indication(lines: Sequence[str], command: Command) -> Reading | None:
    """*CNTI: 0,<technology in use>; with 1 and 2 all that the network or the modem offers."""
    f = values(lines[-1]) if lines else []
    if at(f, 0) != "0" or len(f) < 2:
        return None
    return {"access_technology": _MODES.get(f[1].upper())}


_STATUS = "access_technology band earfcn rssi_dbm rsrp_dbm rsrq_db sinr_db tac lac ci temperature_c nr carriers"
_INFO = "access_technology plmn tac ci band earfcn pci rsrp_dbm rsrq_db rssi_dbm sinr_db neighbours"
ROWS = (
    Row("!GSTATUS", (READ,), read_gstatus, "Sierra", _STATUS, bare=ANY_LINE),
    Row("!LTEINFO", (READ,), read_lteinfo, "Sierra", _INFO, bare=ANY_LINE),
    Row(
        "!NRINFO",
        (READ,),
        read_nrinfo,
        "Sierra",
        "access_technology band earfcn rsrp_dbm rsrq_db sinr_db",
        bare=ANY_LINE,
    ),
    Row("!PCTEMP", (READ,), read_pctemp, "Sierra", "temperature_c", bare=ANY_LINE),
    Row("!GETBAND", (READ,), read_band, "Sierra", "access_technology band"),
    Row("!GETRAT", (READ,), read_band, "Sierra", "access_technology band"),
    Row("*CNTI", (SET, READ), read_indication, "Sierra", "access_technology"),
)
