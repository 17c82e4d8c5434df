"""Foxconn and Dell: ^DEBUG, ^CA_INFO and ^TEMP (T77W968, DW5821e; T99W175, T99W373, DW5930e and their kin), real
replies.

^DEBUG is a page for people, in one layout on T77W968 (`RSRP: -88.3dBm`), in another on 5G modules (`lte_rsrp:-88.3dBm`)
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.at.engine.grammar import Reading, at, known, known_area, known_cell, number, plain, real
from agent.at.engine.row import ANY_LINE, READ, Command, Row
from agent.at.standard.band import eutra_band, eutra_channel, eutra_number, nr_channel
from agent.at.standard.figures import rsrp, rsrq, rssi, sinr, width
from agent.at.standard.operator_names import plmn

_PAGE: dict[str, re.Pattern[str]] = {
    "rat": re.compile(r"\bRAT:\s*(LTE|WCDMA|GSM)"),
    "width": re.compile(r"\bBW:\s*([0-9.]+)"),
    "earfcn": re.compile(r"EARFCN\(DL/UL\):\s*([0-9]+)"),
    "band": re.compile(r"\bBAND:\s*([0-9]+)"),
    "plmn": re.compile(r"PLMN:\s*([0-9]{3} ?[0-9]{2,3})"),
    "cell": re.compile(r"eNB ID\(PCI\):\s*([0-9]+-[0-9]+)"),
    "pci": re.compile(r"eNB ID\(PCI\):\s*[0-9-]+\(([0-9]+)\)"),
    "rsrp": re.compile(r"\bRSRP:\s*(-?[0-9.]+)"),
    "rsrq": re.compile(r"\bRSRQ:\s*(-?[0-9.]+)"),
    "rssi": re.compile(r"\bRSSI:\s*(-?[0-9.]+)"),
    "sinr": re.compile(r"\bRS-SINR:\s*(-?[0-9.]+)"),
}
_TECHNOLOGY = {"LTE": "LTE", "WCDMA": "UMTS", "GSM": "GPRS"}


def read_debug(lines: Sequence[str], command: Command) -> Reading | None:
    body = "\n".join(lines)
    return _read_pairs(body) if re.search(r"(?m)^\s*(?:pcell|nr_band|nr_rsrp|lte_rsrp)\s*:", body) else _read_page(body)


def _read_page(body: str) -> Reading | None:
    """A line a label; the cell as eNB and sector; aggregated carriers as in ^CA_INFO."""
    found = {key: match[1] for key, pattern in _PAGE.items() if (match := pattern.search(body))}
    if "rsrp" not in found:
        return None
    band = eutra_number(found.get("band"))
    station, _, sector = found.get("cell", "").partition("-")
    carriers = _carriers(body) or [*map(_scell, _SCELL.findall(body))]
    reading: Reading = {
        "access_technology": _TECHNOLOGY.get(found.get("rat", "")),
        "bandwidth_mhz": width(found.get("width")),
        "plmn": plmn(found.get("plmn", "").replace(" ", "")),
        "earfcn": _channel(found.get("earfcn"), band),
        "band": band,
        "ci": known_cell((int(station) << 8) + int(sector)) if sector and int(sector) < 256 else None,
        "pci": number(found.get("pci"), 0, 503),
        "rsrp_dbm": rsrp(found["rsrp"]),
        "rsrq_db": rsrq(found.get("rsrq")),
        "rssi_dbm": rssi(found.get("rssi")),
        "sinr_db": sinr(found.get("sinr")),
    }
    if carriers and carriers[0]["role"] == "SCC":
        carriers = [{"role": "PCC", **{key: reading[key] for key in _SCELL_FIELDS}}, *carriers]
    return {**reading, **({"carriers": carriers} if len(carriers) > 1 else {})}


# SCell1: BAND:7 BW:20.0MHz EARFCN:3100 PCI:3 RSRP:-75.1dBm RSRQ:-10.4dB RSSI:-44.9dBm SNR:30.0dB
_SCELL = re.compile(
    r"SCell[0-9]:\s*BAND:([0-9]+)\s+BW:([0-9.]+)MHz\s+EARFCN:([0-9]+)\s+PCI:([0-9]+)\s+RSRP:\s*(-?[0-9.]+)",
    re.IGNORECASE,
)
_SCELL_FIELDS = ("band", "bandwidth_mhz", "earfcn", "pci", "rsrp_dbm")


def _scell(f: tuple[str, ...]) -> Reading:
    band = eutra_number(f[0])
    figures = (band, plain(real(f[1], 0, 20)), _channel(f[2], band), number(f[3], 0, 503), plain(real(f[4], -156, -31)))
    return {"role": "SCC", **dict(zip(_SCELL_FIELDS, figures, strict=True))}


def _channel(raw: str | None, band: int | None) -> int | None:
    """Some firmware cuts the channel to 16 bits: 1400 beside band 66 is 66936. None where the band still differs."""
    for lost in (0, 65_536):
        channel = number(raw, 0, 65_535 if lost else 262_143)
        found = eutra_channel(str(channel + lost)) if channel is not None else None
        if found is not None and band in (None, eutra_band(found)):
            return found
    return None


_PAIR = re.compile(r"([A-Za-z_]+)\s*:\s*([^\s,:]+)")


def _read_pairs(body: str) -> Reading | None:
    """`pcell: lte_band:3 lte_band_width:20.0MHz`, then `channel:… pci:…`, `lte_rsrp:…,rsrq:…`; `scell:` likewise; NR by
    names of its own. What stands before the first cell, mcc and mnc and the area, is common."""
    parts = re.split(r"(?m)^\s*([ps]cell)\s*:", body)
    head = {key.lower(): value for key, value in _PAIR.findall(body)}
    cells = [_lte_leg(role, text) for role, text in zip(parts[1::2], parts[2::2], strict=False)]
    nr = _nr_leg(head)
    if not cells and nr is None:
        return None
    place: Reading = {
        "plmn": plmn(head.get("mcc", "") + head.get("mnc", "")),
        "tac": known_area(number(head.get("lte_tac"), 0)),
        "ci": known_cell(number(head.get("lte_cell_id"), 0)),
    }
    if not cells:
        return {"access_technology": "NR", **place, **(nr or {})}
    legs: Reading = {"nr": nr, "access_technology": "NR-NSA"} if nr else {"access_technology": "LTE"}
    return {**place, **cells[0], **legs, **({"carriers": cells} if len(cells) > 1 else {})}


def _lte_leg(role: str, text: str) -> Reading:
    found = {key.lower(): value for key, value in _PAIR.findall(text.split("nr_")[0])}
    band = eutra_number((found.get("lte_band") or "").lstrip("Bb"))
    channel = _channel(found.get("channel"), band)
    return {
        "role": "PCC" if role == "pcell" else "SCC",
        "band": band or eutra_band(channel),
        "bandwidth_mhz": _figure(found.get("lte_band_width"), 1.4, 20),
        "earfcn": channel,
        "pci": number(found.get("pci"), 0, 503),
        "rsrp_dbm": _figure(found.get("lte_rsrp") or found.get("rsrp"), -156, -31),
        "rsrq_db": _figure(found.get("rsrq") or found.get("lte_rsrq"), -60, 20),
        "rssi_dbm": _figure(found.get("lte_rssi") or found.get("rssi"), -130, -1),
        "sinr_db": _figure(found.get("lte_snr") or found.get("snr"), -40, 60),
    }


def _nr_leg(found: dict[str, str]) -> Reading | None:
    return known(
        {
            "band": number((found.get("nr_band") or "").lstrip("nN"), 1, 512),
            "bandwidth_mhz": _figure(found.get("nr_band_width"), 5, 400),
            "earfcn": nr_channel(found.get("nr_channel")),
            "pci": number(found.get("nr_pci"), 0, 1007),
            "rsrp_dbm": _figure(found.get("nr_rsrp"), -156, -31),
            "rsrq_db": _figure(found.get("nr_rsrq"), -60, 20),
            "sinr_db": _figure(found.get("nr_snr"), -40, 60),
        }
    )


def _figure(raw: str | None, low: float, high: float) -> float | int | None:
    """`-88.3dBm`, `20.0MHz`, `NA`."""
    match = re.match(r"-?[0-9]+(?:\.[0-9]+)?", raw or "")
    return plain(real(match[0], low, high)) if match else None


_INFO = re.compile(
    r"([PS])CC([0-9]*) info\s*:\s*Band is (LTE_B|NR5G_BAND|NR_?n?)([0-9]{1,3}),\s*Band_width is ([0-9.]+) *MHz",
    re.IGNORECASE,
)


def _carriers(body: str) -> list[Reading]:
    """PCC info: Band is LTE_B3, Band_width is 20.0 MHz; SCC1 info: …"""
    return [
        {
            "role": f"{match[1].upper()}CC",
            "radio": "LTE" if match[3].upper().startswith("LTE") else "NR",
            "band": number(match[4], 1, 512),
            "bandwidth_mhz": width(match[5]),
        }
        for match in _INFO.finditer(body)
    ]


def read_aggregation(lines: Sequence[str], command: Command) -> Reading | None:
    carriers = _carriers("\n".join(lines))
    first = at(carriers, 0)
    return {"band": first["band"], "bandwidth_mhz": first["bandwidth_mhz"], "carriers": carriers} if first else None


_DEGREES = re.compile(r"(?m):\s*(-?[0-9]{1,3})\s*C?\s*$")


def read_temperature(lines: Sequence[str], command: Command) -> Reading | None:
    """^TEMP: a line a sensor, `TSENS: 46C`; the warmest counts."""
    figures = [number(raw, -40, 125) for raw in _DEGREES.findall("\n".join(lines))]
    return {"temperature_c": max(known_ones)} if (known_ones := [one for one in figures if one is not None]) else None


_DEBUG = "access_technology plmn tac ci pci earfcn band bandwidth_mhz rsrp_dbm rsrq_db rssi_dbm sinr_db nr carriers"
ROWS = (
    Row("^DEBUG", (READ,), read_debug, "Foxconn", _DEBUG, bare=ANY_LINE),
    Row("^TEMP", (READ,), read_temperature, "Foxconn", "temperature_c", bare=ANY_LINE),
    Row("^CA_INFO", (READ,), read_aggregation, "Foxconn", "band bandwidth_mhz carriers", bare=ANY_LINE),
)
