"""Nordic nRF91: %XMONITOR and %CESQ (nRF9160 AT command reference); other % commands are read as plain fields."""

from __future__ import annotations

from collections.abc import Sequence

from agent.at.engine.charset import name
from agent.at.engine.grammar import Reading, area, at, cell, number, values
from agent.at.engine.row import EXECUTE, READ, Command, Row
from agent.at.standard.band import eutra_band, eutra_channel
from agent.at.standard.operator_names import plmn
from agent.at.standard.registration import ACCESS, STATES
from agent.at.standard.scale import NRF_SNR, RSRP, RSRQ


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
        "tac": area(at(f, 4)),
        "act": act,
        "access_technology": ACCESS.get(act) if act is not None else None,
        "band": number(at(f, 6), 1, 512),
        "ci": cell(at(f, 7)),
        "pci": number(at(f, 8), 0, 503),
        "earfcn": eutra_channel(at(f, 9)),
        "rsrp_dbm": RSRP.read(at(f, 10)),
        "sinr_db": NRF_SNR.read(at(f, 11)),
    }


def read_cesq(lines: Sequence[str], command: Command) -> Reading | None:
    """%CESQ: <rsrp>,<threshold>,<rsrq>,<threshold>."""
    f = values(lines[-1]) if lines else []
    if len(f) < 4 or number(f[0]) is None:
        return None
    return {"rsrp_dbm": RSRP.read(f[0]), "rsrq_db": RSRQ.read(f[2])}


def read_evaluation(lines: Sequence[str], command: Command) -> Reading | None:
    """%CONEVAL: <result>,<rrc>,<energy>,<rsrp>,<rsrq>,<snr>,<cell>,<plmn>,<pci>,<earfcn>,<band>,…."""
    f = values(lines[-1]) if lines else []
    if number(at(f, 0), 0, 9) != 0 or len(f) < 11:
        return None
    return {
        "rsrp_dbm": RSRP.read(f[3]),
        "rsrq_db": RSRQ.read(f[4]),
        "sinr_db": NRF_SNR.read(f[5]),
        "ci": cell(f[6]),
        "plmn": plmn(f[7]),
        "pci": number(f[8], 0, 503),
        "earfcn": eutra_channel(f[9]),
        "band": number(f[10], 1, 512),
    }


def read_measurement(lines: Sequence[str], command: Command) -> Reading | None:
    """%NCELLMEAS: <status>,<cell>,<plmn>,<tac>,<advance>[,<advance's time>],<earfcn>,<pci>,<rsrp>,<rsrq>,<time>, then
    five fields a neighbour: the time of the advance came with later firmware, here or at the end."""
    f = values(lines[-1]) if lines else []
    if number(at(f, 0), 0, 9) != 0 or len(f) < 9:
        return None
    f = f if _measured(f[5:9]) else f[:5] + f[6:]
    if not _measured(f[5:9]):
        return None
    earfcn = eutra_channel(f[5])
    return {
        "ci": cell(f[1]),
        "plmn": plmn(f[2]),
        "tac": area(f[3]),
        "earfcn": earfcn,
        "band": eutra_band(earfcn),
        "pci": number(f[6], 0, 503),
        "rsrp_dbm": RSRP.read(f[7]),
        "rsrq_db": RSRQ.read(f[8]),
    }


def _measured(f: list[str]) -> bool:
    """Whether these are <earfcn>,<pci>,<rsrp>,<rsrq>."""
    return (
        len(f) == 4
        and eutra_channel(f[0]) is not None
        and number(f[1], 0, 503) is not None
        and number(f[3], -30, 255) is not None
    )


def read_degrees(lines: Sequence[str], command: Command) -> Reading | None:
    """%XTEMP: <degrees>."""
    degrees = number(at(values(lines[-1]), 0), -60, 150) if lines else None
    return None if degrees is None else {"temperature_c": degrees}


def read_band(lines: Sequence[str], command: Command) -> Reading | None:
    """%XCBAND: <band>, 0 when there is none."""
    band = number(at(values(lines[-1]), 0), 0, 512) if lines else None
    return None if band is None else {"band": band or None}


def read_snr(lines: Sequence[str], command: Command) -> Reading | None:
    """%XSNRSQ: <snr>,<srxlev>,<ce level>; 127 is unknown."""
    f = values(lines[-1]) if lines else []
    return {"sinr_db": NRF_SNR.read(f[0])} if number(at(f, 0), 0, 127) is not None else None


def read_voltage(lines: Sequence[str], command: Command) -> Reading | None:
    """%XVBAT: <millivolts>."""
    value = number(at(values(lines[-1]), 0), 1, 20_000) if lines else None
    return None if value is None else {"millivolts": value}


def read_card(lines: Sequence[str], command: Command) -> Reading | None:
    """%XSIM: 1 the card is initialised, 0[,<cause>] it is not."""
    state = number(at(values(lines[-1]), 0), 0, 1) if lines else None
    return None if state is None else {"inserted": bool(state)}


ROWS = (
    Row("%XVBAT", (EXECUTE, READ), read_voltage, "Nordic", "millivolts"),
    Row("%XSIM", (READ,), read_card, "Nordic", "inserted"),
    Row("%XTEMP", (READ,), read_degrees, "Nordic", "temperature_c"),
    Row("%XCBAND", (EXECUTE, READ), read_band, "Nordic", "band"),
    Row("%XSNRSQ", (READ,), read_snr, "Nordic", "sinr_db"),
    Row("%CONEVAL", (EXECUTE,), read_evaluation, "Nordic", "rsrp_dbm rsrq_db sinr_db ci plmn pci earfcn band", 10.0),
    Row(
        "%NCELLMEAS",
        (EXECUTE, READ),
        read_measurement,
        "Nordic",
        "ci plmn tac earfcn band pci rsrp_dbm rsrq_db",
        later=True,
    ),
    Row(
        "%XMONITOR",
        (EXECUTE, READ),
        read_monitor,
        "Nordic",
        "stat operator plmn tac ci act band pci earfcn rsrp_dbm sinr_db",
    ),
    Row("%CESQ", (EXECUTE, READ), read_cesq, "Nordic", "rsrp_dbm rsrq_db"),
)
