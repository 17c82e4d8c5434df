"""Short messages: +CMGS, +CMGL, +CMGR, +CPMS, +CSCA, +CMGF (27.005 clauses 3.1 to 3.5); +CUSD (27.007 7.15)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.at.engine.charset import gsm7_packed, name, ucs2
from agent.at.engine.grammar import (
    Reading,
    at,
    groups,
    number,
    payload,
    prefix_of,
    quoted,
    split,
    text,
    unquote,
    values,
)
from agent.at.engine.row import EXECUTE, READ, SET, TEST, Command, Row
from agent.at.standard.sms_deliver import read_pdu


def read_sent(lines: Sequence[str], command: Command) -> Reading | None:
    """+CMGS: <mr>[,<scts>]."""
    reference = number(at(values(lines[-1]), 0), 0, 255) if lines else None
    return None if reference is None else {"reference": reference}


def read_messages(lines: Sequence[str], command: Command) -> Reading | None:
    """+CMGL and +CMGR: a header, then the text (or the PDU as hex digits), which may go over several lines."""
    messages: list[Reading] = []
    for line in lines:
        if prefix_of(line) in ("+CMGL", "+CMGR"):
            messages.append(_header(values(line), prefix_of(line)))
        elif messages:
            before = messages[-1]["text"]
            messages[-1]["text"] = line if before is None else f"{before}\n{line}"
    for message in messages:
        message.update(_contents(message["text"], "pdu_length" in message))
    return {"messages": messages} if messages else None


def _header(f: list[str], prefix: str) -> Reading:
    rest = f[1:] if prefix == "+CMGL" else f
    index = number(f[0], 0, 65535) if prefix == "+CMGL" else None
    status = text(at(rest, 0))
    if status is not None and status.isdigit():  # PDU mode: <stat>,[<alpha>],<length>
        return {"index": index, "status": int(status), "pdu_length": number(at(rest, 2), 0, 512), "text": None}
    whole = quoted(at(rest, 3) or "") or len(rest) < 5  # without quotes the comma between date and time has split it
    when = text(at(rest, 3)) if whole else ",".join(rest[3:5])
    return {"index": index, "status": status, "from": _party(at(rest, 1)), "received": when, "text": None}


def _contents(body: object, as_pdu: bool) -> Reading:
    """A text as it is or in UCS2; a PDU beside what it says, which is nothing when it cannot be read."""
    if not isinstance(body, str):
        return {"text": None}
    if not as_pdu:
        return {"text": ucs2(body) or body or None}
    return {"pdu": body, **(read_pdu(body.strip()) or {"text": None})}


def _party(raw: str | None) -> str | None:
    """A number or a name, which UCS2 modems give as hex words too."""
    value = text(raw)
    return (ucs2(value) or value) if value else None


def read_delivery(lines: Sequence[str], command: Command) -> Reading | None:
    """+CMT: <from>,[<alpha>],<time>, then the text; in PDU mode [<alpha>],<length>, then the PDU."""
    head, _, body = "\n".join(lines).partition("\n")
    f = values(head)
    if len(f) < 3 and number(f[-1]) is not None:
        return {"from": None, "received": None, "pdu_length": number(f[-1], 0, 512), **_contents(body or None, True)}
    message: Reading = {"from": None, "received": None}
    if len(f) >= 3:
        message = {"from": _party(f[0]), "received": next((unquote(raw) for raw in f[1:] if "/" in raw), None)}
    return {**message, **_contents(body or None, False)}


def read_memories(lines: Sequence[str], command: Command) -> Reading | None:
    """+CPMS?: <mem>,<used>,<total> three times; +CPMS=…: the figures alone; +CPMS=?: what each may be."""
    if command.kind == TEST:
        body = payload(lines[-1]) if lines else ""
        lists = groups(body) if "(" in body else split(body)
        lists = groups(lists[0]) if len(lists) == 1 and "(" in lists[0] else lists  # the whole in brackets once more
        supported = [[unquote(memory) for memory in split(group)] for group in lists]
        return {"supported": supported} if any(map(any, supported)) else None
    f = values(lines[-1]) if lines else []
    if f and number(f[0]) is None:
        triples = [f[i : i + 3] for i in range(0, len(f) - 2, 3)]
        return {"memories": [{"memory": unquote(m), "used": number(u), "total": number(t)} for m, u, t in triples]}
    pairs = [(number(f[i]), number(f[i + 1])) for i in range(0, len(f) - 1, 2)]
    return {"memories": [{"memory": None, "used": u, "total": t} for u, t in pairs]} if pairs else None


def read_centre(lines: Sequence[str], command: Command) -> Reading | None:
    address = text(at(values(lines[-1]), 0)) if lines else None
    return {"smsc": (ucs2(address) or address)} if address else None


def read_mode(lines: Sequence[str], command: Command) -> Reading | None:
    mode = number(at(values(lines[-1]), 0), 0, 1) if lines else None
    return None if mode is None else {"mode": "text" if mode else "pdu"}


_USSD = re.compile(r'\s*([0-6])\s*(?:,\s*"(.*?)(?:"\s*)?(?:,\s*([0-9]{0,3})\s*)?)?', re.DOTALL)
_GSM7_GROUPS = frozenset({*range(0x20, 0x30), *range(0xF0, 0xF4)})  # 23.038 clause 5: no 8-bit data, no UCS2


def read_ussd(lines: Sequence[str], command: Command) -> Reading | None:
    """+CUSD: <m>[,<str>,<dcs>]. The text may hold quotes and commas, and lack its end."""
    body = payload(lines[-1]) if lines else ""
    match = _USSD.fullmatch(body)
    f = [match[1], match[2] or "", match[3] or ""] if match else split(body)
    state, dcs = number(at(f, 0), 0, 6), number(at(f, 2), 0, 255)
    if state is None:
        return None
    raw = unquote(at(f, 1) or "")
    found = ucs2(raw, declared=dcs is not None and (dcs == 0x11 or dcs & 0xCC == 0x48))  # 23.038 clause 5
    if found is None and dcs is not None and (dcs < 16 or dcs in _GSM7_GROUPS):
        found = gsm7_packed(raw)
    return {"ussd_state": state, "text": (found or name(raw) or "").strip() or None, "dcs": dcs}


_MESSAGES = "messages: index status from received text pdu"
ROWS = (
    Row("+CMSS", (SET,), read_sent, "27.005 3.5.2", "reference", 120.0),
    Row("+CMGS", (SET,), read_sent, "27.005 3.5.1", "reference", 120.0, prompts=True, empty_ok=False),
    Row("+CMGW", (SET, EXECUTE), read_sent, "27.005 3.5.3", "reference", 60.0, prompts=True, prefixes=("+CMGW",)),
    Row("+CMGL", (SET, EXECUTE), read_messages, "27.005 3.4.2", _MESSAGES, 120.0, body=True),
    Row("+CMGR", (SET,), read_messages, "27.005 3.4.3", _MESSAGES, 20.0, body=True),
    Row("+CPMS", (READ, SET, TEST), read_memories, "27.005 3.2.2", "memories: memory used total supported", 20.0),
    Row("+CSCA", (READ,), read_centre, "27.005 3.3.1", "smsc", 10.0),
    Row("+CMGF", (READ,), read_mode, "27.005 3.2.3", "mode"),
    Row("+CUSD", (READ, SET), read_ussd, "27.007 7.15", "ussd_state text dcs", 30.0, later=True),
)
