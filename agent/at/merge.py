"""One reading from several commands' readings: the more telling answer wins, field by field.

Called for several commands on one line (see `table`) and by the Modem for one poll. What only two answers together can
tell is worked out here too: which scale Quectel's SINR has, and which carriers an Intel module uses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.at.engine.grammar import Reading
from agent.at.standard.registration import DOMAINS, standing
from agent.at.vendor.intel import intel_carriers
from agent.at.vendor.quectel_qeng import settle_sinr

# From the serving cell's own report down to the coarse index of +CSQ.
SIGNAL_SOURCES = (
    "+QENG", "+CPSI", "^MONSSC", "^HCSQ", "#RFSTS", "^RFSTS", "!GSTATUS", "+RSRP", "+RSRQ", "+XCESQ", "+XMCI",
    "+GTCCINFO", "^DEBUG", "^CELLINFO", "^SMONI", "+NETDMSGEX", "+MUESTATS", "+QCSQ", "+UCGED", "+EEMGINFO", "+CCED",
    "+ZRSSI", "+ZCELLINFO", "+SGCELLINFOEX", "+CCINFO", "$QCRSRP", "$QCRSRQ", "+CESQ", "+CSQ",
)  # fmt: skip
CARRIER_SOURCES = (
    "+QCAINFO", "+GTCAINFO", "+XLEC", "#CAINFO", "#CAINFOEXT", "!GSTATUS", "^HFREQINFO", "^CASCELLINFO", "+ZCAINFO",
    "^CA_INFO", "^DEBUG",
)  # fmt: skip
CELL_SOURCES = (*SIGNAL_SOURCES, "+QNWINFO", *CARRIER_SOURCES, "^MONSC", "^LTERSRP")
# Names that several commands use for things of their own: registration keeps the plain name, then whoever was asked
# first; another's value bears its subject in front.
_SHARED = ("state", "mode", "status")
_SUBJECTS = {"+CPIN": "sim", "^CPIN": "sim", "+QENG": "cell", "+CPSI": "cell", "^SMONI": "cell", "+CSCON": "connection"}
_SAME_RAW = 1  # +QCSQ and +QENG are measured at two moments of one poll


def settled(answers: Mapping[str, Reading]) -> dict[str, Reading]:
    """The answers of one poll, with what they tell of each other. `answers` maps a command's name to its reading."""
    result = dict(answers)
    cell, strength = result.get("+QENG"), result.get("+QCSQ")
    if cell is not None and strength is not None:
        if _same_figure(cell, strength):
            strength = {**strength, "sinr_db": None, "sinr_scale": "unknown"}
        result |= {"+QENG": settle_sinr(cell, strength), "+QCSQ": strength}
    carriers = intel_carriers(result)
    if carriers:
        result["+XLEC"] = {**result["+XLEC"], "carriers": carriers}
    channel = next((found for name in SIGNAL_SOURCES if (found := result.get(name, {}).get("earfcn"))), None)
    for name in CARRIER_SOURCES:
        if channel is not None and result.get(name, {}).get("earfcn") not in (None, channel):
            result[name] = _of_channel(result[name], channel)
    return result


_PLACE = ("band", "earfcn", "pci", "bandwidth_mhz")


def _of_channel(reading: Reading, channel: object) -> Reading:
    """The serving cell's own carrier in front of another one: EN-DC lists NR first, a poll may straddle a handover."""
    carriers = reading.get("carriers")
    listed = carriers if isinstance(carriers, list) else []
    own: Reading = next((carrier for carrier in listed if carrier.get("earfcn") == channel), {})
    return {**reading, **{key: own.get(key) for key in _PLACE if key in reading}}


def _same_figure(cell: Reading, strength: Reading) -> bool:
    """Both commands print one number for LTE's SINR: 5G modules do, and then nothing tells whether it is decibels."""
    first, second = cell.get("sinr_raw"), strength.get("sinr_raw")
    if strength.get("sinr_scale") != "raw/5-20" or cell.get("sinr_scale") != "unknown":
        return False
    return isinstance(first, int) and isinstance(second, int) and abs(first - second) <= _SAME_RAW


def merged(parts: Sequence[tuple[str, Reading]]) -> Reading | None:
    """One reading from those of several commands, in the order in which they were asked."""
    answers = settled(_by_name(parts))
    order = sorted(answers, key=_rank)
    domains = sorted((name for name in order if name in DOMAINS), key=lambda name: standing(name, answers[name]))
    order = [name for name in order if name not in domains[1:]]  # areas of two domains never mix
    result: Reading = {}
    for name in order:
        for key, value in answers[name].items():
            if key not in _SHARED and result.get(key) is None:
                result[key] = value
    for name in sorted(order, key=lambda name: name not in DOMAINS):
        for key in _SHARED:
            value = answers[name].get(key)
            if value is not None and result.get(key) not in (None, value):
                key = f"{_SUBJECTS.get(name, name[1:].lower())}_{key}"
            if key in result or value is not None or key in answers[name]:
                result[key] = result.get(key) if value is None else value
    return result or None


def _by_name(parts: Sequence[tuple[str, Reading]]) -> dict[str, Reading]:
    """A command that was asked twice, as +COPS? in two formats: what the second adds to the first."""
    answers: dict[str, Reading] = {}
    for name, reading in parts:
        first = {key: value for key, value in answers.get(name, {}).items() if value is not None}
        answers[name] = {**reading, **first}
    return answers


def _rank(name: str) -> int:
    return CELL_SOURCES.index(name) if name in CELL_SOURCES else len(CELL_SOURCES)
