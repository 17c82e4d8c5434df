"""Signal by the standard: +CSQ, +CESQ (27.007 clauses 8.5 and 8.69) and Intel's +XCESQ; the scales the vendors share.

An index names a step of 1 dB or 0.5 dB; what is reported is the step's lower bound, as 27.007 writes the tables.
Upper-bound conventions differ by one step. 99 and 255 are unknown and become None, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.at.engine.grammar import Reading, at, known, number, plain, prefix_of, real, rounded, values
from agent.at.engine.row import EXECUTE, READ, Command, Row, more_fields_than
from agent.at.standard.band import eutra_band


def scaled(raw: str | None, high: int, offset: float, step: float = 1.0, low: int = 0) -> float | int | None:
    """An index within its range times its step plus an offset; None outside."""
    index = number(raw, low, high)
    return None if index is None else rounded(index * step + offset)


def csq_rssi(raw: str | None) -> float | int | None:
    """0 to 31: -113 to -51 dBm in steps of 2. 100 to 191 (TD-SCDMA) mean other things on other modules: unknown."""
    return scaled(raw, 31, -113, 2)


def rsrp(raw: str | None) -> float | int | None:
    return scaled(raw, 97, -141)


def rsrq(raw: str | None) -> float | int | None:
    return scaled(raw, 34, -20, 0.5)


def rscp(raw: str | None) -> float | int | None:
    return scaled(raw, 96, -121)


def ecno(raw: str | None) -> float | int | None:
    return scaled(raw, 49, -24.5, 0.5)


def rxlev(raw: str | None) -> float | int | None:
    return scaled(raw, 63, -111)


def read_csq(lines: Sequence[str], command: Command) -> Reading | None:
    fields = values(lines[-1]) if lines else []
    index = number(at(fields, 0), 0, 199)
    if index is None:
        return None
    return {
        "rssi_dbm": csq_rssi(fields[0]),
        "rssi_index": index,
        "ber": number(at(fields, 1), 0, 7),
    }


def read_cesq(lines: Sequence[str], command: Command) -> Reading | None:
    fields = values(lines[-1]) if lines else []
    return _extended(fields) if len(fields) >= 6 and number(fields[0]) is not None else None


def _extended(fields: list[str]) -> Reading:
    """rxlev, ber, rscp, ecno, rsrq, rsrp; from release 16 on ss_rsrq, ss_rsrp, ss_sinr behind them."""
    new_radio = {"rsrp_dbm": scaled(at(fields, 7), 126, -157), "rsrq_db": scaled(at(fields, 6), 126, -43.5, 0.5)}
    lte = {"rsrp_dbm": rsrp(fields[5]), "rsrq_db": rsrq(fields[4])}
    serving = lte if lte["rsrp_dbm"] is not None or new_radio["rsrp_dbm"] is None else new_radio
    return {
        "rssi_dbm": rxlev(fields[0]),
        "ber": number(fields[1], 0, 7),
        "rscp_dbm": rscp(fields[2]),
        "ecio_db": ecno(fields[3]),
        **serving,
        "sinr_db": scaled(at(fields, 8), 127, -23.5, 0.5) if serving is new_radio else None,
        "nr": known({**new_radio, "sinr_db": scaled(at(fields, 8), 127, -23.5, 0.5)}),
        "rsrp_index": number(fields[5], 0, 255),
        "rsrq_index": number(fields[4], 0, 255),
    }


def read_xcesq(lines: Sequence[str], command: Command) -> Reading | None:
    """+XCESQ: <n>, the six of +CESQ, <rssnr> in half decibels, signed."""
    fields = values(lines[-1]) if lines else []
    if len(fields) < 7 or number(fields[0]) is None:
        return None
    reading = _extended(fields[1:7])
    reading["sinr_db"] = scaled(at(fields, 7), 100, 0, 0.5, low=-100)
    reading["sinr_raw"] = number(at(fields, 7), -100, 100)
    return reading


def read_antenna(lines: Sequence[str], command: Command) -> Reading | None:
    """+RSRP and $QCRSRP: [<pci>,<earfcn>,]"<dBm>" a cell, the serving one first; +RSRQ and $QCRSRQ likewise."""
    f = values(lines[0]) if lines else []
    key, low, high = ("rsrq_db", -40, 20) if prefix_of(lines[0] if lines else "").endswith("Q") else _RSRP_FIELD
    channel = number(at(f, 1), 0, 262_143) if len(f) > 2 else None
    raw = (f[2] if len(f) > 2 else at(f, 0)) or ""
    level = real(raw.replace(".-", "."), low, high)  # L860 writes -9.-50 for -9.5
    place: Reading = (
        {"pci": number(f[0], 0, 1007), "earfcn": channel, "band": eutra_band(channel)} if len(f) > 2 else {}
    )
    return known({**place, key: plain(level)})


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
        Row(name, (READ, EXECUTE), read_antenna, vendor, f"pci earfcn band {key}")
        for name, vendor, key in (
            ("$QCRSRP", "Qualcomm", "rsrp_dbm"),
            ("$QCRSRQ", "Qualcomm", "rsrq_db"),
            ("+RSRP", "Fibocom", "rsrp_dbm"),
            ("+RSRQ", "Fibocom", "rsrq_db"),
        )
    ),
)
