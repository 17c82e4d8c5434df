"""Packet data: +CGDCONT, +CGACT, +CGPADDR, +CGCONTRDP (27.007 clauses 10.1.1, 10.1.10, 10.1.14, 10.1.23) and +CGEV.

Addresses come dotted, IPv6 ones as 16 dotted octets, masks glued behind the address or in a field of their own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address

from agent.at.engine.grammar import (
    Reading,
    at,
    groups,
    hexadecimal,
    number,
    number_list,
    payload,
    split,
    text,
    unquote,
    values,
)
from agent.at.engine.row import EXECUTE, READ, SET, TEST, Command, Row

_DOTTED = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3})+", re.ASCII)


def address(raw: str | None) -> str | None:
    """One IP address; 0.0.0.0 and :: are no address yet."""
    found = addresses(raw)
    return found[0] if found else None


def addresses(raw: str | None) -> list[str]:
    """Address, and mask when it is glued behind: dotted octets or a colon form, two of them behind a space or comma."""
    value = unquote(raw) if raw else ""
    found: list[str] = []
    for part in re.split(r"[ ,]+", value):
        one = _colon_form(part) if ":" in part else _dotted(part)
        if not one:
            return []
        found += one
    return found


def _dotted(value: str) -> list[str]:
    """4 octets are an IPv4 address, 8 with its mask, 16 an IPv6 one, 32 with its mask, 20 one of each; what stands
    behind a slash, which no clause knows, is left out."""
    value = value.split("/")[0]
    if not _DOTTED.fullmatch(value):
        return []
    octets = [int(part) for part in value.split(".")]
    if any(octet > 255 for octet in octets):
        return []
    old, new = {4: (4, 0), 8: (8, 0), 16: (0, 16), 20: (4, 16), 32: (0, 32)}.get(len(octets), (0, 0))
    quads = [".".join(map(str, octets[i : i + 4])) for i in range(0, old, 4)]
    return quads + [str(IPv6Address(bytes(octets[i : i + 16]))) for i in range(old, old + new, 16)]


def _colon_form(value: str) -> list[str]:
    try:
        return [str(ip_address(value.split("/")[0]))]
    except ValueError:
        return []


def little_endian(raw: str) -> str | None:
    """An IPv4 address as Huawei and early Quectel firmware write it: a hex word with its first octet last."""
    value = hexadecimal(raw)
    return None if value is None or value > 0xFFFFFFFF else ".".join(map(str, value.to_bytes(4, "little")))


def assigned(raw: str | None) -> str | None:
    """An address that has been given: not the all-zero one."""
    return next(iter(all_assigned(raw)), None)


def all_assigned(raw: str | None) -> list[str]:
    """Every address of a field that has been given; a dual-stack one may hold both."""
    return [found for found in addresses(raw) if found not in ("0.0.0.0", "::")]


def addressing(fields: Sequence[str]) -> Reading:
    """Address, gateway and name servers from four fields in this order, as many as there are."""
    return {name: assigned(at(list(fields), i)) for i, name in enumerate(("address", "gateway", "dns1", "dns2"))}


def read_contexts(lines: Sequence[str], command: Command) -> Reading | None:
    contexts = [context for line in lines if (context := _context(values(line))) is not None]
    if not contexts:
        return None
    first = next((c for c in contexts if c["apn"]), contexts[0])
    return {"contexts": contexts, "apn": first["apn"], "pdp_type": first["pdp_type"], "address": first["address"]}


def _context(f: list[str]) -> Reading | None:
    cid = number(at(f, 0), 0, 255)
    if cid is None or len(f) < 2:
        return None
    kind = text(f[1])
    return {
        "cid": cid,
        "pdp_type": kind.upper() if kind else None,
        "apn": text(at(f, 2)),
        "address": assigned(at(f, 3)),
    }


def read_context_test(lines: Sequence[str], command: Command) -> Reading | None:
    """+CGDCONT: (1-10),"IP",…, a line a type; or one line with all types in a list."""
    formats: list[Reading] = []
    for line in lines:
        body = payload(line)
        cids = number_list(groups(body)[0] if body.startswith("(") and groups(body) else body.partition(",")[0])
        types = re.findall(r'"(IP|IPV6|IPV4V6|PPP|Non-IP|NonIP|X\.25|Unstructured|Ethernet)"', body, re.IGNORECASE)
        formats.extend({"min_cid": min(cids), "max_cid": max(cids), "pdp_type": kind.upper()} for kind in types if cids)
    return {"formats": formats} if formats else None


def read_active(lines: Sequence[str], command: Command) -> Reading | None:
    """+CGACT: <cid>,<state>, a line a context; !SCACT likewise."""
    contexts: list[Reading] = []
    for f in map(values, lines):
        cid, state = number(at(f, 0), 0, 255), number(at(f, 1), 0, 1)
        if cid is not None and state is not None:
            contexts.append({"cid": cid, "active": bool(state)})
    return {"contexts": contexts} if contexts else None


def read_addresses(lines: Sequence[str], command: Command) -> Reading | None:
    contexts: list[Reading] = []
    for f in map(values, lines):
        cid = number(at(f, 0), 0, 255)
        if cid is not None:
            given = [found for raw in f[1:] for found in all_assigned(raw)]
            contexts.append({"cid": cid, "address": given[0] if given else None, "addresses": given})
    if not contexts:
        return None
    best = next((c for c in contexts if c["address"]), contexts[0])
    return {"contexts": contexts, "cid": best["cid"], "address": best["address"]}


def read_dynamic(lines: Sequence[str], command: Command) -> Reading | None:
    """+CGCONTRDP; one line an IP family, cut after any field; a mask glued to the address or in its own field."""
    contexts = [c for line in lines if (c := _dynamic(values(line))) is not None]
    return {**contexts[0], "contexts": contexts} if contexts else None


def _dynamic(f: list[str]) -> Reading | None:
    cid, bearer = number(at(f, 0), 0, 255), number(at(f, 1), 0, 255)
    if cid is None or (bearer is None and len(f) < 3):
        return None
    local, rest = addresses(at(f, 3)), f[4:]
    mask = local[1] if len(local) > 1 and _is_mask(local[1]) else None
    if mask is None and local and _is_mask(at(rest, 0)):
        mask, rest = address(rest[0]), rest[1:]
    return {
        "cid": cid,
        "bearer_id": bearer,
        "apn": text(at(f, 2)),
        "address": local[0] if local else None,
        "subnet": mask,
        "gateway": address(at(rest, 0)),
        "dns1": address(at(rest, 1)),
        "dns2": address(at(rest, 2)),
    }


def _is_mask(raw: str | None) -> bool:
    """Ones then zeros, so that the older layout with a mask of its own is known from the newer one."""
    found = address(raw)
    if found is None:
        return False
    value = ip_address(found)
    bits = f"{int(value):0{value.max_prefixlen}b}"
    return "01" not in bits and bits.startswith("1")


# -- +CGEV ---------------------------------------------------------------------------------------------------------

_EVENTS: tuple[tuple[re.Pattern[str], str, tuple[str, ...]], ...] = tuple(
    (re.compile(pattern), event, names)
    for pattern, event, names in (
        (r"(NW|ME) DETACH", "detach", ()),
        (r"(NW|ME) CLASS \"?(\w+)\"?", "class", ("class",)),
        (r"(NW|ME) PDN ACT (\d+)(?:, ?(\d+))?(?:, ?(\d+))?.*", "act-primary", ("cid", "reason", "cid_other")),
        (r"(NW|ME) PDN DEACT (\d+)(?:, ?(\d+))?.*", "deact-primary", ("cid", "reason")),
        (r"(NW|ME) ACT (\d+), ?(\d+), ?(\d+).*", "act-secondary", ("parent_cid", "cid", "event_type")),
        (r"(NW|ME) DEACT (\d+), ?(\d+), ?(\d+).*", "deact-secondary", ("parent_cid", "cid", "event_type")),
        (r"(NW|ME) DEACT \"?([\w.]+)\"?, ?\"?([^,\"]+)\"?(?:, ?(\d+))?", "deact-pdp", ("pdp_type", "address", "cid")),
        (r"(NW|ME) REACT \"?([\w.]+)\"?, ?\"?([^,\"]+)\"?(?:, ?(\d+))?", "react", ("pdp_type", "address", "cid")),
        (r"(NW|ME) MODIFY (\d+), ?(\d+)(?:, ?(\d+))?.*", "modify", ("cid", "reason", "event_type")),
        (r"()REJECT \"?([\w.]+)\"?, ?\"?([^,\"]+)\"?", "reject", ("pdp_type", "address")),
    )
)


def read_event(lines: Sequence[str], command: Command) -> Reading | None:
    body = payload(lines[-1]) if lines else ""
    for pattern, event, names in _EVENTS:
        match = pattern.fullmatch(body)
        if match:
            by = f"{match[1].lower()}-" if match[1] else ""
            found = dict(zip(names, match.groups()[1:], strict=False))
            return {"event": by + event, **{key: _event_value(key, value) for key, value in found.items()}}
    return None


def _event_value(key: str, value: str | None) -> object:
    return value if value is None or key in ("pdp_type", "address", "class") else int(value[:9])


def read_counters(lines: Sequence[str], command: Command) -> Reading | None:
    """u-blox +UGCNTRD: <cid>,<session sent>,<session received>,<total sent>,<total received>, 64 bits wide."""
    contexts: list[Reading] = []
    for f in map(values, lines):
        figures = [number(raw, 0) for raw in f[:5]]
        if len(figures) == 5 and None not in figures:
            cid, sent, received, total_sent, total_received = figures
            contexts.append({"cid": cid, "session_bytes_sent": sent, "session_bytes_received": received,
                             "bytes_sent": total_sent, "bytes_received": total_received})  # fmt: skip
    return {**contexts[0], "contexts": contexts} if contexts else None


def read_icera_address(lines: Sequence[str], command: Command) -> Reading | None:
    """%IPDPADDR: <cid>,<ip>,<gw>,<dns1>,<dns2>,<nbns1>,<nbns2>[,<mask>,<gw>][,<ipv6>,<gw6>,<dns6>,<dns6>,…].

    The mask may be the class A default before the true one; IPv6 begins at the first field with a colon.
    """
    f = values(lines[-1]) if lines else []
    cid = number(at(f, 0), 0, 255)
    if cid is None or len(f) < 5:
        return None
    split_at = next((i for i, raw in enumerate(f) if ":" in raw), len(f))
    old, new = f[1:split_at], f[split_at:]
    masks = [raw for raw in old[6:] if _is_mask(raw)]
    mask = address(masks[-1]) if masks and assigned(at(old, 0)) else None
    return {
        "cid": cid,
        "address": assigned(at(old, 0)) or assigned(at(new, 0)),
        "ipv4_address": assigned(at(old, 0)),
        "ipv4_prefix": f"{int(ip_address(mask)):b}".count("1") if mask else None,
        "gateway": assigned(at(old, 1)),
        "dns1": assigned(at(old, 2)) or assigned(at(new, 2)),
        "dns2": assigned(at(old, 3)) or assigned(at(new, 3)),
        "ipv4_dns1": assigned(at(old, 2)),
        "ipv4_dns2": assigned(at(old, 3)),
        "ipv6_address": assigned(at(new, 0)),
        "ipv6_dns1": assigned(at(new, 2)),
        "ipv6_dns2": assigned(at(new, 3)),
    }


def read_mbm_config(lines: Sequence[str], command: Command) -> Reading | None:
    """Ericsson *E2IPCFG: (1,<address>)(2,<gateway>)(3,<dns>)(3,<dns>), of either family."""
    found: dict[str, str] = {}
    for group in groups(" ".join(map(payload, lines))):
        kind, raw = number(at(split(group), 0), 1, 3), address(at(split(group), 1))
        if kind is None or raw is None:
            continue
        family = "ipv6" if ":" in raw else "ipv4"
        name = {1: "address", 2: "gateway"}.get(kind) or ("dns2" if f"{family}_dns1" in found else "dns1")
        found[f"{family}_{name}"] = raw
    names = [f"{family}_{name}" for family in ("ipv4", "ipv6") for name in ("address", "gateway", "dns1", "dns2")]
    both = {"address": found.get("ipv4_address") or found.get("ipv6_address")}
    return {**both, **{name: found.get(name) for name in names}} if found else None


def read_given(lines: Sequence[str], command: Command) -> Reading | None:
    """Whatever addresses stand in the answer to `activate` or `which address`."""
    given = [found for line in lines for raw in values(line) for found in all_assigned(raw)]
    return {"address": given[0], "addresses": given} if given else None


def read_application(lines: Sequence[str], command: Command) -> Reading | None:
    """SIMCom +CNACT: [<cid>,]<state>,<address>."""
    contexts: list[Reading] = []
    for f in map(values, lines):
        state = number(at(f, -2), 0, 2)
        if state is not None:
            cid = number(f[0], 0, 24) if len(f) > 2 else None
            contexts.append({"cid": cid, "active": state == 1, "address": assigned(f[-1])})
    found = next((c["address"] for c in contexts if c["address"]), None)
    return {"contexts": contexts, "address": found} if contexts else None


def read_interfaces(lines: Sequence[str], command: Command) -> Reading | None:
    """u-blox +UIPADDR: <cid>,<interface>,<IPv4>,<mask>,<IPv6>/<length>,<link-local>/<length>."""
    contexts: list[Reading] = []
    for f in map(values, lines):
        cid = number(at(f, 0), 0, 255)
        if cid is not None and len(f) >= 3:
            given = [found for raw in (f[2], at(f, 4)) for found in all_assigned(raw)]
            contexts.append({"cid": cid, "address": given[0] if given else None, "addresses": given})
    return {"contexts": contexts, "cid": contexts[0]["cid"], "address": contexts[0]["address"]} if contexts else None


def read_profile(lines: Sequence[str], command: Command) -> Reading | None:
    """Quectel +QICSGP: <type>,<apn>,<user>,<password>,<authentication>; the last three are nobody's business."""
    f = values(lines[-1]) if lines else []
    kind = number(at(f, 0), 0, 4)
    if kind is None or len(f) < 2:
        return None
    return {"pdp_type": {1: "IP", 2: "IPV6", 3: "IPV4V6"}.get(kind), "apn": text(f[1])}


