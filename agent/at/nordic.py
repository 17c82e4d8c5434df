"""Nordic nRF91: %XMONITOR and %CESQ (nRF9160 AT command reference); other % commands are read as plain fields."""

from __future__ import annotations

from collections.abc import Sequence

from agent.at.charset import name
from agent.at.grammar import Reading, at, hexadecimal, number, values
from agent.at.names import plmn
from agent.at.registration import ACCESS, STATES
from agent.at.row import EXECUTE, READ, Command, Row
from agent.at.signal import rsrp, rsrq, scaled


def read_monitor(lines: Sequence[str], command: Command) -> Reading | None:
    """<stat>,<long>,<short>,<plmn>,<tac>,<AcT>,<band>,<cell>,<pci>,<earfcn>,<rsrp>,<snr>,…."""
    f = values(lines[-1]) if lines else []
    stat = number(at(f, 0), 0, 99)
    if stat is None:
        return None
    act = number(at(f, 5), 0, 99)
    return {
        "stat": stat,
        "state": STATES.get(stat),
        "operator": name(at(f, 1)),
        "plmn": plmn(at(f, 3)),
        "tac": hexadecimal(at(f, 4)),
        "act": act,
        "access_technology": ACCESS.get(act) if act is not None else None,
        "band": number(at(f, 6), 1, 512),
        "ci": hexadecimal(at(f, 7)),
        "pci": number(at(f, 8), 0, 503),
        "earfcn": number(at(f, 9), 0, 262_143),
        "rsrp_dbm": rsrp(at(f, 10)),
        "sinr_db": scaled(at(f, 11), 49, -25),
    }


def read_cesq(lines: Sequence[str], command: Command) -> Reading | None:
    """%CESQ: <rsrp>,<threshold>,<rsrq>,<threshold>."""
    f = values(lines[-1]) if lines else []
    return {"rsrp_dbm": rsrp(f[0]), "rsrq_db": rsrq(f[2])} if len(f) >= 4 and number(f[0]) is not None else None


ROWS = (
    Row(
        "%XMONITOR",
        (EXECUTE, READ),
        read_monitor,
        "Nordic",
        "stat operator plmn tac ci act band pci earfcn rsrp_dbm sinr_db",
    ),
    Row("%CESQ", (EXECUTE, READ), read_cesq, "Nordic", "rsrp_dbm rsrq_db"),
)
