"""The radio technologies that a modem may use, the one it prefers, and the one in use, as each vendor numbers them.

Every maker chose numbers of his own (their manuals; 27.007 clause 5.9 for +WS46): a table a command, and one reader.
`modes` null with a `selection`: automatic, or a number whose meaning is not known.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from agent.at.engine.grammar import Reading, at, groups, hexadecimal, number, payload, unquote, values
from agent.at.engine.row import EXECUTE, READ, SET, TEST, Command, Row
from agent.at.vendor.intel import band_of

# number -> what is allowed, what is preferred
_Selection = dict[int, tuple[str, str | None]]
_SXRAT: _Selection = {
    **{0: ("2g", None), 1: ("2g 3g", None), 2: ("3g", None), 3: ("4g", None)},
    **{4: ("3g 4g", None), 5: ("2g 4g", None), 6: ("2g 3g 4g", None)},
}
_OPTION: _Selection = {
    **{0: ("2g", None), 1: ("3g", None), 2: ("2g 3g", "2g"), 3: ("2g 3g", "3g"), 5: ("2g 3g", None)},
}
_SELECTIONS: dict[str, tuple[str, _Selection]] = {
    "+WS46": (
        "27.007 5.9",
        {
            **{12: ("2g", None), 22: ("3g", None), 25: ("2g 3g 4g", None), 28: ("4g", None), 29: ("2g 3g", None)},
            **{30: ("2g 4g", None), 31: ("3g 4g", None), 36: ("5g", None), 37: ("4g 5g", None)},
            **{38: ("3g 4g 5g", None)},
        },
    ),
    "^PREFMODE": ("Huawei", {2: ("2g", None), 4: ("3g", None), 8: ("2g 3g", None)}),
    "!SELRAT": (
        "Sierra",
        {
            **{1: ("3g", None), 2: ("2g", None), 3: ("2g 3g", "3g"), 4: ("2g 3g", "2g"), 5: ("2g 3g", None)},
            **{6: ("4g", None), 7: ("2g 3g 4g", None)},
        },
    ),
    "_OPSYS": ("Option", _OPTION),
    "%IPSYS": ("Icera", _OPTION),
    "$NWRAT": ("Novatel", {1: ("2g", None), 2: ("3g", None)}),
    "+MODODREX": ("Longcheer", {1: ("3g", None), 2: ("2g 3g", "3g"), 3: ("2g", None), 4: ("2g 3g", "2g")}),
    "+CNMP": (
        "SIMCom",
        {
            **{13: ("2g", None), 14: ("3g", None), 38: ("4g", None), 19: ("2g 3g", None), 51: ("2g 4g", None)},
            **{54: ("3g 4g", None), 39: ("2g 3g 4g", None), 71: ("5g", None), 109: ("4g 5g", None)},
        },
    ),
    "^SXRAT": ("Cinterion", _SXRAT),
}


def read_selection(lines: Sequence[str], command: Command, *, meaning: _Selection) -> Reading | None:
    """<number>[,…], a quoted number, or `06, LTE Only`."""
    selection = number(unquote(at(values(lines[-1]), 0) or "")) if lines else None
    if selection is None:
        return None
    modes, preferred = meaning.get(selection, (None, None))
    return {"selection": selection, "modes": modes.split() if modes else None, "preferred": preferred}


def read_syscfg(lines: Sequence[str], command: Command) -> Reading | None:
    """Huawei ^SYSCFG: <mode>,<order>,<band mask>,<roaming>,<domain>: 2 automatic, 13 GSM and 14 WCDMA alone."""
    f = values(lines[-1]) if lines else []
    mode, order = number(at(f, 0), 0, 99), number(at(f, 1), 0, 9)
    if mode is None or len(f) < 5:
        return None
    return {
        "modes": {2: ["2g", "3g"], 13: ["2g"], 14: ["3g"]}.get(mode),
        "preferred": {1: "2g", 2: "3g"}.get(order) if mode == 2 and order is not None else None,
        "band_mask": hexadecimal(f[2]),
        "roaming": number(f[3], 0, 9),
        "srv_domain": number(f[4], 0, 9),
    }


def read_orders(lines: Sequence[str], command: Command) -> Reading | None:
    """Huawei ^SYSCFGEX=?: ("00","01",…),((<mask>,<names>),…),…: the orders of technologies that may be asked for."""
    body = payload(lines[-1]) if lines else ""
    orders = re.findall(r'"?([0-9]{2,})"?', next(iter(groups(body)), ""))
    return {"acquisition_orders": orders} if orders else None


def read_zsnt(lines: Sequence[str], command: Command) -> Reading | None:
    """ZTE +ZSNT: <selection>,<how the network is chosen>,<preference>."""
    f = values(lines[-1]) if lines else []
    selection, order = number(at(f, 0), 0, 99), number(at(f, 2), 0, 9)
    if selection is None or order is None:
        return None
    alone = {1: ["2g"], 2: ["3g"], 6: ["4g"]}.get(selection)
    return {"selection": selection, "modes": alone, "preferred": None if alone else {1: "2g", 2: "3g"}.get(order)}


def read_uact(lines: Sequence[str], command: Command) -> Reading | None:
    """u-blox +UACT: ,,,<band>,<band>…; in the test form in brackets."""
    body = payload(lines[-1]) if lines else ""
    raw = groups(body) if "(" in body else [body]
    figures = [number(part.strip(), 1, 1999) for group in raw for part in group.split(",")]
    bands = [band for figure in figures if figure is not None and (band := band_of(figure))]
    return {"bands": bands} if bands else None


def read_bands(lines: Sequence[str], command: Command) -> Reading | None:
    """Altair %BANDCAP: 4,13, and `Bands: 4 13`: all of LTE."""
    bands = [f"eutran-{found}" for found in re.findall(r"[0-9]{1,2}", payload(lines[-1]))] if lines else []
    return {"bands": bands} if bands else None


_BARE_SELECTION = re.compile(r'"?[0-9]{2}"?', re.ASCII)

# -- the technology in use -----------------------------------------------------------------------------------------

_PSINFO = {
    **{1: "GPRS", 2: "GPRS", 3: "EDGE", 4: "EDGE", 5: "UMTS", 6: "UMTS"},
    **dict.fromkeys((7, 8, 9, 10), "UMTSHSPA"),
    **{16: "LTE", 17: "LTE"},
}
_IN_USE: dict[str, tuple[str, dict[int, str]]] = {
    "_OCTI": ("Option", {1: "GPRS", 2: "GPRS", 3: "EDGE"}),
    "_OWCTI": ("Option", {1: "UMTS", 2: "UMTSHSPA", 3: "UMTSHSPA", 4: "UMTSHSPA"}),
}


def read_in_use(lines: Sequence[str], command: Command, *, meaning: dict[int, str]) -> Reading | None:
    """[<n>,]<technology>; 0 is none."""
    value = number(values(lines[-1])[-1], 0, 99) if lines else None
    return None if value is None else {"access_technology": meaning.get(value)}


def read_erinfo(lines: Sequence[str], command: Command) -> Reading | None:
    """Ericsson *ERINFO: <n>,<in GSM>,<in UMTS>."""
    f = values(lines[-1]) if lines else []
    gsm, umts = number(at(f, 1), 0, 9), number(at(f, 2), 0, 9)
    if gsm is None or umts is None:
        return None
    return {"access_technology": {1: "UMTS", 2: "UMTSHSPA"}.get(umts) or {1: "GPRS", 2: "EDGE"}.get(gsm)}


def read_sind(lines: Sequence[str], command: Command) -> Reading | None:
    """Cinterion ^SIND: <name>,<mode>,<value>, a line an indicator; `psinfo` tells the technology."""
    found = {unquote(f[0]): number(f[2]) for f in map(values, lines) if len(f) >= 3}
    if not found:
        return None
    state = found.get("psinfo")
    return {"indicators": found, "access_technology": _PSINFO.get(state) if state is not None else None}


ROWS = (
    *(
        Row(
            name,
            (READ,),
            partial(read_selection, meaning=meaning),
            clause,
            "selection modes preferred",
            bare=_BARE_SELECTION if name == "+WS46" else None,  # 5.9 gives no prefix, most modules do
        )
        for name, (clause, meaning) in _SELECTIONS.items()
    ),
    *(
        Row(name, (READ, EXECUTE), partial(read_in_use, meaning=meaning), vendor, "access_technology")
        for name, (vendor, meaning) in _IN_USE.items()
    ),
    Row("^SYSCFG", (READ,), read_syscfg, "Huawei", "modes preferred band_mask roaming srv_domain"),
    Row("^SYSCFGEX", (TEST,), read_orders, "Huawei", "acquisition_orders"),
    Row("+ZSNT", (READ,), read_zsnt, "ZTE", "selection modes preferred"),
    Row("+UACT", (READ, TEST), read_uact, "u-blox", "bands"),
    Row("%BANDCAP", (READ,), read_bands, "Altair", "bands"),
    Row("*ERINFO", (READ,), read_erinfo, "Ericsson MBM", "access_technology"),
    Row("^SIND", (READ, SET), read_sind, "Cinterion", "indicators access_technology"),
)
