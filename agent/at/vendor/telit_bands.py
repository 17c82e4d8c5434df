"""Telit: the bands that may be used, #BND, and the carriers in use, #CAINFO and #CAINFOEXT (LE910, LM960, FN980).

Sources: ModemManager, mm-modem-helpers-telit.c (#BND); ROOter, telitinfo.sh (#CAINFO); QModem, parsers/telit
(#CAINFOEXT).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.at.engine.grammar import Reading, at, hexadecimal, number, plain, real, unquote, values
from agent.at.engine.row import ANY_LINE, EXECUTE, READ, Command, Row
from agent.at.standard.band import EUTRA_BANDS, LTE_BANDWIDTH, eutra_band, eutra_channel, nr_channel
from agent.at.standard.figures import rsrp, rsrq, rssi, width
from agent.at.standard.scale import CAINFO_SINR

_GSM_BANDS = {0: ("egsm", "dcs"), 1: ("egsm", "pcs"), 2: ("dcs", "g850"), 3: ("pcs", "g850")}
# From 12 on LM940 and LM960 mean other bands than the rest, 13 excepted.
_UTRAN_BANDS: dict[int, tuple[int, ...]] = {
    **{0: (1,), 1: (2,), 2: (5,), 3: (1, 2, 5), 4: (2, 5), 5: (8,), 6: (1, 8), 7: (4,), 8: (1, 5), 9: (1, 5, 8)},
    **{10: (2, 4, 5), 11: (1, 2, 4, 5, 8), 13: (3,)},
}


def read_bands(lines: Sequence[str], command: Command) -> Reading | None:
    """#BND: <GSM>,<UMTS>[,<LTE mask>[,<mask of LTE from band 65 on>]]. `bands` is null unless every part is known."""
    f = values(lines[-1]) if lines else []
    gsm, umts = number(at(f, 0), 0, 99), number(at(f, 1), 0, 99)
    if gsm is None:
        return None
    second = _GSM_BANDS.get(gsm)
    third = _UTRAN_BANDS.get(umts) if umts is not None else ()
    fourth, mask = _lte(f[2:])
    whole = None
    if second is not None and third is not None and fourth is not None:
        whole = [*second, *(f"utran-{band}" for band in third), *(f"eutran-{band}" for band in fourth)]
    return {"bands": whole, "gsm_selection": gsm, "umts_selection": umts, "lte_band_mask": mask}


def _lte(f: list[str]) -> tuple[list[int] | None, int | None]:
    """Bands and mask. Masks are decimal on LE910 and hexadecimal on LM960 and wherever a second one follows; where both
    would do, only a mask of bands that exist is one, and none is believed when two are."""
    if not f:
        return [], None
    raw = unquote(f[0])
    both = (
        [hexadecimal(raw)] if len(f) > 1 or re.search(r"[A-Fa-f]|^0[0-9]", raw) else [number(raw, 0), hexadecimal(raw)]
    )
    found = {mask: bands for mask in both if mask is not None and (bands := _bits(mask, 1)) is not None}
    further = _bits(hexadecimal(f[1]) or 0, 65) if len(f) > 1 else []
    if len(found) != 1 or further is None:
        return None, None
    mask, bands = next(iter(found.items()))
    return [*bands, *further], mask


def _bits(mask: int, first: int) -> list[int] | None:
    """The bands of a mask, None when one of them does not exist."""
    bands = [first + bit for bit in range(mask.bit_length()) if mask >> bit & 1]
    return bands if EUTRA_BANDS.issuperset(bands) else None


def read_carriers(lines: Sequence[str], command: Command) -> Reading | None:
    """#CAINFO: <band class>,<channel>,<bandwidth>,<pci>,<rsrp>,<rsrq>,<rssi>,<sinr>,…, and the same a secondary; RSSI
    before RSRQ on other firmware. How much stands between them differs: a carrier is known by its class (120 to 170),
    its channel and its figures."""
    f = [field for line in lines for field in values(line)]
    starts = [i for i in range(len(f) - 7) if _begins(f[i : i + 8])]
    carriers = [_carrier(f[i : i + 8], "SCC" if i != starts[0] else "PCC") for i in starts]
    return _reading(carriers)


