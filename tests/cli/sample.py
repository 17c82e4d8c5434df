"""A status as the agent gives it, for the verbs to show; tests change what they are about."""

from __future__ import annotations

import copy
from typing import Any

from agent import __version__

_STATUS: dict[str, Any] = {
    "v": 1,
    "time": "2026-11-22T07:15:00Z",
    "clk": "sync",
    "up": 300_000,
    "boot": "9f1c2e34-0000-4000-8000-000000000000",
    "device": "imei::990000862471854",
    "version": __version__,
    "agent_up_s": 299_980,
    "modem": {
        "state": "ready",
        "reading": {
            "identity": {"manufacturer": "Quectel", "model": "EC25", "revision": "EC25EFAR06A03", "imei": "x"},
            "sim": {"state": "READY", "imsi": "206010000000001", "iccid": None, "msisdn": None, "pin_attempts": 3},
            "registration": {"stat": 1, "name": "home", "roaming": False, "tac": 11544, "ci": 27439877, "act": 7},
            "operator": {"plmn": "20601", "name": "Proximus"},
            "signal": {
                "rssi_dbm": -66,
                "rsrp_dbm": -94,
                "rsrq_db": -9,
                "sinr_db": 8.4,
                "band": 3,
                "earfcn": 1650,
                "pci": 193,
            },
            "access_technology": "LTE",
            "port": "/dev/ttyUSB2",
            "temperature_c": 41,
        },
    },
    "links": [{"ifname": "wwan0", "ifindex": 4, "kind": "", "up": True, "mtu": 1500}],
    "usage": {
        "received_bytes": 18_100_000_000,
        "sent_bytes": 2_830_000_000,
        "charged_bytes": 20_930_000_000,
        "management_bytes": 1_200_000,
        "allowance_bytes": 40_000_000_000,
        "topup_bytes": 0,
        "limit_bytes": 40_000_000_000,
        "remaining_bytes": 19_070_000_000,
        "percent": 52.325,
    },
    "period": {"label": "2026-11-01", "start": "2026-10-31T23:00:00Z", "end": "2026-11-30T23:00:00Z"},
    "plan": {
        "state": "normal",
        "reason": "52 % of the allowance used",
        "since": "2026-10-31T23:00:00Z",
        "rates": {"down_bps": 5_000_000, "up_bps": 2_000_000},
    },
    "shaper": {
        "state": "enforced",
        "qdisc": "cake",
        "rates": {"down_bps": 5_000_000, "up_bps": 2_000_000},
        "reason": "",
        "advice": "",
    },
    "session": {
        "connected": True,
        "since_boot_s": 299_000.0,
        "session": 3,
        "broker": "broker.example:8883",
        "protocol": "5",
        "last_error": "",
        "attempts": 0,
        "agent_bytes": 41_000,
        "budget_bytes": 100_000,
        "beat_s": 900.0,
        "keepalive_s": 1000,
    },
    "announced": {"wifi": {"state": "yes", "reason": ""}, "cable": {"state": "yes", "reason": ""}},
    "outbox": {"rows": 0, "dropped": 0},
    "faults": {},
    "alarms": [],
    "store": "ok",
}


def status(**changes: Any) -> Any:
    """A healthy status, with top-level fields changed."""
    return {**copy.deepcopy(_STATUS), **changes}
