"""Fibocom: +GTCCINFO, +GTCAINFO, +GTRNDIS and temperatures (FM150, FM350, FM650, L610)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.at.engine.grammar import (
    Reading,
    area,
    at,
    cell,
    hexadecimal,
    known_area,
    known_cell,
    number,
    rounded,
    values,
)
from agent.at.engine.row import ANY_LINE, EXECUTE, READ, SET, Command, Row
from agent.at.standard.band import (
    LTE_BANDWIDTH,
    NR_BANDWIDTH,
    RB_BANDWIDTH,
    eutra_band,
    eutra_channel,
    eutra_place,
    nr_band,
    nr_channel,
)
from agent.at.standard.operator_names import joined
from agent.at.standard.packet_data import addressing
from agent.at.standard.scale import RSRP, RSRQ, SS_RSRP, SS_RSRQ


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
    for digits, pci in ((raw, number(cell_raw, 0, 503)), (str(hexadecimal(raw)), hexadecimal(cell_raw, 503))):
        channel = eutra_channel(digits)
        if channel is not None and band in (None, eutra_band(channel)):
            return channel, pci
    return None, None


def _nr_channel(f: list[str], band: int | None) -> tuple[int | None, int | None]:
    """Bands of NR overlap and not every one is in the table: a decimal channel is believed where none is surer."""
    decimal = (nr_channel(f[6]), number(f[7], 0, 1007))
    for channel, pci in (decimal, (nr_channel(str(hexadecimal(f[6]))), hexadecimal(f[7], 1007))):
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
        **({"bandwidth_mhz": RB_BANDWIDTH.get(number(f[9], 0, 100) or 0)} if len(f) >= 14 else {}),
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
        **({"bandwidth_mhz": _nr_width(f[9])} if len(f) >= 14 else {}),
        "rsrp_dbm": SS_RSRP.read(at(tail, 2)),
        "rsrq_db": SS_RSRQ.read(at(tail, 3)),
        "sinr_raw": number(at(tail, 0)),
    }


def _nr_width(raw: str | None) -> float | int | None:
    """Fifths of a MHz on FM350, as +GTCAINFO has them beside it, MHz by other manuals: none where both would do."""
    width = number(raw, 1, 500) or 0
    fitting = {one for one in (width, width / 5) if one in NR_BANDWIDTH.values() and one <= 100}
    return rounded(fitting.pop()) if len(fitting) == 1 else None


def _gt_umts(f: list[str]) -> Reading:
    """…,<uarfcn>,<psc>,<band>,<ecno>,<rscp>,…: strengths differ from manual to manual and are left out."""
    head = {"plmn": joined(f[2], f[3]), "lac": area(f[4]), "ci": cell(f[5])}
    return {"access_technology": "UMTS", **head, "uarfcn": number(f[6], 0, 16_383), "psc": number(f[7], 0, 511)}


_GT = {2: _gt_umts, 4: _gt_lte, 9: _gt_nr}


def read_gtcainfo(lines: Sequence[str], command: Command) -> Reading | None:
    """PCC:<band>,<pci>,<channel>,<bandwidth>,…; SCC<n>:<state>,<ul>,<band>,<pci>,<channel>,<bandwidth>,…, on FM190 with
    the technology in front, LTE PCC:…. L850 numbers
    its lines instead: 1,<band>,<mcc>,<mnc>,<tac>,<cell>,<pci>,<rsrp>,<rsrq>,<sinr>,<channel>,…."""
    carriers: list[Reading] = []
    old: Reading = {}
    for line in lines:
        body = line.rpartition("+GTCAINFO:")[2].strip()
        match = re.match(r"(LTE |NR )?(PCC|SCC)\s*[0-9]*\s*:(.*)", body, re.DOTALL)
        if match:
            f = values(match[3])
            carriers.append(_carrier(match[2], f if match[2] == "PCC" else f[2:], f, fifths=match[1] is None))
        elif len(f := values(body)) >= 14 and number(f[0]) == 1:
            old = _numbered(f)
            carriers.append({"role": "PCC", **{key: old[key] for key in ("band", "pci", "earfcn", "bandwidth_mhz")}})
    if not carriers:
        return None
    first = carriers[0]
    return {**{key: first[key] for key in ("band", "earfcn", "pci", "bandwidth_mhz")}, **old, "carriers": carriers}


def _carrier(role: str, f: list[str], whole: list[str], *, fifths: bool) -> Reading:
    """`fifths`: of a MHz, in which FM350 gives the widths of NR; of FM190 nothing says which unit it is."""
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
        "bandwidth_mhz": blocks if not is_nr else rounded((width or 0) / 5) or None if fifths else _nr_width(at(f, 3)),
        "state": number(at(whole, 0), 0, 9) if role == "SCC" else None,
    }


def _numbered(f: list[str]) -> Reading:
    channel, band = eutra_place(f[10], f[1])
    width = number(f[12], 0, 5)
    return {
        "plmn": joined(f[2], f[3]),
        "tac": known_area(number(f[4], 0)),
        "ci": known_cell(number(f[5], 0)),
        "band": band,
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
        if value is not None and len(f) > 1 and abs(value) > 200:
            degrees.append(value / 1000)
        elif value is not None and -60 <= value <= 150:
            degrees.append(value)
    return {"temperature_c": rounded(max(degrees))} if degrees else None


def read_rndis(lines: Sequence[str], command: Command) -> Reading | None:
    """+GTRNDIS: <state>[,<cid>,<address>,<gateway>,<dns1>,<dns2>]."""
    f = values(lines[-1]) if lines else []
    state = number(at(f, 0), 0, 1)
    if state is None:
        return None
    return {"data_call_active": state == 1, "cid": number(at(f, 1), 0, 255), **addressing(f[2:6])}


_CELL = "access_technology plmn tac lac ci pci earfcn band bandwidth_mhz rsrp_dbm rsrq_db sinr_db"
ROWS = (
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
