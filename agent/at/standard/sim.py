"""The SIM: +CPIN, attempts left in every vendor's words, ICCID, IMSI, files by +CRSM (27.007 8.3, 8.17, 8.18).

`SIM PIN2` and `SIM PUK2` at +CPIN? mean that the SIM is usable for data: only the second PIN is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.at.engine.charset import gsm7, name, ucs2
from agent.at.engine.grammar import Reading, at, groups, known, number, payload, prefix_of, split, text, unquote, values
from agent.at.engine.row import ANY_LINE, EXECUTE, READ, SET, TEST, Command, Row
from agent.at.standard.operator_names import plmn

LOCKS = {
    "READY": "none",
    "SIM PIN": "sim-pin",
    "SIM PUK": "sim-puk",
    "SIM PIN2": "sim-pin2",
    "SIM PUK2": "sim-puk2",
    "PH-SIM PIN": "ph-sim-pin",
    "PH-FSIM PIN": "ph-fsim-pin",
    "PH-FSIM PUK": "ph-fsim-puk",
    "PH-NET PIN": "ph-net-pin",
    "PH-NET PUK": "ph-net-puk",
    "PH-NETSUB PIN": "ph-netsub-pin",
    "PH-NETSUB PUK": "ph-netsub-puk",
    "PH-SP PIN": "ph-sp-pin",
    "PH-SP PUK": "ph-sp-puk",
    "PH-CORP PIN": "ph-corp-pin",
    "PH-CORP PUK": "ph-corp-puk",
    "NOT READY": "not-ready",
    "NOT INSERTED": "not-inserted",
    "SIM REMOVED": "not-inserted",
    "BUSY": "not-ready",
    "BLOCKED": "blocked",
    "SIM FAILURE": "failure",
}
_ALIASES = {
    "PH-FSIM": "PH-FSIM PIN",
    "PH-SIMLOCK PIN": "PH-SIM PIN",
    "PIN REQUIRED": "SIM PIN",
    "PUK REQUIRED": "SIM PUK",
    "SIM PIN REQUIRED": "SIM PIN",
    "SIM PUK REQUIRED": "SIM PUK",
    "NO SIM": "NOT INSERTED",
    "SIM NOT INSERTED": "NOT INSERTED",
    "SIM NOT READY": "NOT READY",
    "SIM BUSY": "BUSY",
    "SIM BLOCKED": "BLOCKED",
}
_BARE_STATE = re.compile(r"\s*(?:READY|SIM P[IU][NK]2?|PH-[A-Z]+ P[IU][NK]|NOT READY|NOT INSERTED)\s*")
_IMSI = re.compile(r"[0-9]{6,15}", re.ASCII)
_ICCID = re.compile(r"[0-9]{6}[0-9A-Fa-f]{12,14}", re.ASCII)
_BARE_HEX = re.compile(r'"?[0-9A-Fa-f]{4,}"?', re.ASCII)
_BARE_ICCID = re.compile(r'(?:(?:ICCID|CCID|SIM ID) ?: ?)?"?[89][0-9A-Fa-f ]{17,26}"?', re.ASCII | re.IGNORECASE)


def read_pin(lines: Sequence[str], command: Command) -> Reading | None:
    if not lines:
        return None
    state = unquote(split_first(payload(lines[-1]))).upper().replace("_", "-")
    state = _ALIASES.get(state, state)
    lock = LOCKS.get(state)
    return None if lock is None else {"state": state, "lock": lock, "usable": lock in ("none", "sim-pin2", "sim-puk2")}


def split_first(body: str) -> str:
    return body.partition(",")[0]


# -- attempts left -------------------------------------------------------------------------------------------------


def _attempts(pin: int | None, pin2: int | None, puk: int | None, puk2: int | None) -> Reading | None:
    reading: Reading = {"pin_attempts": pin, "pin2_attempts": pin2, "puk_attempts": puk, "puk2_attempts": puk2}
    return known(reading)


def _count(fields: list[str], index: int) -> int | None:
    return number(at(fields, index), 0, 20)


def read_qpinc(lines: Sequence[str], command: Command) -> Reading | None:
    """+QPINC: "SC",<pin>,<puk> and +QPINC: "P2",<pin2>,<puk2>."""
    found = {unquote(f[0]).upper(): f for f in map(values, lines) if len(f) >= 3}
    first, second = found.get("SC", []), found.get("P2", [])
    return _attempts(_count(first, 1), _count(second, 1), _count(first, 2), _count(second, 2))


def read_upincnt(lines: Sequence[str], command: Command) -> Reading | None:
    """u-blox: <PIN>,<PIN2>,<PUK>,<PUK2>."""
    f = values(lines[-1]) if lines else []
    return _attempts(_count(f, 0), _count(f, 1), _count(f, 2), _count(f, 3)) if len(f) == 4 else None


def read_spic(lines: Sequence[str], command: Command) -> Reading | None:
    """SIMCom +SPIC, Intel +XPINCNT order: <PIN>,<PUK>,<PIN2>,<PUK2>; Cinterion ^SPIC: one counter."""
    f = values(lines[-1]) if lines else []
    if len(f) == 1:
        return _attempts(_count(f, 0), None, None, None)
    return _attempts(_count(f, 0), _count(f, 2), _count(f, 1), _count(f, 3)) if len(f) >= 4 else None


def read_xpincnt(lines: Sequence[str], command: Command) -> Reading | None:
    """Intel +XPINCNT, MediaTek +EPINC: <PIN>,<PIN2>,<PUK>,<PUK2>."""
    return read_upincnt(lines, command)


def read_huawei_pin(lines: Sequence[str], command: Command) -> Reading | None:
    """^CPIN: <state>,<left now>,<PUK>,<PIN>,<PUK2>,<PIN2>."""
    f = values(lines[-1]) if lines else []
    state = LOCKS.get(unquote(at(f, 0) or "").upper())
    if state is None:
        return None
    return {
        "state": unquote(f[0]).upper(),
        "lock": state,
        **(_attempts(_count(f, 3), _count(f, 5), _count(f, 2), _count(f, 4)) or {}),
    }


def read_telit_pin(lines: Sequence[str], command: Command) -> Reading | None:
    """#PCT: <n>: attempts left of whatever is asked for now."""
    return _attempts(_count(values(lines[-1]), 0), None, None, None) if lines else None


