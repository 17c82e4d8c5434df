"""The recorded replies, and the one place where each origin's conventions are turned into ours.

An origin says `{"rsrp": -96}` where we say `rsrp_dbm`, gives areas as hex text or numbers, 0 where a value is absent,
the upper bound of a step where we give the lower. `translate` maps an expectation to (path in our object, value) pairs;
a key without a mapping is an error, so that no expectation is dropped unseen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data" / "at-captures.jsonl"
Row = dict[str, Any]
Pairs = list[tuple[str, Any]]

# Values that an origin words differently.
_ACT = {"gsm": (None, 0), "umts": (2,), "edge": (3,), "lte": (7,), "5gnr": (11, 12), "unknown": (None,)}
_PDP = {"ipv4": "IP", "ipv6": "IPV6", "ipv4v6": "IPV4V6"}
_MODES = {"2g": ["2g"], "3g": ["3g"], "4g": ["4g"], "none": []}


class OneOf(tuple[Any, ...]):
    """Any of these values meets the expectation."""


class Near(float):
    """Within one step of the scale: origins disagree on whether a step's lower or upper bound is meant."""


def rows() -> list[Row]:
    return [json.loads(line) for line in DATA.read_text("utf-8").splitlines()]


def _hex(value: object) -> int:
    return int(str(value), 16)


def _place(value: object) -> object:
    """0 stands for `absent` in ModemManager's tables; a hex text is the number it spells."""
    return OneOf((0, None)) if value == 0 else value if isinstance(value, int) else _hex(value)


def _plmn(mcc: object, mnc: object) -> object:
    """Origins that keep an MNC as a number have lost its leading zero."""
    left, right = f"{int(str(mcc)):03}", int(str(mnc))
    return OneOf((f"{left}{right:02}", f"{left}{right:03}"))


def _operator(value: str | None) -> Pairs:
    return [("plmn" if value is not None and value.isdigit() else "operator", value)]


def _text(value: str | None) -> str | None:
    return value or None


# -- one function a kind, where the kind needs more than renaming -----------------------------------------------------


def _registration(expected: Row) -> Pairs:
    pairs: Pairs = []
    for key, value in expected.items():
        match key:
            case "domain":
                pairs.append(("domain", {"creg": "cs", "cgreg": "ps", "cereg": "eps", "c5greg": "5gs"}[value]))
            case "lac_tac":
                pairs.append(("lac|tac", _place(value)))
            case "lac" | "tac" | "ci" | "rac":
                pairs.append((key, _place(value)))
            case "act":
                pairs.append(("act", OneOf(_ACT[value]) if isinstance(value, str) else value))
            case "AcT" | "stat" | "n" | "cause_type" | "reject_cause" | "csg_stat" | "cag_stat":
                pairs.append(({"AcT": "act"}.get(key, key), int(value)))
            case "state" if value == "attached":
                pairs.append(("attached", True))
            case "ip":
                pairs.append(("address", None if value == "0.0.0.0" else value))
            case "manufacturer":
                pairs.append((key, value))
            case "Manufacturer" | "Model" | "Revision" | "SVN" | "IMEI":
                pairs.append((key.lower(), value))
            case "+GCAP":
                pairs.append(("capabilities", value))
            case "state" | "Allowed_NSSAI" | "csginfo" | "caginfo" | "t3324_s" | "t3412_s":
                names = {"Allowed_NSSAI": "allowed_nssai", "csginfo": "csg_info", "caginfo": "cag_info",
                         "t3324_s": "active_time_s", "t3412_s": "periodic_tau_s"}  # fmt: skip
                pairs.append((names.get(key, key), value))
            case "raw_output" | "Allowed_NSSAI_length":
                pass  # the origin's own repetition of the line
            case _:
                raise KeyError(key)
    return pairs


def _networks(expected: Row) -> Pairs:
    pairs: Pairs = [("networks#", len(expected["networks"]))]
    for index, network in enumerate(expected["networks"]):
        act = network["act"]
        pairs += [
            (f"networks.{index}.status", network["status"]),
            (f"networks.{index}.operator", _text(network["long"])),
            (f"networks.{index}.short", _text(network["short"])),
            (f"networks.{index}.plmn", network["code"]),
            (f"networks.{index}.act", OneOf(_ACT[act]) if isinstance(act, str) else act),
        ]
    return pairs