def read_network_apn(lines: Sequence[str], command: Command) -> Reading | None:
    """SIMCom +CGNAPN: <valid>,<apn>: what the network gave."""
    f = values(lines[-1]) if lines else []
    return {"apn": text(at(f, 1))} if number(at(f, 0), 0, 1) is not None else None


_BARE_ADDRESS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", re.ASCII)
_DYNAMIC = "cid bearer_id apn address subnet gateway dns1 dns2 contexts"
ROWS = (
    Row("+CGDCONT", (READ,), read_contexts, "27.007 10.1.1", "apn pdp_type address contexts: cid pdp_type apn address"),
    Row("+CGDCONT", (TEST,), read_context_test, "27.007 10.1.1", "formats: min_cid max_cid pdp_type"),
    Row("+CGACT", (READ,), read_active, "27.007 10.1.10", "contexts: cid active", 10.0),
    Row("+CGACT", (SET,), None, "27.007 10.1.10", "", 150.0, dials=True),
    Row("+CGATT", (SET,), None, "27.007 10.1.9", "", 140.0),
    Row(
        "+CGPADDR",
        (SET, EXECUTE, READ),
        read_addresses,
        "27.007 10.1.14",
        "cid address contexts: cid address addresses",
    ),
    Row("+CGCONTRDP", (SET, EXECUTE), read_dynamic, "27.007 10.1.23", _DYNAMIC),
    Row(
        "+UGCNTRD",
        (EXECUTE, READ),
        read_counters,
        "u-blox",
        "bytes_sent bytes_received session_bytes_sent session_bytes_received",
    ),
    *(
        Row(name, (READ,), read_active, vendor, "contexts: cid active")
        for name, vendor in (("!SCACT", "Sierra"), ("#SGACT", "Telit"), ("^SICA", "Cinterion"), ("^SWWAN", "Cinterion"))
    ),
    *(
        Row(name, (SET, EXECUTE), read_given, vendor, "address addresses", 150.0, bare=_BARE_ADDRESS)
        for name, vendor in (
            ("#SGACT", "Telit"),
            ("#ECM", "Telit"),
            ("+IPADDR", "SIMCom"),
            ("+CIFSR", "SIMCom"),
        )
    ),
    Row("+CNACT", (READ,), read_application, "SIMCom", "address contexts: cid active address"),
    *(
        Row(name, (SET, EXECUTE, READ), read_addresses, vendor, "cid address contexts: cid address addresses")
        for name, vendor in (("#CGPADDR", "Telit"), ("!SCPADDR", "Sierra"))
    ),
    Row("+UIPADDR", (SET,), read_interfaces, "u-blox", "cid address contexts: cid address addresses"),
    Row("+QICSGP", (SET,), read_profile, "Quectel", "pdp_type apn"),
    Row("+CGNAPN", (EXECUTE,), read_network_apn, "SIMCom", "apn"),
    Row("%IPDPADDR", (SET,), read_icera_address, "Icera", "cid address gateway dns1 dns2 ipv4_prefix"),
    Row(
        "*E2IPCFG",
        (READ,),
        read_mbm_config,
        "Ericsson MBM",
        "address ipv4_address ipv4_gateway ipv4_dns1 ipv6_address ipv6_dns1",
    ),
)
