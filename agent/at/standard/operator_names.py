"""The operator: +COPS (27.007 clause 7.3), +QSPN, +CSPN, +CIND and the network codes (PLMN) kept as text.

A PLMN is MCC and MNC as digits, 20601; 206-1 and 206-01 are different networks, so it is never a number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.at.engine.charset import name, ucs2
from agent.at.engine.grammar import (
    Reading,
    at,
    groups,
    known,
    number,
    number_lists,
    payload,
    prefix_of,
    split,
    text,
    unquote,
    values,
)
from agent.at.engine.row import EXECUTE, NUMBER_LISTS, READ, SET, TEST, Command, Row
from agent.at.standard.registration import ACCESS

_PLMN = re.compile(r"[0-9]{3} ?[0-9]{2,3}", re.ASCII)  # a module without a name for it writes 262 99
_LISTED_PLMN = re.compile(r"[0-9]{5,7}", re.ASCII)
STATUS = {0: "unknown", 1: "available", 2: "current", 3: "forbidden"}


def plmn(raw: str | None) -> str | None:
    """Five or six digits, perhaps with a space behind the MCC, in ASCII or as UCS2 hex; anything else is no PLMN, and
    MCC 000 is nobody's."""
    code = _code(raw, _PLMN)
    return code if code is None or not code.startswith("000") else None


def _code(raw: str | None, shape: re.Pattern[str]) -> str | None:
    value = unquote(raw) if raw else ""
    if shape.fullmatch(value):
        return value.replace(" ", "")
    wide = ucs2(value) if len(value) >= 20 else None
    return wide if wide and shape.fullmatch(wide) else None


def joined(mcc: str | None, mnc: str | None) -> str | None:
    """MCC and MNC from two fields; an MNC written as a lone digit has lost its zero."""
    left, right = unquote(mcc or ""), unquote(mnc or "")
    if not re.fullmatch(r"[0-9]{1,3}", left, re.ASCII) or not re.fullmatch(r"[0-9]{1,3}", right, re.ASCII):
        return None
    return plmn(left.zfill(3) + right.zfill(2))


def read_operator(lines: Sequence[str], command: Command) -> Reading | None:
    """+COPS: <mode>[,<format>,<oper>[,<AcT>]]; +COPS: 0 alone means no network is selected."""
    if not lines:
        return None
    body = payload(lines[-1])
    fields = split(groups(body)[0]) if body.startswith("(") and groups(body) else split(body)  # brackets: Marvell
    mode = number(at(fields, 0), 0, 9)
    if mode is None:
        return None
    raw = at(fields, 2)
    act = number(at(fields, 3), 0, 99)
    code = plmn(raw)
    return {
        "mode": mode,
        "format": number(at(fields, 1), 0, 9),
        "plmn": code,
        "operator": None if code or at(fields, 1) == "2" or _code(raw, _PLMN) else name(raw),
        "act": act,
        "access_technology": ACCESS.get(act) if act is not None else None,
    }


def read_networks(lines: Sequence[str], command: Command) -> Reading | None:
    """+COPS: (<stat>,<long>,<short>,<numeric>[,<AcT>]),…[,,(modes),(formats)]; every vendor breaks it differently."""
    body = " ".join(payload(line) for line in lines)
    networks = [network for group in groups(_mended(body)) if (network := _network(split(group))) is not None]
    if not networks:
        return dict(_NO_NETWORK) if lines and _NUMBERS_ALONE.fullmatch(body) else None
    current = next((n for n in networks if n["status"] == "current"), None)
    return {
        "networks": networks,
        "plmn": current["plmn"] if current else None,
        "operator": (current["operator"] or current["short"]) if current else None,
    }


# No network was found: nothing, or nothing but the modes and formats at the end.
_NO_NETWORK: Reading = {"networks": [], "plmn": None, "operator": None}
_NUMBERS_ALONE = re.compile(r"[\s,()0-9-]*", re.ASCII)


def _mended(body: str) -> str:
    """Sony Ericsson TM-506 closes the bracket before the access technology: `"310260"),2)`."""
    return re.sub(r'"\)\s*,\s*([0-9]{1,2})\)', r'",\1)', body.replace("\r", " ").replace("\n", " "))


def _network(fields: list[str]) -> Reading | None:
    """One network, or None for the groups of numbers at the end."""
    status = number(at(fields, 0), 0, 3)
    codes = [index for index in range(1, len(fields)) if _code(fields[index], _LISTED_PLMN)]
    if status is None or not codes:
        return None
    index = codes[0] if len(fields) <= 3 or codes[0] >= 3 else codes[-1]
    act = number(at(fields, index + 1), 0, 99)
    return {
        "status": STATUS[status],
        "operator": name(fields[1]) if index > 1 else None,
        "short": name(fields[2]) if index > 2 else None,
        "plmn": _code(fields[index], _LISTED_PLMN),
        "act": act,
        "access_technology": ACCESS.get(act) if act is not None else None,
    }