def _contexts(expected: Row) -> Pairs:
    pairs: Pairs = [("contexts#", len(expected["contexts"]))]
    for index, context in enumerate(expected["contexts"]):
        for key, value in context.items():
            value = _PDP.get(value, value) if key == "pdp_type" else value
            pairs.append((f"contexts.{index}.{'address' if key == 'ipv4' else key}", value))
    return pairs


def _cell(expected: Row, prefix: str = "") -> Pairs:
    """QENG, CPSI, RFSTS and XMCI in the names of a dozen origins."""
    pairs: Pairs = []
    names = {"rsrp": "rsrp_dbm", "rsrq": "rsrq_db", "rssi": "rssi_dbm", "rscp": "rscp_dbm", "ecio": "ecio_db",
             "snr_db": "sinr_db", "tech": "rat", "dl_bandwidth_mhz": "bandwidth_mhz"}  # fmt: skip
    if "mcc" in expected and expected["mcc"] is not None:
        pairs.append((prefix + "plmn", _plmn(expected["mcc"], expected["mnc"])))
    for key, value in expected.items():
        if key in ("mcc", "mnc", "lte", "nr", "serving", "neighbours", "mode", "bands", "ul_bw", "dl_bw"):
            continue
        if key in ("cell_id", "tac", "lac", "rac"):
            name = "ci" if key == "cell_id" else key
            pairs.append((prefix + name, value if value is None or isinstance(value, int) else _hex(value)))
        elif key == "sinr":
            pairs.append((prefix + "sinr_raw|sinr_db", value))
        elif key == "band":
            pairs.append((prefix + key, int(value)))
        elif key == "arfcn":
            pairs.append((prefix + "earfcn|arfcn", value))
        elif key == "plmn":
            pairs.append((prefix + key, value.replace(" ", "").replace("-", "")))
        elif key == "rat" and value == "GSM":
            pairs.append((prefix + "access_technology", "GPRS"))
        else:
            pairs.append((prefix + names.get(key, key), value))
    return pairs


def _qeng(expected: Row) -> Pairs:
    pairs = _cell(expected)
    if expected.get("lte"):
        pairs += _cell(expected["lte"])
    if expected.get("nr"):
        pairs += _cell(expected["nr"], "nr.")
    if "nr" in expected and expected["nr"] is None:
        pairs.append(("nr", None))
    if "lte" in expected and expected["lte"] is None:
        pairs += [("rsrp_dbm", None), ("cells#", 0)]
    for index, band in enumerate(expected.get("bands", ())):
        pairs.append(("band" if index == 0 else "nr.band", int(band[1:])))
    if expected.get("mode") == "NSA":
        pairs.append(("access_technology", "NR-NSA"))
    return pairs + [(n, {5: 20}[expected[k]]) for k, n in (("dl_bw", "bandwidth_mhz"), ("ul_bw", "bandwidth_up_mhz"))
                    if k in expected]  # fmt: skip


def _xmci(expected: Row) -> Pairs:
    pairs = [*_cell(expected["serving"]), ("neighbours#", len(expected["neighbours"]))]
    return pairs + [pair for i, cell in enumerate(expected["neighbours"]) for pair in _cell(cell, f"neighbours.{i}.")]


def _time(expected: Row) -> Pairs:
    names = {"tz_offset_minutes": "utc_offset_minutes", "dst_offset_minutes": "dst_minutes"}
    pairs: Pairs = []
    for key, value in expected.items():
        if key in ("iso8601", "utc"):
            value = value.replace("Z", "+00:00")
            pairs.append(("time", value if value[-3] == ":" else value + ":00"))
        elif key == "error":
            pairs.append(("time", None))
        elif key == "fields":
            pairs += [("utc_offset_minutes", -240), ("dst_minutes", 60), ("time", "2020-03-13T13:21:36+00:00")]
        else:
            # an absent zone counts as 0 there, and is null here beside a time given as if UTC
            pairs.append((names[key], OneOf((0, None)) if value == 0 else value))
    return pairs


def _strengths(expected: Row) -> Pairs:
    """CESQ and XCESQ: indices, and decibels by the lower or (Nordic) the upper bound."""
    pairs: Pairs = []
    for key, value in expected.items():
        if key in ("gsm", "umts", "lte"):
            probe = {"gsm": "rssi_dbm", "umts": "rscp_dbm", "lte": "rsrp_dbm"}[key]
            pairs += _strengths(value) if value else [(probe, None)]
        elif key in ("rsrq_level", "rsrp_level"):
            pairs.append((key.replace("level", "index"), value))
        elif key in ("rxlev", "ber", "rscp_level", "ecn0_level", "rssnr_level"):
            continue  # the same figures come as decibels below; unknown ones are null
        else:
            pairs.append(({"snr_db": "sinr_db"}.get(key, key), None if value is None else Near(value)))
    return pairs


