"""Registration: +CREG, +CGREG, +CEREG, +C5GREG (27.007 clauses 7.2, 10.1.20, 10.1.22, 10.1.47) and +CGATT, +CSCON.

Answer and unsolicited line share a prefix: the answer leads with <n>, the unsolicited line with <stat>. They are told
apart by the shape of their fields: vendors leave out quotes, pad numbers and put the routing area in odd places.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.at.engine.grammar import (
    Reading,
    area,
    at,
    cell,
    hexadecimal,
    number,
    payload,
    prefix_of,
    quoted,
    split,
    text,
    unquote,
    values,
)
from agent.at.engine.row import EXECUTE, READ, SET, Command, Row, more_fields_than

STATES = {
    0: "idle",
    1: "home",
    2: "searching",
    3: "denied",
    4: "unknown",
    5: "roaming",
    6: "home-sms-only",
    7: "roaming-sms-only",
    8: "emergency-only",
    9: "home-csfb-not-preferred",
    10: "roaming-csfb-not-preferred",
    11: "attached-rlos",
    90: "sim-failure",  # Nordic
    91: "searching",  # Nordic, in coverage enhancement
}
REGISTERED = frozenset({1, 5, 9, 10})  # 6 and 7 carry SMS only, 8 emergency calls only, 11 is no service for data
ROAMING = frozenset({5, 7, 10})

# 27.007 <AcT>; the names are those of TR-181 CurrentAccessTechnology where it has one.
ACCESS: dict[int, str] = {
    0: "GPRS",
    1: "GPRS",
    2: "UMTS",
    3: "EDGE",
    4: "UMTSHSPA",
    5: "UMTSHSPA",
    6: "UMTSHSPA",
    7: "LTE",
    # 8 is EC-GSM-IoT by 27.007, Cat-M1 on Quectel BG9x and Telit ME910, CDMA on SIMCom SIM7600: see MAKERS_ACCESS
    9: "NB-IoT",
    10: "LTE",
    11: "NR",
    12: "NR",
    13: "NR-NSA",
}
# What AcT 8 is by the maker's own manual (Quectel BG95&BG77, Telit ME910C1: Cat-M1).
MAKERS_ACCESS: dict[str, dict[int, str]] = {"quectel": {8: "LTE"}, "telit": {8: "LTE"}}
DOMAINS = {"+CREG": "cs", "+CGREG": "ps", "+CEREG": "eps", "+C5GREG": "5gs"}
DOMAIN_ORDER = ("+C5GREG", "+CEREG", "+CGREG", "+CREG")
# Reject causes that no reset cures (24.008 annex G, 24.301 annex A): administrative, permanent for this SIM or place.
PERMANENT_CAUSES = frozenset({2, 3, 5, 6, 7, 8, 11, 12, 13, 14, 25, 27, 29, 33, 35, 42})


def answers(line: str) -> bool:
    """Whether the line has the form of an answer (leads with <n>) rather than of an unsolicited one."""
    fields = values(line)
    if len(fields) < 2 or number(fields[0], 0, 9) is None or quoted(fields[0]):
        return False
    stat = number(fields[1], 0, 91)
    if quoted(fields[1]) or stat is None or 15 < stat < 90:
        return False
    return len(fields) == 2 or _stat_not_area(fields)


def _stat_not_area(fields: list[str]) -> bool:
    """The second field is a <stat>, not a location area written without quotes."""
    if len(fields[1]) <= 1 or (len(fields) > 2 and quoted(fields[2])):
        return True
    padded = len(fields[0]) >= 2  # Iridium pads all its numbers: 002,001
    if padded:
        return True
    if len(fields[1]) > 2 or len(fields) < 4:
        return False
    return len(fields[2]) > 1 or fields[2] == ""


def standing(name: str, reading: Reading) -> tuple[int, int]:
    """How much a domain tells: registered first, then denied (it names a cause), searching, the rest; packet domains
    before voice."""
    order = {1: 0, 5: 0, 9: 0, 10: 0, 3: 2, 8: 3, 2: 4, 6: 5, 7: 5}
    stat = reading.get("stat")
    rank = order.get(stat, 6) if isinstance(stat, int) else 9
    return (rank + (1 if name == "+CREG" else 0), DOMAIN_ORDER.index(name))


def read_registration(lines: Sequence[str], command: Command) -> Reading | None:
    """The last answer: it stands nearest to OK, an unsolicited line of the same shape would stand before it."""
    for line in reversed(lines):
        reading = fields_of(line, solicited=answers(line))
        if reading is not None:
            return reading
    return None


def fields_of(line: str, *, solicited: bool) -> Reading | None:
    """One line of either form; None when it bears no <stat>."""
    prefix, fields = prefix_of(line), split(payload(line))
    n = number(at(fields, 0), 0, 9) if solicited else None
    rest = fields[1:] if solicited else fields
    stat = number(at(rest, 0), 0, 99)
    if stat is None or prefix not in DOMAINS:
        return None
    reading: Reading = {"domain": DOMAINS[prefix], "n": n, "stat": stat, "state": STATES.get(stat)}
    reading.update(_place(prefix, rest[1:]))
    return reading


def _place(prefix: str, rest: list[str]) -> Reading:
    """Area, cell, access technology and what follows them, in the order of the domain's clause."""
    place, ci, tail = at(rest, 0), at(rest, 1), rest[2:]
    rac = None
    act = number(at(tail, 0), 0, 99)
    if act is None and text(at(tail, 0)) and number(at(tail, 1), 0, 15) is not None:
        # Novatel E362 writes the routing area before the cell.
        rac, ci, tail = hexadecimal(ci), tail[0], tail[1:]
        act = number(at(tail, 0), 0, 99)
    tail = tail[1:]
    if prefix == "+CGREG" and tail:
        rac, tail = hexadecimal(tail[0]), tail[1:]
    nssai: str | None = None
    if prefix == "+C5GREG":
        nssai, tail = text(at(tail, 1)), tail[2:]
    elif len(tail) == 1 and quoted(tail[0]):
        rac, tail = hexadecimal(tail[0]), []  # a cause comes with its type; alone it is the routing area of older texts
    area_bits, cell_bits = _widths(prefix, act)
    lac = area(place, area_bits)
    tracking = prefix in ("+CEREG", "+C5GREG") or (act is not None and 7 <= act <= 13)
    cause = [] if _bits(at(tail, 0) or "") else ["" if _bits(raw) else raw for raw in tail[:2]]
    return {
        "lac": lac if prefix in ("+CREG", "+CGREG") else None,
        "tac": lac if tracking else None,
        "ci": cell(ci, cell_bits),
        "act": act,
        "access_technology": ACCESS.get(act) if act is not None else None,
        "rac": rac if rac is not None and rac < 0xFF else None,
        "cause_type": number(at(cause, 0)),
        "reject_cause": number(at(cause, 1)),
        **({"allowed_nssai": nssai} if prefix == "+C5GREG" else {}),
        **_rest(prefix, tail),
    }


