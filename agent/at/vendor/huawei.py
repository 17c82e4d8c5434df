"""Huawei: ^HCSQ, ^SYSINFO(EX), ^MONSC, ^DHCP, ^NDISSTATQRY and their kin (ME909, E3372).

Huawei writes no space after the colon, leaves trailing fields out, and quotes names or not as firmware goes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.at.engine.grammar import (
    Reading,
    area,
    at,
    cell,
    hexadecimal,
    known,
    number,
    payload,
    plain,
    real,
    text,
    unquote,
    values,
)
from agent.at.engine.row import EXECUTE, READ, SET, Command, Row
from agent.at.standard.band import eutra_band, eutra_channel, nr_band, nr_channel
from agent.at.standard.figures import ecio, rscp, rsrp, rsrq, rssi, sinr
from agent.at.standard.operator_names import joined
from agent.at.standard.packet_data import assigned, little_endian
from agent.at.standard.scale import HCSQ_ECIO, HCSQ_RSCP, HCSQ_RSRP, HCSQ_RSRQ, HCSQ_RSSI, HCSQ_SINR

# ^SYSINFO and ^MODE; ^SYSINFOEX numbers them anew, but names them too.
_MODES = {2: "CDMA2000OneX", 3: "GPRS", 4: "CDMA2000HRPD", 5: "UMTS", 8: "CDMA2000HRPD", 15: "UMTS", 17: "LTE"}
_SUBMODES = {1: "GPRS", 2: "GPRS", 3: "EDGE", 4: "UMTS", 5: "UMTSHSPA", 6: "UMTSHSPA", 7: "UMTSHSPA", 8: "UMTS",
             9: "UMTSHSPA", 17: "UMTSHSPA", 18: "UMTSHSPA", 101: "LTE"}  # fmt: skip
_NAMES = {
    "GSM": "GPRS",
    "WCDMA": "UMTS",
    "TD-SCDMA": "UMTS",
    "TDSCDMA": "UMTS",
    "LTE": "LTE",
    "CDMA": "CDMA2000OneX",
    "EVDO": "CDMA2000HRPD",
    "NR": "NR",
    "NR-5GC": "NR",
    "5G": "NR",
}
_ORDER = {"01": "2g", "02": "3g", "03": "4g", "04": "5g", "08": "5g"}


def read_hcsq(lines: Sequence[str], command: Command) -> Reading | None:
    """^HCSQ: <sysmode>,… in the order of the radio technology; 255 is unknown. In EN-DC one line of two tells of NR."""
    found = [strength for line in lines if (strength := _hcsq(values(line))) is not None]
    found.sort(key=lambda strength: _is_nr(strength["sysmode"]))  # the anchor first, whichever line it has
    if not found:
        return None
    nr = next((strength for strength in found[1:] if _is_nr(strength["sysmode"])), None)
    anchored = nr is not None and not _is_nr(found[0]["sysmode"])
    return {**found[0], **({"nr": nr, "access_technology": "NR-NSA"} if anchored else {})}


def _is_nr(mode: object) -> bool:
    return str(mode).startswith(("NR", "5G"))


def _hcsq(f: list[str]) -> Reading | None:
    mode = unquote(at(f, 0) or "").upper()
    if mode not in _NAMES and mode not in ("NOSERVICE", "NO SERVICE"):
        return None
    reading: Reading = {
        "sysmode": mode,
        "access_technology": _NAMES.get(mode),
        "rssi_dbm": None,
        "rsrp_dbm": None,
        "rsrq_db": None,
        "sinr_db": None,
    }
    if mode == "LTE":
        reading |= {"rssi_dbm": HCSQ_RSSI.read(at(f, 1)), **_reference_signal(f[2:])}
    elif mode.startswith(("NR", "5G")):
        reading |= _reference_signal(f[1:])
    elif mode == "WCDMA" or mode.startswith("TD"):
        reading |= {"rssi_dbm": HCSQ_RSSI.read(at(f, 1)), "rscp_dbm": HCSQ_RSCP.read(at(f, 2))}
        reading |= {"ecio_db": HCSQ_ECIO.read(at(f, 3))}
    else:
        reading["rssi_dbm"] = HCSQ_RSSI.read(at(f, 1))
    return reading


def _reference_signal(f: list[str]) -> Reading:
    """<rsrp>,<sinr>,<rsrq>, on the same scales in LTE and in NR."""
    raw = number(at(f, 1), HCSQ_SINR.low, HCSQ_SINR.high)
    return {
        "rsrp_dbm": HCSQ_RSRP.read(at(f, 0)),
        "sinr_db": HCSQ_SINR.read(at(f, 1)),
        "sinr_raw": raw,
        "sinr_scale": None if raw is None else "raw/5-20.2",
        "rsrq_db": HCSQ_RSRQ.read(at(f, 2)),
    }


def read_sysinfo(lines: Sequence[str], command: Command) -> Reading | None:
    """^SYSINFO: <srv_status>,<srv_domain>,<roam>,<sys_mode>,<sim_state>[,<lock>][,<submode>]."""
    f = values(lines[-1]) if lines else []
    status, mode = number(at(f, 0), 0, 9), number(at(f, 3), 0, 99)
    if status is None or len(f) < 5:
        return None
    return {
        "srv_status": status,
        "srv_domain": number(f[1], 0, 254),
        "roam_status": number(f[2], 0, 9),
        "sim_state": number(f[4], 0, 255),  # 255: no card
        "sys_mode": mode,
        "sys_submode": number(at(f, 6), 0, 999),
        "access_technology": _technology(mode, number(at(f, 6), 0, 999)),
    }


def _technology(mode: int | None, submode: int | None) -> str | None:
    return _SUBMODES.get(submode or 0) or _MODES.get(mode or 0)


def read_sysinfoex(lines: Sequence[str], command: Command) -> Reading | None:
    """^SYSINFOEX:<srv_status>,<srv_domain>,<roam>,<sim_state>,<lock>,<sysmode>,<name>,<submode>,<name>."""
    f = values(lines[-1]) if lines else []
    status = number(at(f, 0), 0, 9)
    if status is None or len(f) < 7:
        return None
    name, submode = text(f[6]), text(at(f, 8))
    return {
        "srv_status": status,
        "srv_domain": number(f[1], 0, 255),
        "roam_status": number(f[2], 0, 9),
        "sim_state": number(f[3], 0, 255),
        "lock_state": number(f[4], 0, 9),
        "sys_mode": number(f[5], 0, 99),
        "sys_mode_name": name,
        "sys_submode": number(at(f, 7), 0, 999),
        "sys_submode_name": submode,
        "access_technology": _submode(submode) or _NAMES.get((name or "").upper()),
    }


_SUBMODE_NAMES = {"EDGE": "EDGE", "GPRS": "GPRS", "GSM": "GPRS", "WCDMA": "UMTS", "LTE": "LTE", "LTE-NR": "NR-NSA"}


def _submode(name: str | None) -> str | None:
    upper = (name or "").upper()
    if upper.startswith(("HSDPA", "HSUPA", "HSPA", "DC-HSPA", "HSPA+")):
        return "UMTSHSPA"
    return _SUBMODE_NAMES.get(upper)


def read_monsc(lines: Sequence[str], command: Command) -> Reading | None:
    """^MONSC: LTE,<mcc>,<mnc>,<arfcn>,<cell>,<pci>,<tac>,<rsrp>,<rsrq>,<rxlev>; WCDMA and GSM in their own orders."""
    f = values(lines[-1]) if lines else []
    rat = unquote(at(f, 0) or "").upper()
    if rat == "LTE" and len(f) >= 9:
        earfcn = eutra_channel(f[3])
        return {
            "access_technology": "LTE",
            "plmn": joined(f[1], f[2]),
            "earfcn": earfcn,
            "band": eutra_band(earfcn),
            "ci": cell(f[4]),
            "pci": hexadecimal(f[5], 503),
            "tac": area(f[6]),
            "rsrp_dbm": rsrp(f[7]),
            "rsrq_db": rsrq(f[8]),
            "rssi_dbm": rssi(at(f, 9)),
        }
    if rat.startswith("NR") and len(f) >= 10:  # <arfcn>,<subcarrier spacing>,<cell>,<pci>,<tac>,<rsrp>,<rsrq>,<sinr>
        channel = nr_channel(f[3])
        return {
            "access_technology": "NR",
            "plmn": joined(f[1], f[2]),
            "earfcn": channel,
            "band": nr_band(channel),
            "ci": cell(f[5], 36),
            "pci": hexadecimal(f[6], 1007),
            "tac": area(f[7], 24),
            "rsrp_dbm": rsrp(f[8]),
            "rsrq_db": rsrq(f[9]),
            "sinr_db": sinr(at(f, 10)),
        }
    if rat == "WCDMA" and len(f) >= 10:
        return {
            "access_technology": "UMTS",
            "plmn": joined(f[1], f[2]),
            "uarfcn": number(f[3], 0, 16_383),
            "psc": number(f[4], 0, 511),
            "ci": cell(f[5]),
            "lac": area(f[6]),
            "rscp_dbm": rscp(f[7]),
            "rssi_dbm": rssi(f[8]),
            "ecio_db": ecio(f[9]),
        }
    if rat == "GSM" and len(f) >= 9:
        return {
            "access_technology": "GPRS",
            "plmn": joined(f[1], f[2]),
            "arfcn": number(f[4], 0, 1023),
            "bsic": number(f[5], 0, 63),
            "ci": cell(f[6], 16),
            "lac": area(f[7]),
            "rssi_dbm": rssi(f[8]),
        }
    return {"access_technology": None, "plmn": None} if rat == "NONE" else None


def _db(raw: str | None, low: float, high: float) -> float | int | None:
    return plain(real(raw, low, high))


def read_dhcp(lines: Sequence[str], command: Command) -> Reading | None:
    """^DHCP: <address>,<mask>,<gateway>,<server>,<dns1>,<dns2>,<rates…> as little-endian hex words."""
    f = values(lines[-1]) if lines else []
    words = [little_endian(raw) for raw in f[:6]]
    if len(words) < 6 or words[0] is None or words[1] is None:
        return None
    given = assigned(words[0])
    return {
        "address": given,
        "prefix_length": sum(bin(int(part)).count("1") for part in words[1].split(".")) if given else None,
        "gateway": assigned(words[2]),
        "dns1": words[4],
        "dns2": words[5],
    }


def read_ndisstat(lines: Sequence[str], command: Command) -> Reading | None:
    """^NDISSTATQRY:<state>[,<err>,<wx>,<type>], several on a line or a line each; without a type it is IPv4."""
    families: dict[str, dict[str, bool]] = {kind: {"available": False, "connected": False} for kind in ("ipv4", "ipv6")}
    found = False
    for line in lines:
        f = values(line)
        for start in range(0, len(f), 4):
            state, kind = number(f[start], 0, 9), unquote(at(f, start + 3) or "IPV4").lower() or "ipv4"
            for family in families:
                if state is not None and kind in (family, "ipv4v6"):
                    families[family] = {"available": True, "connected": state == 1}
                    found = True
    return {**families, "connected": any(f["connected"] for f in families.values())} if found else None


def read_syscfgex(lines: Sequence[str], command: Command) -> Reading | None:
    """^SYSCFGEX: <acqorder>,<band>,<roam>,<srvdomain>,<lteband>: the order of technologies and two band masks."""
    f = values(lines[-1]) if lines else []
    order = unquote(at(f, 0) or "")
    if not re.fullmatch(r"(?:[0-9]{2})+", order) or len(f) < 4:
        return None
    modes = [_ORDER[pair] for pair in re.findall("..", order) if pair in _ORDER]
    return {
        "acquisition_order": order,
        "modes": modes if order != "00" else ["2g", "3g", "4g"],
        "preferred": modes[0] if len(modes) > 1 else None,
        "band_mask": hexadecimal(f[1]),
        "roaming": number(f[2], 0, 9),
        "srv_domain": number(f[3], 0, 9),
        "lte_band_mask": hexadecimal(at(f, 4)),
    }


def read_temperature(lines: Sequence[str], command: Command) -> Reading | None:
    """^CHIPTEMP: several sensors, in tenths of a degree or whole ones; 65535 is no sensor."""
    figures = [number(raw, -400, 1500) for raw in (values(lines[-1]) if lines else [])]
    degrees = [value / 10 if abs(value) > 125 else value for value in figures if value is not None]
    return {"temperature_c": plain(max(degrees))} if degrees else None


def read_ltersrp(lines: Sequence[str], command: Command) -> Reading | None:
    """^LTERSRP: <rsrp>,<rsrq>."""
    f = values(lines[-1]) if lines else []
    strength = _db(at(f, 0), -141, -40)
    return None if strength is None else {"rsrp_dbm": strength, "rsrq_db": _db(at(f, 1), -40, 20)}


def read_cerssi(lines: Sequence[str], command: Command) -> Reading | None:
    """^CERSSI: <rssi>,<rscp>,<ecio>,…,<rsrp>,<rsrq>,<sinr>,…: 0 and 255 where the radio technology has no such thing.

    The LTE figures stand in the fourth place or further on, as firmware goes: they are known by their ranges."""
    f = values(lines[-1]) if lines else []
    reading: Reading = {
        "rssi_dbm": _db(at(f, 0), -130, -1),
        "rscp_dbm": _db(at(f, 1), -130, -1),
        "ecio_db": _db(at(f, 2), -40, -1),
    }
    pairs = ((i, _db(f[i], -141, -44), _db(f[i + 1], -40, -1)) for i in range(3, len(f) - 1))
    lte = next(
        ((i, strength, ratio) for i, strength, ratio in pairs if strength is not None and ratio is not None), None
    )
    if lte is not None:
        reading |= {"rsrp_dbm": lte[1], "rsrq_db": lte[2], "sinr_db": _db(at(f, lte[0] + 2), -30, 40)}
    return known(reading)


def read_csnr(lines: Sequence[str], command: Command) -> Reading | None:
    """^CSNR: <rscp>,<ec/io>."""
    f = values(lines[-1]) if lines else []
    return known({"rscp_dbm": _db(at(f, 0), -130, -1), "ecio_db": _db(at(f, 1), -40, 0)})


def read_mode(lines: Sequence[str], command: Command) -> Reading | None:
    """^MODE:<sysmode>[,<submode>], unasked."""
    f = values(lines[-1]) if lines else []
    mode = number(at(f, 0), 0, 99)
    technology = _technology(mode, number(at(f, 1), 0, 999))
    return None if mode is None else {"sys_mode": mode, "access_technology": technology}


def read_report(lines: Sequence[str], command: Command) -> Reading | None:
    """^DSFLOWRPT:<time>,<sent/s>,<received/s>,<sent>,<received>,<rate>,<rate>, unasked, hexadecimal: this session's."""
    f = [hexadecimal(raw) for raw in values(lines[-1])] if lines else []
    if len(f) < 5 or None in f[:5]:
        return None
    return {"session_bytes_sent": f[3], "session_bytes_received": f[4]}


