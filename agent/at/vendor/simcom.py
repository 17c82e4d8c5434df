"""SIMCom: +CPSI, +CNSMOD, +CPMUTEMP (SIM7000, SIM7600, A76xx, SIM8200 manuals; real replies).

+CPSI gives strengths in tenths on SIM7600 and SIM8200, plain on SIM7000 and as indices of +CESQ on A76xx; which one it
is shows in the size of RSRP, since the three ranges do not overlap.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.at.engine.grammar import (
    Reading,
    area,
    at,
    known_area,
    known_cell,
    number,
    plain,
    real,
    rounded,
    unquote,
    values,
)
from agent.at.engine.row import EXECUTE, READ, SET, Command, Row
from agent.at.standard.band import (
    LTE_BANDWIDTH,
    band_number,
    eutra_band,
    eutra_channel,
    eutra_place,
    nr_band,
    nr_channel,
)
from agent.at.standard.figures import rssi, sinr
from agent.at.standard.operator_names import joined
from agent.at.standard.scale import RSRP, RSRQ

_CNSMOD = {
    0: None,
    1: "GPRS",
    2: "GPRS",
    3: "EDGE",
    4: "UMTS",
    5: "UMTSHSPA",
    6: "UMTSHSPA",
    7: "UMTSHSPA",
    8: "LTE",
    9: "UMTS",
    10: "UMTS",
    11: "UMTS",
    12: "UMTS",
    13: "UMTSHSPA",
    14: "UMTSHSPA",
    15: "UMTSHSPA",
    16: "CDMA2000OneX",
    17: "CDMA2000HRPD",
    18: "CDMA2000HRPD",
    25: "LTE",
}


def read_cpsi(lines: Sequence[str], command: Command) -> Reading | None:
    """The first line tells the serving cell; NSA adds one for the NR cell."""
    cells = [cell for line in lines if (cell := _cell(values(line))) is not None]
    if not cells:
        return None
    serving = next((cell for cell in cells if cell["rat"] != "NR5G_NSA"), cells[0])
    nr = next((cell for cell in cells if cell["rat"] == "NR5G_NSA" and cell is not serving and cell["pci"]), None)
    return {**serving, **({"nr": nr, "access_technology": "NR-NSA"} if nr else {})}


def _cell(f: list[str]) -> Reading | None:
    rat = unquote(at(f, 0) or "").upper()
    if rat.startswith("NO SERVICE"):
        empty = dict.fromkeys(("access_technology", "plmn", "rssi_dbm", "rsrp_dbm", "rsrq_db", "sinr_db"))
        return {"rat": "NO SERVICE", "state": unquote(at(f, 1) or "") or None, **empty}
    if rat.startswith("NR5G") and number(at(f, 1)) is not None:  # the second leg of EN-DC: no service state, no cell
        return {"rat": "NR5G_NSA", "access_technology": "NR-NSA", "pci": number(f[1], 0, 1007), **_new_radio(f[2:])}
    if len(f) < 6 or not rat:
        return None
    head: Reading = {"rat": rat, "state": unquote(f[1]) or None, "plmn": _plmn(f[2])}
    if rat.startswith(("CDMA", "EVDO", "HDR")):
        return {**head, "access_technology": "CDMA2000OneX" if rat == "CDMA" else "CDMA2000HRPD"}
    new = rat.startswith("NR5G")
    place, ci = area(f[3], 24 if new else 16), known_cell(number(f[4], 0), 36 if new else 16 if rat == "GSM" else 28)
    if rat.startswith(("LTE", "EMTC", "CAT", "NB")):
        kind = "NB-IoT" if "NB" in rat else "LTE"
        pci = number(f[5], 0, 503)
        radio = {**_lte(f[6:]), **({"bandwidth_mhz": None} if kind == "NB-IoT" else {})}
        return {**head, "access_technology": kind, "tac": place, "ci": ci, "pci": pci, **radio}
    if new:
        return {
            **head,
            "access_technology": "NR",
            "tac": place,
            "ci": ci,
            "pci": number(f[5], 0, 1007),
            **_new_radio(f[6:]),
        }
    if rat == "WCDMA":
        return {**head, "access_technology": "UMTS", "lac": place, "ci": ci, **_wcdma(f[5:])}
    return {**head, "access_technology": "GPRS", "lac": place, "ci": ci, **_gsm(f[5:])} if rat == "GSM" else None


def _gsm(f: list[str]) -> Reading:
    """<channel> <band>,<rxlev>,…; SIM7000 parts channel and band by a comma."""
    channel, _, band = unquote(f[0]).partition(" ")
    rest = f[1:]
    if not band and rest and number(rest[0]) is None:
        band, rest = unquote(rest[0]), rest[1:]
    return {
        "arfcn": number(channel, 0, 1023),
        "band_name": band.strip() or None,
        "rssi_dbm": rssi(at(rest, 0)),
    }


def _plmn(raw: str) -> str | None:
    mcc, _, mnc = unquote(raw).partition("-")
    return joined(mcc, mnc)


def _lte(f: list[str]) -> Reading:
    """<band>,<earfcn>,<dlbw>,<ulbw>,<rsrq>,<rsrp>,<rssi>,<rssnr>."""
    earfcn, band = eutra_place(at(f, 1), at(f, 0))
    width = number(at(f, 2), 0, 5)
    strengths = _strengths(at(f, 5), at(f, 4), at(f, 6))
    return {
        "band": band,
        "earfcn": earfcn,
        "bandwidth_mhz": LTE_BANDWIDTH.get(width) if width is not None and earfcn is not None else None,
        **strengths,
        "sinr_db": sinr(at(f, 7)) if strengths["rsrp_dbm"] is not None else None,
    }


def _strengths(rsrp: str | None, rsrq: str | None, rssi: str | None) -> Reading:
    level = number(rsrp)
    if level is None or level == 0:
        return {"rsrp_dbm": None, "rsrq_db": None, "rssi_dbm": None}
    if level > 0:  # A76xx
        return {"rsrp_dbm": RSRP.read(rsrp), "rsrq_db": RSRQ.read(rsrq), "rssi_dbm": None}
    level, ratio = sorted((level, number(rsrq) or 0))  # some SIM7080 write RSRP first; it is the lower of the two
    step = 10 if level <= -200 else 1
    return {
        "rsrp_dbm": _in(level, step, -160, -30),
        "rsrq_db": _in(ratio, step, -50, 20) if number(rsrq) is not None else None,
        "rssi_dbm": _in(number(rssi), step, -130, -10),
    }


def _in(value: int | None, step: int, low: float, high: float) -> float | int | None:
    result = None if value is None else rounded(value / step)
    return result if result is not None and low <= result <= high else None


def _new_radio(f: list[str]) -> Reading:
    """[<band>,]<arfcn>,<rsrp>,<rsrq>,<snr>, in tenths or whole; early SIM8200 has no band and RSRQ before RSRP."""
    words = at(f, 0) if f and number(f[0]) is None else None
    f = f[1:] if words is not None else f
    arfcn = nr_channel(at(f, 0))
    weak, strong = sorted((number(at(f, 1)) or 0, number(at(f, 2)) or 0))  # RSRP is the lower of the two
    step = 10 if weak <= -200 else 1
    return {
        "band": band_number(_nr_words(words)) or nr_band(arfcn),
        "earfcn": arfcn,
        "rsrp_dbm": _in(weak, step, -160, -20),
        "rsrq_db": _in(strong, step, -50, 20) if weak else None,
        **_snr(at(f, 3)),
    }


def _snr(raw: str | None) -> Reading:
    """Decibels where there is a fraction, tenths where decibels cannot be so many. 32 beside -80.0 dBm may be 3.2 or
    32 dB: no capture with a second source settles it."""
    value = real(raw, -400, 500)
    certain = value if "." in (raw or "") else value / 10 if value is not None and abs(value) > 50 else None
    scale = None if value is None else "unknown" if certain is None else "db" if certain == value else "raw/10"
    return {"sinr_db": rounded(certain), "sinr_raw": plain(value), "sinr_scale": scale}


def _nr_words(raw: str | None) -> str | None:
    match = re.search(r"BAND_?([0-9]+)", unquote(raw or ""), re.IGNORECASE)
    return match[1] if match else None


def _wcdma(f: list[str]) -> Reading:
    """<band>,<psc>,<freq>,<ssc>,<ec/io>,<rscp>,<qual>,<rxlev>,<txpwr>; EC/IO and RSCP are mostly magnitudes."""
    ecio, rscp = real(at(f, 4), -60, 60), real(at(f, 5), -140, 140)
    return {
        "band_name": unquote(at(f, 0) or "") or None,
        "psc": number(at(f, 1), 0, 511),
        "uarfcn": number(at(f, 2), 0, 16_383),
        "ecio_db": None if ecio is None else plain(-abs(ecio)),
        "rscp_dbm": plain(-abs(rscp)) if rscp else None,
    }


_LABEL = re.compile(r"([A-Z/]+):(-?[0-9.]+)", re.IGNORECASE)


def read_cell_information(lines: Sequence[str], command: Command) -> Reading | None:
    """+CCINFO:[SCELL],UARFCN:4436,MCC:505,MNC:001,LAC:338,ID:14302219,PSC:214,…,RSCP:88,ECIO:8.0,RXLev:-88dbm: numbers
    are decimal, strengths of UMTS magnitudes. The MNC is filled to three digits, so that 01 is not told from 001."""
    line = next((line for line in lines if "[SCELL]" in line.upper()), "")
    found = {key.upper(): value for key, value in _LABEL.findall(line.partition("]")[2])}
    umts, network = "UARFCN" in found, found.get("MNC", "")
    if not umts and "ARFCN" not in found:
        return None
    head: Reading = {
        "access_technology": "UMTS" if umts else "GPRS",
        "plmn": joined(found.get("MCC"), network) if not network.startswith("0") or len(network) == 2 else None,
        "lac": known_area(number(found.get("LAC"), 0)),
        "ci": known_cell(number(found.get("ID"), 0), 28 if umts else 16),
        "rssi_dbm": rssi(found.get("RXLEV")),
    }
    if not umts:
        return {**head, "arfcn": number(found["ARFCN"], 0, 1023), "bsic": number(found.get("BSIC"), 0, 63)}
    ecio, rscp = real(found.get("ECIO"), 0, 60), real(found.get("RSCP"), 1, 140)
    place: Reading = {"uarfcn": number(found["UARFCN"], 0, 16_383), "psc": number(found.get("PSC"), 0, 511)}
    return {**head, **place, "rscp_dbm": rscp and plain(-rscp), "ecio_db": None if ecio is None else plain(-ecio)}


def read_radio(lines: Sequence[str], command: Command) -> Reading | None:
    """+CMGRMI: Serving_Cell,<earfcn>,<mcc>,<mnc>,<tac>,_,<ci>,<band>,<dl>,<ul>,_,<pci>,<rsrq>,<rsrp>,<rssi>."""
    f = next((f for f in map(values, lines) if unquote(f[0]).upper() == "SERVING_CELL" and len(f) >= 14), None)
    if f is None:
        return None
    earfcn, width = eutra_channel(f[1]), number(f[8], 0, 5)
    return {
        "access_technology": "LTE",
        "plmn": joined(f[2], f[3]),
        "tac": known_area(number(f[4], 0)),
        "ci": known_cell(number(f[6], 0)),
        "pci": number(f[11], 0, 503),
        "band": eutra_band(earfcn),
        "earfcn": earfcn,
        "bandwidth_mhz": LTE_BANDWIDTH.get(width) if width is not None else None,
        **_strengths(f[13], f[12], at(f, 14)),
    }


def read_mode(lines: Sequence[str], command: Command) -> Reading | None:
    """+CNSMOD: <n>,<stat>; unasked, the second alone."""
    f = values(lines[-1]) if lines else []
    mode = number(f[-1], 0, 99) if f else None
    return None if mode is None else {"mode": mode, "access_technology": _CNSMOD.get(mode)}


def read_temperature(lines: Sequence[str], command: Command) -> Reading | None:
    degrees = number(at(values(lines[-1]), 0), -40, 125) if lines else None
    return None if degrees is None else {"temperature_c": degrees}


def read_call(lines: Sequence[str], command: Command) -> Reading | None:
    """$QCRMCALL: <state>,<family>, one line a family."""
    f = values(lines[-1]) if lines else []
    state = number(at(f, 0), 0, 9)
    return None if state is None else {"data_call_active": state == 1}


_CCINFO = "access_technology plmn lac ci rssi_dbm rscp_dbm ecio_db"
_CPSI = "rat state plmn tac lac ci pci band earfcn rsrp_dbm rsrq_db rssi_dbm sinr_db nr"
ROWS = (
    Row("+CPSI", (READ, EXECUTE), read_cpsi, "SIMCom", _CPSI, empty_ok=False),
    Row("+CNSMOD", (READ,), read_mode, "SIMCom", "mode access_technology", form=lambda line: len(values(line)) > 1),
    Row("+CCINFO", (EXECUTE,), read_cell_information, "SIMCom", _CCINFO),
    Row("+CPMUTEMP", (EXECUTE, READ), read_temperature, "SIMCom", "temperature_c"),
    Row("+CMGRMI", (SET,), read_radio, "SIMCom", "plmn tac ci pci band earfcn rsrp_dbm rsrq_db rssi_dbm"),
    Row("+CPTEMP", (EXECUTE, READ), read_temperature, "SIMCom", "temperature_c"),
    Row("$QCRMCALL", (READ, SET), read_call, "SIMCom", "data_call_active", 180.0, dials=True),
)
