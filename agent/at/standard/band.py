"""Bands and bandwidths: from a channel number (36.101 table 5.7.3-1, 38.104 table 5.4.2.3-1) and in words."""

from __future__ import annotations

import re

from agent.at.engine.grammar import number

# Downlink EARFCN ranges of E-UTRA bands: (first, last, band).
_EUTRA = (
    (0, 599, 1), (600, 1199, 2), (1200, 1949, 3), (1950, 2399, 4), (2400, 2649, 5), (2650, 2749, 6), (2750, 3449, 7),
    (3450, 3799, 8), (3800, 4149, 9), (4150, 4749, 10), (4750, 4949, 11), (5010, 5179, 12), (5180, 5279, 13),
    (5280, 5379, 14), (5730, 5849, 17), (5850, 5999, 18), (6000, 6149, 19), (6150, 6449, 20), (6450, 6599, 21),
    (6600, 7399, 22), (7500, 7699, 23), (7700, 8039, 24), (8040, 8689, 25), (8690, 9039, 26), (9040, 9209, 27),
    (9210, 9659, 28), (9660, 9769, 29), (9770, 9869, 30), (9870, 9919, 31), (9920, 10359, 32), (36000, 36199, 33),
    (36200, 36349, 34), (36350, 36949, 35), (36950, 37549, 36), (37550, 37749, 37), (37750, 38249, 38),
    (38250, 38649, 39), (38650, 39649, 40), (39650, 41589, 41), (41590, 43589, 42), (43590, 45589, 43),
    (45590, 46589, 44), (46590, 46789, 45), (46790, 54539, 46), (54540, 55239, 47), (55240, 56739, 48),
    (56740, 58239, 49), (58240, 59089, 50), (59090, 59139, 51), (59140, 60139, 52), (60140, 60254, 53),
    (60255, 60304, 54),
    (65536, 66435, 65), (66436, 67335, 66),
    (67336, 67535, 67), (67536, 67835, 68), (67836, 68335, 69), (68336, 68585, 70),
    (68586, 68935, 71), (68936, 68985, 72), (68986, 69035, 73), (69036, 69465, 74), (69466, 70315, 75),
    (70316, 70365, 76), (70366, 70545, 85), (70546, 70595, 87), (70596, 70645, 88),
    (70646, 70655, 103), (70656, 70705, 106),
)  # fmt: skip
EUTRA_BANDS = frozenset(band for _, _, band in _EUTRA)
# NR-ARFCN ranges of the bands met in Europe and the Americas; overlapping ones are left out unless one is usual
# (524000 to 537999 may be n7 or n41).
_NR = (
    (422000, 434000, 1), (386000, 398000, 2), (361000, 376000, 3), (173800, 178800, 5),
    (185000, 192000, 8), (158200, 164200, 20), (151600, 160600, 28), (460000, 480000, 40),
    (499200, 523999, 41), (422000, 440000, 66), (123400, 130400, 71), (620000, 653333, 78), (653334, 680000, 77),
    (693334, 733333, 79),
)  # fmt: skip
LTE_BANDWIDTH = {0: 1.4, 1: 3, 2: 5, 3: 10, 4: 15, 5: 20}
NR_BANDWIDTH = dict(enumerate((5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 100, 200, 400)))
RB_BANDWIDTH = {6: 1.4, 15: 3, 25: 5, 50: 10, 75: 15, 100: 20}
_WORDS = re.compile(
    r"(?:LTE|EUTRAN?|E-?UTRA|NR5G|NR|WCDMA|UTRAN?)?[ _-]*(?:BAND|[BbNn])[ _-]*([0-9]{1,3})", re.IGNORECASE
)


def eutra_band(earfcn: int | None) -> int | None:
    """The E-UTRA band of a downlink channel number."""
    return next((band for low, high, band in _EUTRA if earfcn is not None and low <= earfcn <= high), None)


def eutra_channel(raw: str | None) -> int | None:
    """A downlink EARFCN; 65535 and whatever lies between the bands is the number of no channel."""
    value = number(raw, 0, 262_143)
    return value if value is not None and (value > _EUTRA[-1][1] or eutra_band(value) is not None) else None


def eutra_number(raw: str | None) -> int | None:
    """A band of E-UTRA by its number (36.101 table 5.5-1); a vendor's own class of bands is none of them."""
    band = number(raw, 1, 255)
    return band if band in EUTRA_BANDS or band in (252, 255) else None


def eutra_place(channel: str | None, named: str | None) -> tuple[int | None, int | None]:
    """Channel and band of a cell: the band as it is named, else that of the channel. Channel 0 beside a band that is
    none stands where there is no cell."""
    found, band = eutra_channel(channel), eutra_number(str(band_number(named)))
    return (None, None) if found == 0 and band is None else (found, band or eutra_band(found))


def nr_channel(raw: str | None) -> int | None:
    """An NR-ARFCN (38.104 table 5.4.2.1-1); 0 stands where there is none."""
    return number(raw, 1, 3_279_165)


def nr_band(arfcn: int | None) -> int | None:
    """The NR band of a channel number; modules report 0 where they do not know."""
    return next((band for low, high, band in _NR if arfcn is not None and low <= arfcn <= high), None)


def band_number(words: str | None) -> int | None:
    """`LTE BAND 3`, `EUTRAN-BAND3`, `B3`, `n78`, `3` as a number."""
    if not words:
        return None
    value = words.strip().strip('"').strip()
    match = _WORDS.fullmatch(value)
    found = number(match[1] if match else value, 1, 512)
    return found
