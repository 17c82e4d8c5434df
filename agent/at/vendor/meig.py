"""MeiG: ^CELLINFO, +SGCELLINFOEX and +TEMP (SLM750, SLM770, SLM828, SRM815, SRM825).

Sources: QModem, parsers/meig (^CELLINFO); ROOter, meigdata.sh (+SGCELLINFOEX in columns); a router's page for SRM810
(+SGCELLINFOEX by name). They read SINR in different places and on different scales: that of +SGCELLINFOEX is left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.at.engine.grammar import Reading, at, known, number, plain, real, unquote, values
from agent.at.engine.row import ANY_LINE, EXECUTE, READ, SET, Command, Row
from agent.at.standard.band import RB_BANDWIDTH, eutra_channel, eutra_number, nr_band, nr_channel
from agent.at.standard.figures import rsrp, rsrq
from agent.at.standard.operator_names import joined
from agent.at.standard.scale import TENTHS_SINR


def read_cellinfo(lines: Sequence[str], command: Command) -> Reading | None:
    """MeiG ^CELLINFO: LTE,<duplex>,<mcc>,<mnc>,_,<pci>,_,<cell>,<tac>,<band>,<bandwidth>,…,<rsrp>,<rsrq>,<sinr>,…;
    5G,<duplex>,<mcc>,<mnc>,<cell>,<pci>,<tac>,<band>,<MHz>,<scs>,…,<rsrp>,<rsrq>,<sinr>; LTE-NR with NR from the
    thirtieth field on. Which base cell and area have is not known, so they are left out."""
    f = values(lines[-1]) if lines else []
    rat = unquote(at(f, 0) or "").upper()
    if rat not in ("LTE", "LTE-NR", "EN-DC", "5G") or len(f) < 17:
        return None
    head: Reading = {"plmn": joined(f[2], f[3]), **_meig_strengths(f[14:17])}
    if rat == "5G":
        width = number(f[8], 5, 400)
        own: Reading = {"pci": number(f[5], 0, 1007), "band": number(f[7], 1, 512), "bandwidth_mhz": width}
        return {"access_technology": "NR", **head, **own}
    width = number(f[10], 0, 100)
    reading: Reading = {
        "access_technology": "LTE",
        **head,
        "pci": number(f[5], 0, 503),
        "band": eutra_number(f[9]),
        "bandwidth_mhz": RB_BANDWIDTH.get(width or 0) or ({7: 1.4}.get(width or 0)),
    }
    nr = known({**_meig_strengths(f[29:32]), "band": number(at(f, 32), 1, 512)}) if rat != "LTE" else None
    return {**reading, **({"nr": nr, "access_technology": "NR-NSA"} if nr else {})}


def _meig_strengths(f: list[str]) -> Reading:
    return {
        "rsrp_dbm": rsrp(at(f, 0)),
        "rsrq_db": rsrq(at(f, 1)),
        "sinr_db": TENTHS_SINR.read(at(f, 2)),
    }


def read_thermal(lines: Sequence[str], command: Command) -> Reading | None:
    """MeiG +TEMP: "<sensor>","<degrees>", a line a sensor; UNISOC's in thousandths."""
    figures = [number(f[-1], -60_000, 150_000) for f in map(values, lines) if len(f) >= 2]
    degrees = [value / 1000 if abs(value) > 200 else value for value in figures if value is not None]
    return {"temperature_c": plain(round(max(degrees), 1))} if degrees else None


_NAMED = re.compile(r"\b(CURR_MODE|MCC|MNC|BAND|RSRP|RSRQ)\s*:\s*(EN-DC|[A-Z0-9-]*?LTE|5G|-?[0-9]+)", re.IGNORECASE)


def read_extended(lines: Sequence[str], command: Command) -> Reading | None:
    """+SGCELLINFOEX: the columns of ^CELLINFO with channel and RSSI between them, or `CURR_MODE:LTE`, `MCC:206` and so
    on, each on a line."""
    found = {key.upper(): value for key, value in _NAMED.findall("\n".join(lines))}
    if "CURR_MODE" in found:
        return _named(found)
    f = values(lines[-1]) if lines else []
    reading = read_cellinfo(lines, command)
    if reading is None:
        return None
    if reading["access_technology"] == "NR":
        return {**reading, "earfcn": nr_channel(f[11]), "bandwidth_mhz": None, "sinr_db": None}
    channel, power = eutra_channel(f[11]), plain(real(f[13], -130, -1))
    own: Reading = {**reading, "access_technology": "LTE", "earfcn": channel, "rssi_dbm": power, "sinr_db": None}
    own.pop("nr", None)
    nr = next(filter(None, (_leg(f[first:]) for first in (28, 29))), None)
    return {**own, "nr": nr, "access_technology": "NR-NSA"} if nr else own


def _leg(f: list[str]) -> Reading | None:
    """<rsrp>,<rsrq>,<sinr>,<band>,<channel>,<fifths of a MHz>,<pci>: known by a channel that lies in the band."""
    band, channel = number(at(f, 3), 1, 512), nr_channel(at(f, 4))
    if band is None or band != nr_band(channel):
        return None
    strengths = {**_meig_strengths(f), "sinr_db": None}
    return {"band": band, "earfcn": channel, "pci": number(at(f, 6), 0, 1007), **strengths}


def _named(found: dict[str, str]) -> Reading:
    mode = found["CURR_MODE"].upper()
    technology = {"5G": "NR", "EN-DC": "NR-NSA"}.get(mode) or ("LTE" if mode.endswith("LTE") else None)
    band = number(found.get("BAND"), 1, 512) if technology == "NR" else eutra_number(found.get("BAND"))
    strengths = _meig_strengths([found.get("RSRP", ""), found.get("RSRQ", "")])
    place: Reading = {"plmn": joined(found.get("MCC"), found.get("MNC")), "band": band}
    return {"access_technology": technology, **place, **strengths}


ROWS = (
    Row(
        "^CELLINFO",
        (SET, READ, EXECUTE),
        read_cellinfo,
        "MeiG",
        "access_technology plmn pci band bandwidth_mhz rsrp_dbm rsrq_db sinr_db nr",
    ),
    Row("+TEMP", (EXECUTE, READ), read_thermal, "MeiG", "temperature_c"),
    Row(
        "+SGCELLINFOEX",
        (READ, EXECUTE),
        read_extended,
        "MeiG",
        "access_technology plmn pci earfcn band bandwidth_mhz rsrp_dbm rsrq_db rssi_dbm nr",
        bare=ANY_LINE,
    ),
)