def read_cpinr(lines: Sequence[str], command: Command) -> Reading | None:
    """+CPINR: <code>,<left>[,<default>] (27.007 clause 8.65); Sierra's +CPINC: <PIN>,<PIN2>,<PUK>,<PUK2>."""
    if lines and prefix_of(lines[-1]) == "+CPINC":
        return read_upincnt(lines, command)
    found = {unquote(f[0]).upper(): _count(f, 1) for f in map(values, lines) if len(f) >= 2}
    return _attempts(found.get("SIM PIN"), found.get("SIM PIN2"), found.get("SIM PUK"), found.get("SIM PUK2"))


def read_csim(lines: Sequence[str], command: Command) -> Reading | None:
    """+CSIM: <length>,<response>: status words of VERIFY without data tell the attempts left (102 221, 11.1.9)."""
    f = values(lines[-1]) if lines else []
    body = unquote(at(f, 1) or "").upper()
    if not _BARE_HEX.fullmatch(body):
        return None
    reading: Reading = {"response": body, "status_word": body[-4:]}
    if _verifies(command):
        word = body[-4:]
        left = int(word[3], 16) if word.startswith("63C") else 0 if word == "6983" else None
        puk = "2C" in command.arguments[:8].upper()[-6:]
        reading.update(puk_attempts=left) if puk else reading.update(pin_attempts=left)
        reading["blocked"] = left == 0  # 6984 says that the PIN is not in use, not that it is blocked
    return reading


def _verifies(command: Command) -> bool:
    """VERIFY (20) and UNBLOCK (2C) without data ask for the counter."""
    digits = re.sub(r"[^0-9A-Fa-f]", "", command.arguments.partition(",")[2])
    return digits[2:4].upper() in ("20", "2C")


# -- numbers on the card -------------------------------------------------------------------------------------------