def read_dhcp6(lines: Sequence[str], command: Command) -> Reading | None:
    """^DHCPV6: <address>,<length>,<gateway>,<server>,<dns1>,<dns2>,…"""
    f = values(lines[-1]) if lines else []
    if len(f) < 6:
        return None
    names = (("address", 0), ("gateway", 2), ("dns1", 4), ("dns2", 5))
    return known({name: assigned(f[index]) for name, index in names})


def read_flow(lines: Sequence[str], command: Command) -> Reading | None:
    """^DSFLOWQRY: <time>,<sent>,<received>,<total time>,<total sent>,<total received>, hexadecimal."""
    f = [hexadecimal(raw) for raw in values(lines[-1])] if lines else []
    if len(f) < 6 or None in f[:6]:
        return None
    return {"session_bytes_sent": f[1], "session_bytes_received": f[2], "bytes_sent": f[4], "bytes_received": f[5]}


def read_ports(lines: Sequence[str], command: Command) -> Reading | None:
    """^GETPORTMODE: TYPE: <mode>: <maker>,<name>:<index>,…: what each USB interface is."""
    found = re.findall(r"([A-Za-z0-9_]+):([0-9]+)", payload(lines[-1])) if lines else []
    return {"ports": [{"name": name, "index": int(index)} for name, index in found]} if found else None


