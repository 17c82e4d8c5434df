"""Readings of unsolicited result codes: most mean what the answer of the same name means, without its <n>.

Called by the decoder and by the Modem, which turns news into a fresh reading before the next poll.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from agent.at.engine.grammar import Reading, at, number, payload, prefix_of, split, text, unquote, values
from agent.at.engine.row import EXECUTE, READ, SET, Command
from agent.at.standard import network_time, packet_data, registration, signal, sim, sms
from agent.at.table import find
from agent.at.vendor import huawei, telit, zte


def read_news(line: str) -> Reading | None:
    """The meaning of one unsolicited line, None when it says nothing that is kept."""
    prefix = prefix_of(line)
    if prefix in registration.DOMAINS:
        return registration.fields_of(line, solicited=registration.answers(line))
    reader = _READERS.get(prefix)
    if reader is not None:
        return reader(line)
    event = packet_data.read_event([line], Command(line)) or _call(line)
    if event is not None:
        return event
    asked = next((c for kind in (READ, EXECUTE, SET) if (c := Command(prefix, prefix, kind)) and find(c)), None)
    row = find(asked) if asked and prefix else None
    return row.parse([line], asked) if row is not None and asked is not None and row.parse is not None else None


def _indication(line: str) -> Reading | None:
    """+QIND: "csq",<rssi>,<ber> and "act",<technology>."""
    fields = [unquote(f) for f in values(line)]
    if fields[0] == "csq":
        if len(fields) < 3:
            return None
        return {"type": "csq", "rssi": number(fields[1]), "ber": number(fields[2])}
    if fields[0] == "act" and len(fields) == 2:
        return {"type": "act", "act_name": fields[1]}
    return {"type": fields[0]} if fields[0] else None


def _message(line: str) -> Reading | None:
    """+CMTI: <memory>,<index> (27.005 clause 3.4.1)."""
    fields = values(line)
    index = number(at(fields, 1), 0)
    return None if index is None or not text(fields[0]) else {"memory": unquote(fields[0]), "index": index}


def _context_lost(line: str) -> Reading | None:
    """+QIURC: "pdpdeact",<cid>."""
    fields = [unquote(f) for f in values(line)]
    return {"type": fields[0], "cid": number(at(fields, 1), 0, 16)} if fields[0] else None


_VOICE = re.compile(r"VOICE CALL: ?(?:(?P<begin>BEGIN)|END(?:: ?(?P<seconds>[0-9]{1,9}))?)", re.ASCII)
_MISSED = re.compile(r"MISSED[_ ]CALL: ?[0-9:]+ ?[AP]M (?P<number>\+?[0-9]+)", re.ASCII)


def _call(line: str) -> Reading | None:
    """SIMCom: `VOICE CALL: BEGIN`, `VOICE CALL: END: <seconds>`, `MISSED_CALL: <time> <number>`."""
    if voice := _VOICE.fullmatch(line):
        return {"started": bool(voice["begin"]), "duration_s": int(voice["seconds"] or 0)}
    missed = _MISSED.fullmatch(line)
    return {"number": missed["number"]} if missed else None


def _profile_active(line: str) -> Reading | None:
    """u-blox +UUPSDA: <result>[,<address>]."""
    return {"address": packet_data.assigned(at(values(line), 1))}


def _caller(line: str) -> Reading | None:
    """+CLIP and +CCWA: <number>,<type>,…."""
    found = text(at(values(line), 0))
    return {"number": found} if found else None


def _state(line: str, key: str) -> Reading | None:
    value = number(at(values(line), 0), 0, 255)
    return None if value is None else {key: value}


def _ring(line: str) -> Reading | None:
    kind = split(line.partition(":")[2])[0].strip()
    return {"type": unquote(kind)} if kind else None


_READERS: dict[str, Callable[[str], Reading | None]] = {
    "+QIND": _indication,
    "+QIURC": _context_lost,
    "+CMTI": _message,
    "+CRING": _ring,
    "+CGEV": lambda line: packet_data.read_event([line], Command(line)),
    "+CTZE": lambda line: network_time.read_zone([line], Command(line)),
    "+CTZV": lambda line: network_time.read_zone([line], Command(line)),
    "+CTZEU": lambda line: network_time.read_zone([line], Command(line)),
    "*PSUTTZ": lambda line: network_time.read_network_clock([line], Command(line)),
    "#NITZ": lambda line: network_time.read_clock([line], Command(line)),
    "+NITZ": lambda line: network_time.read_clock([line], Command(line)),
    "+CPIN": lambda line: sim.read_pin([line], Command(line)),
    "+CSCON": lambda line: registration.read_connection(["+CSCON: 1," + payload(line)], Command(line)),
    "+CMT": lambda line: sms.read_delivery([line], Command(line)),
    "+CDS": lambda line: sms.read_delivery([line], Command(line)),
    "+CLIP": lambda line: _caller(line),
    "+CCWA": lambda line: _caller(line),
    "+CDSI": _message,
    "^RSSI": lambda line: signal.read_csq([line], Command(line)),
    "^MODE": lambda line: huawei.read_mode([line], Command(line)),
    "^SIMST": lambda line: _state(line, "sim_state"),
    "^SRVST": lambda line: _state(line, "srv_status"),
    "^DSFLOWRPT": lambda line: huawei.read_report([line], Command(line)),
    "#QSS": lambda line: telit.read_qss(["#QSS: 1," + payload(line)], Command(line)),
    "+QUSIM": lambda line: _state(line, "sim_state"),
    "+XCESQI": lambda line: signal.read_xcesq([line], Command(line)),
    "+CEDRXP": lambda line: registration.read_edrx([line], Command(line)),
    "+UUPSDA": _profile_active,
    "+ZPASR": lambda line: zte.read_zpas([line], Command(line)),
    "+UUSIMSTAT": lambda line: _state(line, "sim_state"),
}