def iccid(raw: str) -> str | None:
    """19 or 20 characters that begin with 89; EF_ICCID as it lies on the card (98…) has its nibbles swapped.

    The first six are digits; letters occur behind them (China Mobile). A trailing F is padding.
    """
    value = unquote(raw.rpartition(":")[2]).upper().replace(" ", "")
    if not _ICCID.fullmatch(value):
        return None
    if value.startswith("98") and len(value) == 20:
        value = "".join(value[i + 1] + value[i] for i in range(0, 20, 2))
    if not value.startswith("89") or not value[:6].isdigit():
        return None
    value = value[:-1] if value.endswith("F") else value
    return value if len(value) in (18, 19, 20) else None


def read_iccid(lines: Sequence[str], command: Command) -> Reading | None:
    for line in lines:
        for part in (payload(line), *values(line)):
            found = iccid(part)
            if found:
                return {"iccid": found}
    return None


def read_imsi(lines: Sequence[str], command: Command) -> Reading | None:
    for line in lines:
        value = unquote(payload(line))
        if _IMSI.fullmatch(value):
            return {"imsi": value}
    return None


def read_crsm(lines: Sequence[str], command: Command) -> Reading | None:
    """+CRSM: <sw1>,<sw2>[,<response>]; some firmware forgets the comma: `144, 0,0054…` and `144, 00054…` both occur."""
    if lines and not prefix_of(lines[-1]):
        return _file(_file_id(command), unquote(lines[-1]).upper()) or None
    f = values(lines[-1]) if lines else []
    sw1, sw2 = number(at(f, 0), 0, 255), number(at(f, 1), 0, 255)
    if sw1 is None or sw2 is None:
        return None
    body = unquote(at(f, 2) or "").upper()
    content = body if re.fullmatch(r"(?:[0-9A-F]{2})*", body) else ""
    reading: Reading = {"sw1": sw1, "sw2": sw2, "response": content or None}
    if sw1 in (144, 145) and content:
        reading.update(_file(_file_id(command), content))
    return reading


def _file_id(command: Command) -> int | None:
    return number(at(command.arguments.split(","), 1), 0, 65535)


def _file(file_id: int | None, content: str) -> Reading:
    """The elementary files that matter here (31.102 clause 4.2)."""
    if file_id == 12258:  # EF_ICCID 2FE2
        found = iccid(content)
        return {"iccid": found} if found else {}
    if file_id == 28423 and len(content) >= 18:  # EF_IMSI 6F07: length, then swapped nibbles, the first a parity mark
        digits = "".join(content[i + 1] + content[i] for i in range(2, 18, 2))[1:].rstrip("F")
        return {"imsi": digits} if _IMSI.fullmatch(digits) else {}
    if file_id == 28486 and len(content) >= 4:  # EF_SPN 6F46: display condition, then the name padded with FF
        return {"service_provider": name(gsm7(bytes.fromhex(content[2:]).rstrip(b"\xff")))}
    if file_id == 28589 and len(content) >= 8:  # EF_AD 6FAD: the fourth byte is the length of the MNC
        length = int(content[6:8], 16)
        return {"mnc_length": length} if length in (2, 3) else {}
    return {}


def read_own_number(lines: Sequence[str], command: Command) -> Reading | None:
    """+CNUM: [<alpha>],<number>,<type>…, one line a number; empty numbers are common."""
    found = [number_ for f in map(values, lines) if (number_ := _msisdn(f))]
    return {"msisdn": found[0], "numbers": found} if found else None


def _msisdn(fields: list[str]) -> str | None:
    where = fields[1:2] if len(fields) > 2 or number(at(fields, 1)) not in (129, 145, 161) else fields[:1]
    candidates = [ucs2(unquote(f)) or unquote(f) for f in where if f]
    return next((c for c in candidates if re.fullmatch(r"\+?[0-9*#]{3,20}", c, re.ASCII)), None)


def read_facility(lines: Sequence[str], command: Command) -> Reading | None:
    """+CLCK: <status>: whether the SIM asks for its PIN at power-up. +CLCK=?: ("SC","FD",…), the locks there are."""
    if command.kind == TEST:
        found = [unquote(f) for line in lines for group in groups(payload(line)) for f in split(group)]
        return {"facilities": found} if found else None
    status = number(at(values(lines[-1]), 0), 0, 1) if lines else None
    return None if status is None else {"enabled": bool(status)}