_NDIS = ("^NDISSTATQRY", "^NDISSTAT")
_SIGNAL = "sysmode rssi_dbm rsrp_dbm rsrq_db sinr_db rscp_dbm ecio_db"
_MONITORED = "plmn earfcn band ci pci tac lac rsrp_dbm rsrq_db rssi_dbm sinr_db"
_SYSTEM = "srv_status srv_domain roam_status sim_state sys_mode access_technology"
ROWS = (
    Row("^HCSQ", (READ, EXECUTE), read_hcsq, "Huawei", _SIGNAL),
    Row("^SYSINFO", (EXECUTE, READ), read_sysinfo, "Huawei", _SYSTEM),
    Row("^SYSINFOEX", (EXECUTE, READ), read_sysinfoex, "Huawei", _SYSTEM),
    Row("^MONSC", (EXECUTE, READ), read_monsc, "Huawei", _MONITORED),
    Row("^DHCPV6", (READ,), read_dhcp6, "Huawei", "address gateway dns1 dns2"),
    Row("^CERSSI", (READ,), read_cerssi, "Huawei", "rssi_dbm rscp_dbm ecio_db rsrp_dbm rsrq_db sinr_db"),
    Row("^CSNR", (READ,), read_csnr, "Huawei", "rscp_dbm ecio_db"),
    Row("^DHCP", (READ,), read_dhcp, "Huawei", "address prefix_length gateway dns1 dns2"),
    *(
        Row(name, (READ, EXECUTE, SET), read_ndisstat, "Huawei", "ipv4 ipv6 connected", prefixes=_NDIS)
        for name in _NDIS
    ),
    Row("^SYSCFGEX", (READ,), read_syscfgex, "Huawei", "acquisition_order modes preferred band_mask lte_band_mask"),
    Row("^CHIPTEMP", (READ, EXECUTE), read_temperature, "Huawei", "temperature_c"),
    Row("^LTERSRP", (READ, EXECUTE), read_ltersrp, "Huawei", "rsrp_dbm rsrq_db"),
    Row("^DSFLOWQRY", (EXECUTE, READ), read_flow, "Huawei", "bytes_sent bytes_received session_bytes_sent"),
    Row("^GETPORTMODE", (EXECUTE, READ), read_ports, "Huawei", "ports: name index"),
)