def _begins(f: list[str]) -> bool:
    return (
        number(f[0], 120, 170) is not None
        and eutra_channel(f[1]) is not None
        and number(f[2], 0, 5) is not None
        and number(f[3], 0, 503) is not None
        and real(f[4], -156, -31) is not None
    )


def _carrier(f: list[str], role: str) -> Reading:
    channel = eutra_channel(f[1])
    ratio, power = _ratio_and_power(f[5], f[6])
    return {
        "role": role,
        "band": eutra_band(channel),
        "earfcn": channel,
        "bandwidth_mhz": LTE_BANDWIDTH.get(number(f[2]) or 0),
        "pci": number(f[3], 0, 503),
        "rsrp_dbm": rsrp(f[4]),
        "rsrq_db": plain(ratio),
        "rssi_dbm": plain(power),
        "sinr_db": CAINFO_SINR.read(f[7]),
    }


def _ratio_and_power(*raw: str) -> tuple[float | None, float | None]:
    """RSRQ and RSSI in either order: RSRQ lies above -20 dB (36.133 table 9.1.7-1), RSSI below -25 dBm."""
    figures = [real(one) for one in raw]
    ratios = [one for one in figures if one is not None and -20 <= one <= 0]
    powers = [one for one in figures if one is not None and -130 <= one <= -25]
    return ratios[0] if len(ratios) == 1 else None, powers[0] if len(powers) == 1 else None


_FIRST = ("band", "earfcn", "bandwidth_mhz", "pci", "rsrp_dbm", "rsrq_db", "rssi_dbm", "sinr_db")


def _reading(carriers: list[Reading]) -> Reading | None:
    return {**{key: carriers[0][key] for key in _FIRST}, "carriers": carriers} if carriers else None


# Qualcomm's classes of NR bands, as QModem's parsers/telit names them.
_NR_CLASSES = {250: 1, 252: 3, 253: 5, 255: 8, 257: 28, 259: 41, 262: 66, 268: 77, 269: 78, 270: 79}
_PART = re.compile(r"\b(PCC|SCC[0-9]*)\s*-(.*)", re.IGNORECASE)
_PAIR = re.compile(r"([A-Za-z_]+)\s*:\s*([^,]+)")


def read_extended(lines: Sequence[str], command: Command) -> Reading | None:
    """#CAINFOEXT: <carriers>,<technology>, then PCC-BandClass: 122, BW: 20 MHz, CH: 1300, PCI: 16, RSRP: -95, …"""
    carriers: list[Reading] = []
    for match in filter(None, map(_PART.search, lines)):
        found = {key.upper(): value.strip() for key, value in _PAIR.findall(match[2])}
        raw = found.get("CH") or found.get("RX_CH")
        nr_band = _NR_CLASSES.get(number(found.get("BANDCLASS")) or 0)
        nr = (number(found.get("BANDCLASS")) or 0) >= 250
        channel = nr_channel(raw) if nr else eutra_channel(raw)
        spelled = re.match(r"[0-9.]+", found.get("BW", ""))
        code = number(found.get("DL_BW"), 0, 5)
        carriers.append(
            {
                "role": match[1].upper()[:3],
                "radio": "NR" if nr else "LTE",
                "band": nr_band if nr else eutra_band(channel),
                "earfcn": channel,
                "bandwidth_mhz": width(spelled[0]) if spelled else LTE_BANDWIDTH.get(-1 if code is None else code),
                "pci": number(found.get("PCI"), 0, 1007 if nr else 503),
                "rsrp_dbm": rsrp(found.get("RSRP")),
                "rsrq_db": rsrq(found.get("RSRQ")),
                "rssi_dbm": rssi(found.get("RSSI")),
                "sinr_db": None if nr else CAINFO_SINR.read(found.get("SINR")),
            }
        )
    return _reading(carriers)


_CARRIERS = "band earfcn bandwidth_mhz pci rsrp_dbm rsrq_db rssi_dbm sinr_db carriers"
ROWS = (
    Row("#BND", (READ,), read_bands, "Telit", "bands lte_band_mask"),
    Row("#CAINFO", (READ, EXECUTE), read_carriers, "Telit", _CARRIERS, body=True),
    Row("#CAINFOEXT", (READ, EXECUTE), read_extended, "Telit", _CARRIERS, bare=ANY_LINE),
)