def read_card_lock(lines: Sequence[str], command: Command) -> Reading | None:
    """Huawei ^CARDLOCK: <state>,<attempts left>,<operator>: 1 wants a code, 2 needs none, 3 is locked for good."""
    f = values(lines[-1]) if lines else []
    state = {"1": "locked", "2": "unlocked", "3": "blocked"}.get(at(f, 0) or "")
    return {"card_lock": state, "unlock_attempts": _count(f, 1)} if state else None


def read_home(lines: Sequence[str], command: Command) -> Reading | None:
    code = plmn(text(payload(lines[-1]))) if lines else None
    return {"plmn": code} if code else None


_IMSI_NAMES = ("+CIMI", "#CIMI", "^CIMI", "*CIMI", "^IMSI")
_BARE_IMSI = re.compile(r'"?[0-9]{6,15}"?', re.ASCII)
_ATTEMPTS = "pin_attempts pin2_attempts puk_attempts puk2_attempts"
_ICCID_NAMES = (
    "+CCID",
    "+ICCID",
    "+QCCID",
    "^ICCID",
    "#CCID",
    "%CCID",
    "+CICCID",
    "+ZICCID",
    "+ZGETICCID",
    "!ICCID",
    "%XICCID",
    "*ICCID",
    "^SCID",
    "$ICCID",
    "+UICCID",
    "+MCCID",
    "$MYCCID",
)
ROWS = (
    Row(
        "+CPIN", (READ,), read_pin, "27.007 8.3", "state lock usable", 10.0, bare=_BARE_STATE, ends=True, empty_ok=False
    ),
    Row("+CPIN", (SET,), None, "27.007 8.3", "", 15.0),
    Row("+QPINC", (READ, SET), read_qpinc, "Quectel", _ATTEMPTS),
    Row("+UPINCNT", (EXECUTE, READ), read_upincnt, "u-blox", _ATTEMPTS),
    Row("+SPIC", (EXECUTE, READ), read_spic, "SIMCom", _ATTEMPTS),
    Row("+EPINC", (READ,), read_xpincnt, "MediaTek", _ATTEMPTS),
    Row("^SPIC", (EXECUTE, READ, SET), read_spic, "Cinterion", "pin_attempts"),
    Row("+XPINCNT", (EXECUTE, READ), read_xpincnt, "Intel", _ATTEMPTS),
    Row("^CPIN", (READ,), read_huawei_pin, "Huawei", "state lock " + _ATTEMPTS, 10.0),
    Row("#PCT", (EXECUTE, READ), read_telit_pin, "Telit", "pin_attempts"),
    Row("+CPINR", (EXECUTE, READ, SET), read_cpinr, "27.007 8.65", _ATTEMPTS),
    Row("+CPINC", (READ, EXECUTE), read_cpinr, "Sierra", _ATTEMPTS),
    Row("+CSIM", (SET,), read_csim, "27.007 8.17", "response status_word pin_attempts blocked", 10.0),
    Row(
        "+CRSM", (SET,), read_crsm, "27.007 8.18", "sw1 sw2 response iccid imsi service_provider", 20.0, bare=_BARE_HEX
    ),
    *(
        Row(n, (EXECUTE, READ), read_iccid, "vendors", "iccid", prefixes=_ICCID_NAMES, bare=_BARE_ICCID, empty_ok=False)
        for n in _ICCID_NAMES
    ),
    *(
        Row(n, (EXECUTE, READ, SET), read_imsi, clause, "imsi", prefixes=_IMSI_NAMES, bare=_BARE_IMSI, empty_ok=False)
        for n, clause in (("+CIMI", "27.007 5.6"), ("#CIMI", "Telit"), ("^CIMI", "Huawei"), ("*CIMI", "vendors"))
    ),
    Row("+CNUM", (EXECUTE, READ), read_own_number, "27.007 7.1", "msisdn numbers", 10.0),
    Row("^CARDLOCK", (READ,), read_card_lock, "Huawei", "card_lock unlock_attempts"),
    Row("+CLCK", (SET, TEST), read_facility, "27.007 7.4", "enabled facilities", 15.0),
    Row("^HPLMN", (READ, EXECUTE), read_home, "Huawei", "plmn", bare=ANY_LINE),
)