def _widths(prefix: str, act: int | None) -> tuple[int, int]:
    """Bits of the area and of the cell: 24 and 36 in 5G, 16 and 28 before it, a cell of GSM 16."""
    if prefix == "+C5GREG" or act in (11, 12):
        return 24, 36
    return (24 if act == 10 else 16), (16 if act in (0, 1, 3) else 28)


def _timer_places(tail: list[str]) -> tuple[int, int]:
    """Where Active-Time and the periodic timer stand: behind a cause and its type, known by their eight bits."""
    first = next((i for i, raw in enumerate(tail) if _bits(raw)), len(tail))
    if first + 1 < len(tail) and _bits(tail[first + 1]):
        return first, first + 1
    return 2, 3


def _rest(prefix: str, tail: list[str]) -> Reading:
    """Closed-subscriber-group fields of older texts; power-saving timers of +CEREG and +CGREG (24.008 10.5.7.3,
    10.5.7.4a)."""
    if prefix == "+C5GREG":
        return {"cag_stat": number(at(tail, 2)), "cag_info": text(at(tail, 3))}
    if any(map(_bits, tail)) or (prefix == "+CEREG" and not text(at(tail, 2))):
        active, periodic = _timer_places(tail)
        return {
            "active_time_s": _timer(at(tail, active), _T3324),
            "periodic_tau_s": _timer(at(tail, periodic), _T3412),
        }
    return {"csg_stat": number(at(tail, 2)), "csg_info": text(at(tail, 3))}


_T3324 = {0: 2, 1: 60, 2: 360, 7: None}
_T3412 = {0: 600, 1: 3600, 2: 36000, 3: 2, 4: 30, 5: 60, 6: 1_152_000, 7: None}


def _bits(raw: str) -> bool:
    value = unquote(raw)
    return len(value) == 8 and set(value) <= {"0", "1"}


