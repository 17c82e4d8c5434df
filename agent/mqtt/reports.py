"""What the operator is told, in TR-181 names. Pure: the status schema (Snapshot.to_dict) in, payloads out.

A value that is unknown is null, never 0. TR-181 has no SINR, band, cell or data plan: those bear the names of
README.md's vendor extension. Identifiers (IMEI, IMSI, ICCID, MSISDN) appear in twins only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timezone
from typing import TYPE_CHECKING, TypedDict

from agent import SUPPORTED_UNTIL
from agent.plan.model import Moment

VERSION = 1  # of every payload; a field may be added under it, never renamed or given a new meaning

Status = Mapping[str, object]

if TYPE_CHECKING:

    class Traffic(TypedDict, total=False):
        """`m/traffic`."""

        ip: dict[str, object]
        plan: dict[str, object]
        AgentBytes: int
        ForeignBytes: object

    class State(TypedDict):
        """`m/state`."""

        cell: dict[str, object]
        modem: object
        registration: object
        shaper: dict[str, object]
        faults: object


def envelope(body: Mapping[str, object], moment: Moment, *, boot: str, seq: int) -> dict[str, object]:
    """A numbered report: `(boot, seq)` is its key for ever, `up` lets the reader rebuild time when `clk` is unsync."""
    return {
        "v": VERSION,
        "boot": boot,
        "seq": seq,
        "up": int(moment.boot_s),
        "time": moment.wall.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "clk": moment.trust.value,
        **body,
    }


def presence(state: str, *, session: int, boot: str, version: str, nonce: str) -> dict[str, object]:
    """The `status` topic: birth, will and farewell of one session bear the same number."""
    return {
        "v": VERSION,
        "state": state,
        "session": session,
        "boot": boot,
        "version": version,
        "nonce": nonce,
    }


def _dig(source: object, *keys: str) -> object:
    for key in keys:
        if not isinstance(source, Mapping):
            return None
        source = source.get(key)
    return source


def traffic(status: Status, *, agent_bytes: int) -> Traffic:
    """`m/traffic`: what the household used, and what reporting it cost."""
    usage, plan, period = status.get("usage"), status.get("plan"), status.get("period")
    body: Traffic = {
        "ip": {"BytesReceived": _dig(usage, "received_bytes"), "BytesSent": _dig(usage, "sent_bytes")},
        "plan": {
            "PeriodStart": _dig(period, "label"),
            "UsedBytes": _dig(usage, "charged_bytes"),
            "RemainingBytes": _dig(usage, "remaining_bytes"),
            "State": _title(_dig(plan, "state")),
            "ShapingRate": _dig(plan, "rates", "down_bps") or -1,  # TR-181: -1 is no shaping
        },
        "AgentBytes": agent_bytes,
    }
    if apart := _dig(usage, "foreign_bytes"):
        body["ForeignBytes"] = apart
    return body


_SIGNAL = {
    "RSSI": "rssi_dbm",
    "RSRP": "rsrp_dbm",
    "RSRQ": "rsrq_db",
    "SINR": "sinr_db",
    "Band": "band",
    "EARFCN": "earfcn",
    "PCI": "pci",
}


def state(status: Status) -> State:
    """`m/state`: the radio, the modem and the shaper."""
    reading = _dig(status, "modem", "reading")
    signal = _dig(reading, "signal")
    return {
        "cell": {
            "Status": _interface_status(status),
            "CurrentAccessTechnology": _dig(reading, "access_technology"),
            "NetworkInUse": _dig(reading, "operator", "plmn"),
            "RoamingStatus": _roaming(_dig(reading, "registration", "roaming")),
            **{name: _whole(_dig(signal, field)) for name, field in _SIGNAL.items()},
            "TAC": _dig(reading, "registration", "tac"),
            "CellID": _dig(reading, "registration", "ci"),
            "Temperature": _dig(reading, "temperature_c"),
        },
        "modem": _dig(status, "modem", "state"),
        "registration": _dig(reading, "registration", "name"),
        "shaper": {"state": _dig(status, "shaper", "state"), "qdisc": _dig(status, "shaper", "qdisc")},
        "faults": status.get("faults", {}),
    }


def _whole(value: object) -> object:
    return round(value) if isinstance(value, float) else value


def _floor(value: object) -> int | None:
    """By whole percent, so that the twin changes a hundred times a period and not with every byte."""
    return int(value) if isinstance(value, (int, float)) else None


def _roaming(roaming: object) -> str | None:
    return None if roaming is None else "Roaming" if roaming else "Home"


def _title(text: object) -> str | None:
    return text.title() if isinstance(text, str) else None


def _interface_status(status: Status) -> str:
    """TR-181 Interface.Status of the cellular link."""
    links = status.get("links")
    if isinstance(links, list) and any(_dig(link, "up") for link in links):
        return "Up"
    if _dig(status, "modem", "state") == "absent":
        return "NotPresent"
    return "Down" if links else "Unknown"


def info(status: Status, *, commands: Sequence[str]) -> dict[str, object]:
    """`twin/info`: who the device is and what it can be asked for."""
    identity = _dig(status, "modem", "reading", "identity")
    return {
        "DeviceID": status.get("device"),
        "SoftwareVersion": status.get("version"),
        **_updated(status),
        "SupportedUntil": SUPPORTED_UNTIL,
        "Manufacturer": _dig(identity, "manufacturer"),
        "ModelName": _dig(identity, "model"),
        "FirmwareVersion": _dig(identity, "revision"),
        "IMEI": _dig(identity, "imei"),
        "commands": list(commands),
    }


def _updated(status: Status) -> dict[str, object]:
    """What became of the last update, and which version ran before where it succeeded."""
    update = status.get("update")
    if not isinstance(update, Mapping):
        return {"PreviousVersion": None, "LastUpdate": None}
    result = {"Version": update["version"], "Result": _title(update["result"]), "Reason": update["reason"] or None}
    by_it = update["result"] == "installed" and update["version"] == status.get("version")
    return {"PreviousVersion": update["previous"] if by_it else None, "LastUpdate": result}


def sim(status: Status) -> dict[str, object]:
    """`twin/sim`."""
    found = _dig(status, "modem", "reading", "sim")
    return {
        "Status": _dig(found, "state"),
        "IMSI": _dig(found, "imsi"),
        "ICCID": _dig(found, "iccid"),
        "MSISDN": _dig(found, "msisdn"),
    }


def plan(status: Status, *, plan: Mapping[str, object]) -> dict[str, object]:
    """`twin/plan`: what was promised and where the period stands; what changes all day is in m/traffic."""
    usage, period = status.get("usage"), status.get("period")
    return {
        "PeriodStart": _dig(period, "start"),
        "PeriodEnd": _dig(period, "end"),
        "AllowanceBytes": _dig(usage, "allowance_bytes"),
        "TopUpBytes": _dig(usage, "topup_bytes"),
        "LimitBytes": _dig(usage, "limit_bytes"),
        "OperatorUsedBytes": _dig(status, "operator_count", "used_bytes"),
        "OperatorAsOf": _dig(status, "operator_count", "as_of"),
        "OperatorSource": _dig(status, "operator_count", "source"),
        "DifferenceBytes": _dig(status, "operator_count", "difference_bytes"),
        "CorrectionBytes": _dig(usage, "correction_bytes"),
        "UsedPercent": _floor(_dig(usage, "percent")),
        "State": _title(_dig(status, "plan", "state")),
        "BillingDay": plan.get("billing_day"),
        "TimeZone": plan.get("timezone"),
        "WarnPercent": plan.get("warn_percent"),
        "Steps": plan.get("steps"),
    }