def read_qspn(lines: Sequence[str], command: Command) -> Reading | None:
    """+QSPN: <full>,<short>,<spn>,<alphabet>,<PLMN>."""
    fields = values(lines[-1]) if lines else []
    if len(fields) < 5:
        return None
    reading: Reading = {
        "operator": name(fields[0]),
        "short": name(fields[1]),
        "service_provider": name(fields[2]),
        "plmn": plmn(fields[4]),
    }
    return reading if reading["plmn"] or reading["operator"] else None


def read_eons(lines: Sequence[str], command: Command) -> Reading | None:
    """Huawei ^EONS: <type>,<plmn>,<long>,<short>; u-blox +UDOPN: <type>,<name>, where type 0 is MCC and MNC."""
    fields = values(lines[-1]) if lines else []
    if prefix_of(lines[-1] if lines else "") == "+UDOPN":
        code = plmn(unquote(at(fields, 1) or "").replace(" ", ""))
        return known({"plmn": code, "operator": None if code else name(at(fields, 1)), "short": name(at(fields, 2))})
    code = plmn(at(fields, 1))
    if code is None and not text(at(fields, 2)):
        return None
    return {"plmn": code, "operator": name(at(fields, 2)), "short": name(at(fields, 3))}


def read_spn(lines: Sequence[str], command: Command) -> Reading | None:
    """+CSPN: <name>,<display>; ^SPN likewise."""
    fields = values(lines[-1]) if lines else []
    found = next((name(f) for f in fields if f[:1] == '"'), None)
    return {"service_provider": found} if found else None


def read_polled_names(lines: Sequence[str], command: Command) -> Reading | None:
    """+COPN: <numeric>,<name>: the names that the module knows."""
    entries = [(plmn(at(f, 0)), name(at(f, 1))) for f in map(values, lines)]
    found = [{"plmn": code, "operator": label} for code, label in entries if code]
    return {"operators": found} if found else None


def read_preferred(lines: Sequence[str], command: Command) -> Reading | None:
    """+CPOL: <index>,<format>,<oper>[,<GSM>,<compact>,<UTRAN>,<E-UTRAN>]: the networks the SIM prefers."""
    found: list[Reading] = []
    for f in map(values, lines):
        index = number(at(f, 0), 0, 999)
        if index is not None and len(f) >= 3:
            code = plmn(f[2])
            found.append({"index": index, "plmn": code, "operator": None if code else name(f[2])})
    return {"networks": found} if found else None


def read_charsets(lines: Sequence[str], command: Command) -> Reading | None:
    if not lines:
        return None
    found = [unquote(part) for part in payload(lines[-1]).strip("()").split(",") if text(part)]
    if command.kind == TEST:
        return {"charsets": found} if found else None
    return {"charset": found[0]} if found else None


def read_selection_test(lines: Sequence[str], command: Command) -> Reading | None:
    """A test form that lists numbers in brackets: +WS46=?, +CFUN=?, +CTZU=?."""
    lists = [found for line in lines for found in number_lists(payload(line))]
    return {"values": lists} if lists else None


ROWS = (
    Row(
        "+COPS",
        (READ,),
        read_operator,
        "27.007 7.3",
        "mode format plmn operator act access_technology",
        10.0,
        empty_ok=False,
    ),
    Row(
        "+COPS",
        (TEST,),
        read_networks,
        "27.007 7.3",
        "networks: status operator short plmn act",
        315.0,
        nothing=_NO_NETWORK,
    ),
    Row("+COPS", (SET,), None, "27.007 7.3", "", 180.0),
    Row("+QSPN", (EXECUTE, READ), read_qspn, "Quectel", "operator short service_provider plmn", empty_ok=False),
    Row("^EONS", (SET, EXECUTE, READ), read_eons, "Huawei", "operator short plmn"),
    Row("+UDOPN", (SET,), read_eons, "u-blox", "operator short plmn"),
    Row("+CSPN", (READ,), read_spn, "vendors", "service_provider"),
    Row("^SPN", (READ, SET), read_spn, "Huawei, Cinterion", "service_provider"),
    Row("+COPN", (EXECUTE,), read_polled_names, "27.007 7.21", "operators: plmn operator", 30.0),
    Row("+CPOL", (READ,), read_preferred, "27.007 7.19", "networks: index plmn operator", 20.0),
    Row("+CSCS", (READ, TEST), read_charsets, "27.007 5.5", "charset charsets"),
    *(
        Row(name, (TEST,), read_selection_test, clause, "values", bare=NUMBER_LISTS)
        for name, clause in (
            ("+CTZU", "27.007 8.40"),
            ("+WS46", "27.007 5.9"),
            ("+CFUN", "27.007 8.2"),
            ("+URAT", "u-blox"),
            ("^PREFMODE", "Huawei"),
        )
    ),
)