def _urc(expected: Row) -> Pairs:
    if "fields" in expected:
        kind, *rest = expected["fields"]
        return [("type", kind), *([("rssi", rest[0]), ("ber", rest[1])] if kind == "csq" else [("act_name", rest[0])])]
    if "started" in expected:
        return [("!unsolicited", "VOICE CALL: BEGIN")]
    return [({"act": "act_name"}.get(key, key), value) for key, value in expected.items()]


def _ndisstat(expected: Row) -> Pairs:
    return [(f"{family}.{key}", value) for family, flags in expected.items() for key, value in flags.items()]


def _address(expected: Row) -> Pairs:
    names = {"ipv4_addr": "ipv4_address", "ipv6_addr": "ipv6_address", "ipv4_gw": "ipv4_gateway|gateway",
             "addr": "address", "prefix": "prefix_length"}  # fmt: skip
    pairs: Pairs = []
    for key, value in expected.items():
        if isinstance(value, str) and ":" in value:
            value = str(ip_address(value))
        pairs.append((names.get(key, key), OneOf((0, None)) if value == 0 else value))
    return pairs


def _dynamic(expected: Row) -> Pairs:
    names = {"local_address": "address", "gateway_address": "gateway", "dns_primary_address": "dns1",
             "dns_secondary_address": "dns2"}  # fmt: skip
    return [(names.get(key, key), value) for key, value in expected.items()]


def _qnwinfo(expected: Row) -> Pairs:
    names = {"act": "act_name", "tech": "act_name", "operator": "plmn", "operator_numeric": "plmn", "band": "band_name",
             "channel": "earfcn"}  # fmt: skip
    if "networks" in expected:
        return [(f"networks.{i}.{names[k]}", v) for i, n in enumerate(expected["networks"]) for k, v in n.items()]
    if "fields" in expected:
        return list(zip(("act_name", "plmn", "band_name", "earfcn"), expected["fields"], strict=True))
    return [(names.get(key, key), value) for key, value in expected.items() if key != "generation"]


def _identity(expected: Row) -> Pairs:
    return [("lines" if key in ("lines", "revision_lines") else key, value) for key, value in expected.items()]


def _final(expected: Row) -> Pairs:
    if "payload" in expected:
        return [("fields", [int(part) for part in expected["payload"].split(",")]), ("!final", expected["status"])]
    if expected.get("complete", True):
        return [("!failed", expected["error"])]
    return [("!final", None)]


def _rename(**names: str) -> Callable[[Row], Pairs]:
    return lambda expected: [(names.get(key, key), value) for key, value in expected.items()]


def _bands_and_modes(expected: Row) -> Pairs:
    allowed = expected["allowed"]
    modes = allowed if isinstance(allowed, list) else _MODES[allowed]
    preferred = None if expected["preferred"] == "none" else expected["preferred"]
    pairs: Pairs = [("modes", modes), ("preferred", preferred)]
    # ^SYSCFGEX's band names need the test form's list, which is another command's answer: the masks are given instead.
    return pairs + ([("bands", expected["bands"])] if "bands" in expected else [])


def _functionality(expected: Row) -> Pairs:
    if "fun" in expected:
        return [("fun", expected["fun"])]
    on = expected.get("power_state", "low" if expected.get("allowed_modes") == "none" else "on") == "on"
    return [("radio", on)]


def _event(expected: Row) -> Pairs:
    return [({"pdp_addr": "address"}.get(k, k), OneOf((0, None)) if v == 0 else v) for k, v in expected.items()]


def _ports(expected: Row) -> Pairs:
    return [("ports#", len(expected["ports"]))]


def _signal_index(expected: Row) -> Pairs:
    return [({"rssi": "rssi_index", "dbm": "rssi_dbm"}[key], value) for key, value in expected.items()]


def _qcsq(expected: Row) -> Pairs:
    names = {"rat": "sysmode", "rssi": "rssi_dbm", "rsrp": "rsrp_dbm", "rsrq": "rsrq_db"}
    return [(names.get(key, key), value) for key, value in expected.items()]


def _antennas(expected: Row) -> Pairs:
    return [(f"antennas.{ {'lte': 'LTE', 'nr': 'NR5G'}[key] }", value) for key, value in expected.items()]


