"""Signal by the standard: +CSQ, +CESQ (27.007 clauses 8.5 and 8.69), Intel's +XCESQ, Qualcomm's $QCRSRP and kin.

An index names a step of 1 dB or 0.5 dB; what is reported is the step's lower bound, as 27.007 writes the tables.
Upper-bound conventions differ by one step. 99 and 255 are unknown and become None, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.at.engine.grammar import Reading, at, known, number, plain, prefix_of, real, values
from agent.at.engine.row import EXECUTE, READ, Command, Row, more_fields_than
from agent.at.standard.band import eutra_band, eutra_channel
from agent.at.standard.scale import CSQ_RSSI, ECNO, RSCP, RSRP, RSRQ, RXLEV, SS_RSRP, SS_RSRQ, SS_SINR, XMM_SNR


def read_csq(lines: Sequence[str], command: Command) -> Reading | None:
    fields = values(lines[-1]) if lines else []
    index = number(at(fields, 0), 0, 199)
    if index is None:
        return None
    return {
        "rssi_dbm": CSQ_RSSI.read(fields[0]),  # 100 to 191 (TD-SCDMA) differ from module to module
        "rssi_index": index,
        "ber": number(at(fields, 1), 0, 7),
    }


def read_cesq(lines: Sequence[str], command: Command) -> Reading | None:
    fields = values(lines[-1]) if lines else []
    return _extended(fields) if len(fields) >= 6 and number(fields[0]) is not None else None


def _extended(fields: list[str]) -> Reading:
    """rxlev, ber, rscp, ecno, rsrq, rsrp; from release 16 on ss_rsrq, ss_rsrp, ss_sinr behind them."""
    new_radio: Reading = {"rsrp_dbm": SS_RSRP.read(at(fields, 7)), "rsrq_db": SS_RSRQ.read(at(fields, 6))}
    sinr = SS_SINR.read(at(fields, 8)) if known(new_radio) else None  # 127 stands beside two that are no index too
    lte: Reading = {"rsrp_dbm": RSRP.read(fields[5]), "rsrq_db": RSRQ.read(fields[4])}
    serving = lte if lte["rsrp_dbm"] is not None or new_radio["rsrp_dbm"] is None else new_radio
    return {
        "rssi_dbm": RXLEV.read(fields[0]),
        "ber": number(fields[1], 0, 7),
        "rscp_dbm": RSCP.read(fields[2]),
        "ecio_db": ECNO.read(fields[3]),
        **serving,
        "sinr_db": sinr if serving is new_radio else None,
        "nr": known({**new_radio, "sinr_db": sinr}),
        "rsrp_index": number(fields[5], 0, 255),
        "rsrq_index": number(fields[4], 0, 255),
    }


def read_xcesq(lines: Sequence[str], command: Command) -> Reading | None:
    """+XCESQ: <n>, the six of +CESQ, <rssnr> in half decibels, signed."""
    fields = values(lines[-1]) if lines else []
    if len(fields) < 7 or number(fields[0]) is None:
        return None
    reading = _extended(fields[1:7])
    reading["sinr_db"] = XMM_SNR.read(at(fields, 7))
    reading["sinr_raw"] = number(at(fields, 7), -100, 100)
    return reading


def read_antenna(lines: Sequence[str], command: Command) -> Reading | None:
    """+RSRP and $QCRSRP: [<pci>,<earfcn>,]"<dBm>" a cell, the serving one first; +RSRQ and $QCRSRQ likewise."""
    f = values(lines[0]) if lines else []
    key, low, high = ("rsrq_db", -40, 20) if prefix_of(lines[0] if lines else "").endswith("Q") else _RSRP_FIELD
    if len(f) < 3:
        return known({key: _level(at(f, 0), low, high)})
    cells = [_measured(f[start : start + 3], key, low, high) for start in range(0, len(f) - 2, 3)]
    return known({**cells[0], "cells": cells if len(cells) > 1 else []})


def _measured(f: list[str], key: str, low: float, high: float) -> Reading:
    channel = eutra_channel(f[1])
    return {
        "pci": number(f[0], 0, 503),
        "earfcn": channel,
        "band": eutra_band(channel),
        key: _level(f[2], low, high),
    }


def _level(raw: str | None, low: float, high: float) -> float | int | None:
    return plain(real((raw or "").replace(".-", "."), low, high))  # L860 writes -9.-50 for -9.5


_RSRP_FIELD = ("rsrp_dbm", -160, -30)
ROWS = (
    Row("+CSQ", (EXECUTE, READ), read_csq, "27.007 8.5", "rssi_dbm rssi_index ber", empty_ok=False),
    Row(
        "+CESQ",
        (EXECUTE, READ),
        read_cesq,
        "27.007 8.69",
        "rssi_dbm rscp_dbm ecio_db rsrp_dbm rsrq_db sinr_db nr",
        empty_ok=False,
    ),
    Row(
        "+XCESQ",
        (EXECUTE, READ),
        read_xcesq,
        "Intel XMM",
        "rssi_dbm rscp_dbm ecio_db rsrp_dbm rsrq_db sinr_db sinr_raw",
        form=more_fields_than(6),
        empty_ok=False,
    ),
    Row("_OSIGQ", (READ,), read_csq, "Option", "rssi_dbm rssi_index ber"),
    Row("$NWRSSI", (READ,), read_csq, "Novatel", "rssi_dbm rssi_index ber"),
    *(
        Row(name, (READ, EXECUTE), read_antenna, vendor, f"pci earfcn band {key} cells")
        for name, vendor, key in (
            ("$QCRSRP", "Qualcomm", "rsrp_dbm"),
            ("$QCRSRQ", "Qualcomm", "rsrq_db"),
            ("+RSRP", "Fibocom", "rsrp_dbm"),
            ("+RSRQ", "Fibocom", "rsrq_db"),
        )
    ),
)