def _timer(raw: str | None, units: dict[int, int | None]) -> int | None:
    """Three bits of unit, five of value; unit 7 is `deactivated`."""
    if raw is None or not _bits(raw):
        return None
    bits = int(unquote(raw), 2)
    unit = units.get(bits >> 5, 60)
    return None if unit is None else unit * (bits & 31)


def read_attach(lines: Sequence[str], command: Command) -> Reading | None:
    attached = number(at(values(lines[-1]), 0), 0, 1) if lines else None
    return None if attached is None else {"attached": bool(attached)}


def read_connection(lines: Sequence[str], command: Command) -> Reading | None:
    """+CSCON: <n>,<mode>[,<state>[,<access>]] (27.007 clause 10.1.30)."""
    fields = values(lines[-1]) if lines else []
    mode = number(at(fields, 1), 0, 1)
    return None if mode is None else {"connected": bool(mode), "state": number(at(fields, 2))}


def read_power_saving(lines: Sequence[str], command: Command) -> Reading | None:
    """+CPSMS: <mode>,,,"<periodic TAU>","<active time>"."""
    f = values(lines[-1]) if lines else []
    mode = number(at(f, 0), 0, 2)
    if mode is None:
        return None
    return {
        "enabled": mode == 1,
        "periodic_tau_s": _timer(at(f, 3), _T3412),
        "active_time_s": _timer(at(f, 4), _T3324),
    }


# Cycle of extended DRX and step of its paging window in seconds, by the type of access (24.008 10.5.5.32).
_CYCLES = (5.12, 10.24, 20.48, 40.96, 61.44, 81.92, 102.4, 122.88, 143.36, 163.84)
_CYCLES_LONG = (327.68, 655.36, 1310.72, 2621.44, 5242.88, 10485.76)
_WINDOWS = {4: 1.28, 5: 2.56}


def read_edrx(lines: Sequence[str], command: Command) -> Reading | None:
    """+CEDRXS: <access>,"<asked for>"; +CEDRXRDP: <access>,"<asked for>","<given>","<paging window>"; 0 alone: none."""
    f = values(lines[-1]) if lines else []
    access, window = number(at(f, 0), 0, 9), _nibble(at(f, 3))
    if access is None:
        return None
    asked, given, step = _nibble(at(f, 1)), _nibble(at(f, 2)), _WINDOWS.get(access)
    cycles = dict(enumerate((*_CYCLES, *_CYCLES_LONG))) if step else {}
    return {
        "access_technology": {1: "GPRS", 2: "GPRS", 3: "UMTS", 4: "LTE", 5: "NB-IoT"}.get(access),
        "requested_cycle_s": cycles.get(asked) if asked is not None else None,
        "cycle_s": cycles.get(given) if given is not None else None,
        "paging_window_s": round(step * (window + 1), 2) if step and window is not None else None,
    }


def _nibble(raw: str | None) -> int | None:
    bits = unquote(raw or "")
    return int(bits, 2) if len(bits) == 4 and set(bits) <= {"0", "1"} else None


def _row(name: str, clause: str) -> Row:
    return Row(
        name,
        (READ, EXECUTE),
        read_registration,
        clause,
        "stat state lac tac ci act access_technology rac cause_type reject_cause",
        timeout_s=10.0,
        form=answers,
        siblings=tuple(p for p in DOMAINS if p != name),
        empty_ok=False,
    )


_EDRX = "access_technology requested_cycle_s cycle_s paging_window_s"
ROWS = (
    Row("+CPSMS", (READ,), read_power_saving, "27.007 7.38", "enabled periodic_tau_s active_time_s"),
    Row("+CEDRXS", (READ,), read_edrx, "27.007 7.40", _EDRX, prefixes=("+CEDRXS", "+CEDRXP")),
    Row("+CEDRXRDP", (EXECUTE,), read_edrx, "27.007 7.41", _EDRX),
    _row("+CREG", "27.007 7.2"),
    _row("+CGREG", "27.007 10.1.20"),
    _row("+CEREG", "27.007 10.1.22"),
    _row("+C5GREG", "27.007 10.1.47"),
    *(Row(name, (SET,), None, "27.007 10.1.22", "", 10.0) for name in DOMAINS),  # what bears the prefix then is news
    Row("+CGATT", (READ,), read_attach, "27.007 10.1.9", "attached", timeout_s=10.0, empty_ok=False),
    Row("+CSCON", (READ,), read_connection, "27.007 10.1.30", "connected state", form=more_fields_than(1)),
)