def _pin(expected: Row) -> Pairs:
    return [("lock", expected["lock"])] if "lock" in expected else [("state", expected["state"])]


def _counters(expected: Row) -> Pairs:
    names = {"session_tx_bytes": "session_bytes_sent", "session_rx_bytes": "session_bytes_received",
             "total_tx_bytes": "bytes_sent", "total_rx_bytes": "bytes_received"}  # fmt: skip
    return [(names.get(key, key), value) for key, value in expected.items()]


def _qspn(expected: Row) -> Pairs:
    return [
        ("operator", expected["long"]),
        ("short", expected["short"]),
        ("plmn", _plmn(expected["mcc"], expected["mnc"])),
    ]


def _system(expected: Row) -> Pairs:
    pairs = [(key, value) for key, value in expected.items() if key != "sys_submode_valid"]
    return pairs if expected.get("sys_submode_valid", True) else [*pairs, ("sys_submode", None)]


def _cops(expected: Row) -> Pairs:
    pairs: Pairs = []
    for key, value in expected.items():
        if key == "operator":
            pairs += _operator(value)
        else:
            pairs.append((key, OneOf(_ACT[value]) if isinstance(value, str) else value))
    return pairs


def _hcsq(expected: Row) -> Pairs:
    """Raw figures there, decibels here: the scales of section 6.1 of the AT facts, written out."""
    rssi, rsrp, sinr, rsrq, _ = expected["values"]
    return [
        ("rssi_dbm", rssi - 121),
        ("rsrp_dbm", rsrp - 141),
        ("sinr_db", round(sinr / 5 - 20.2, 1)),
        ("rsrq_db", rsrq / 2 - 20),
    ]


def _formats(expected: Row) -> Pairs:
    return [(f"formats.{i}.{k}", _PDP.get(v, v)) for i, f in enumerate(expected["formats"]) for k, v in f.items()]


def _charsets(expected: Row) -> Pairs:
    return [("charsets~", expected["charsets"])]


KINDS: dict[str, Callable[[Row], Pairs]] = {
    "reg": _registration, "moler": _registration, "cops_test": _networks, "cops": _cops, "cgdcont": _contexts,
    "cgact": _contexts, "scact": _contexts, "cgdcont_test": _formats, "cgcontrdp": _dynamic, "cgev": _event,
    "cclk": _time, "nwtime": _time, "time": _time, "qlts": _time, "cesq": _strengths, "xcesq": _strengths,
    "cesq_nordic": _strengths, "csq": _signal_index, "qcsq": _qcsq, "qeng": _qeng, "cpsi": _cell, "rfsts": _cell,
    "xmci": _xmci, "qnwinfo": _qnwinfo, "qspn": _qspn, "qrsrp": _antennas, "hcsq": _hcsq, "urc": _urc,
    "ndisstat": _ndisstat, "ipdpaddr": _address, "e2ipcfg": _address, "dhcp": _address, "ident": _identity,
    "final": _final, "cfun": _functionality, "syscfgex": _bands_and_modes, "urat": _bands_and_modes,
    "xact": _bands_and_modes, "portmode": _ports, "cpin": _pin, "ugcntrd": _counters, "sysinfo": _system,
    "sysinfoex": _system, "cscs": _charsets,
    "csim": _rename(retries="pin_attempts"), "crsm": _rename(hex="response"), "mtsm": _rename(temp_c="temperature_c"),
    "qtemp": _rename(max="temperature_c"), "swpkgv": _rename(version="revision"), "iccid": _rename(), "cnum": _rename(),
    "upincnt": _rename(), "bnd": _rename(), "qcfg": _rename(), "qnetdevctl": _rename(), "cscon": _rename(),
    "cmer": lambda expected: [("modes", [1]), ("indicators", [0, 1])],
    "boot": lambda expected: [("!unsolicited*", expected["urcs"])],
    "echo": lambda expected: [("!failed", False)] if "complete" in expected else [("!body", expected["without_echo"])],
    "error_code": lambda expected: [("!final", "CME"), ("!code", expected["cme"])],
}  # fmt: skip


def translate(row: Row) -> Iterator[tuple[str, Any]]:
    """What our object must hold for one recorded reply."""
    expected = row["expected"]
    if expected.get("error") is True and row["kind"] not in ("final", "error_code"):
        yield "!error", True
        return
    if row["kind"] == "csim" and "error" in expected:
        yield "blocked", True
        return
    if row["kind"] == "qss":
        yield "!error", True
        return
    yield from KINDS[row["kind"]](expected)
