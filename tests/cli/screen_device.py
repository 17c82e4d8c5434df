"""The one device of the screens: what its agent answers, and what the doctor sees of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from agent.doctor.evidence import Evidence
from agent.errors import NotPermitted
from agent.net.facts import Disk, Reach, Route, WanLink
from agent.status_schema import Modem
from tests.cli import sample
from tests.control.conftest import Table

READING = Path(__file__).with_name("reading.json")  # of the simulator's EC25, by the agent's own Modem

NOW = "2026-11-22T08:35:12Z"
PERIOD = {"label": "2026-11-01", "start": "2026-10-31T23:00:00Z", "end": "2026-11-30T23:00:00Z"}
DAYS_GB = (
    0.8,
    1.4,
    1.1,
    1.2,
    1.35,
    0.6,
    1.0,
    1.7,
    1.5,
    0.9,
    1.3,
    1.25,
    0.7,
    1.6,
    1.9,
    1.2,
    1.4,
    1.1,
    1.5,
    1.3,
    1.6,
    0.5,
)
USED = {"received_bytes": 24_040_000_000, "sent_bytes": 3_120_000_000, "charged_bytes": 27_160_000_000}
ANSWER = (
    b'\r\n+QENG: "servingcell","NOCONN","LTE","FDD",206,01,328261F,280,1300,3,4,4,BE3,-94,-9,-66,8,30\r\n\r\nOK\r\n'
)
CONFIG = """[device]
state_dir = "{folder}/state"
run_dir = "{folder}/run"

[modem]
port = "/dev/ttyUSB2"
poll_s = 30.0

[wan]
interfaces = ["wan0"]
"""


def reading() -> Any:
    found: dict[str, Any] = json.loads(READING.read_text())
    return found


def usage(topup_bytes: int = 0) -> dict[str, Any]:
    limit = 40_000_000_000 + topup_bytes
    left = limit - USED["charged_bytes"]
    share = USED["charged_bytes"] * 100 / limit
    plan = {"management_bytes": 0, "allowance_bytes": 40_000_000_000, "topup_bytes": topup_bytes, "limit_bytes": limit}
    return {**USED, **plan, "remaining_bytes": left, "percent": share}


def plan(state: str = "normal", reason: str = "67.9 % used") -> dict[str, Any]:
    rates = {"down_bps": 5_000_000, "up_bps": 2_000_000}
    return {"state": state, "reason": reason, "since": PERIOD["start"], "rates": rates}


def status(**changes: Any) -> Any:
    """The device of all screens, on 22 November 2026."""
    session = {**sample.status()["session"], "connected": False, "broker": "", "since_boot_s": None}
    return sample.status(
        **{
            "time": NOW,
            "device": "imei::001017000000003",
            "modem": {"state": "ready", "reason": "", "cause": "none", "reading": reading()},
            "links": [{"ifname": "wan0", "ifindex": 4, "kind": "veth", "up": True, "mtu": 1500}],
            "usage": usage(),
            "period": PERIOD,
            "plan": plan(),
            "shaper": {"state": "enforced", "qdisc": "tbf", "rates": plan()["rates"], "reason": "", "advice": ""},
            "session": session,
            **changes,
        }
    )


def days() -> list[dict[str, Any]]:
    first, share = date(2026, 11, 1), USED["sent_bytes"] / USED["charged_bytes"]
    whole = [round(gb * USED["charged_bytes"] / sum(DAYS_GB)) for gb in DAYS_GB]
    return [
        {
            "day": (first + timedelta(days=n)).isoformat(),
            "received_bytes": round(b * (1 - share)),
            "sent_bytes": round(b * share),
        }
        for n, b in enumerate(whole)
    ]


def months() -> list[dict[str, Any]]:
    rows = (("2026-09-01", 31_900_000_000, 3_970_000_000), ("2026-10-01", 35_300_000_000, 4_350_000_000))
    now = ("2026-11-01", USED["received_bytes"], USED["sent_bytes"])
    return [{"period": p, "received_bytes": r, "sent_bytes": s} for p, r, s in (*rows, now)]


EVENTS = (
    ("2026-11-18T21:34:51Z", "boot", {"version": sample.status()["version"]}),
    ("2026-11-20T19:44:12Z", "throttle", {"kind": "throttled", "UsedBytes": 25_000_000_000,
                                          "reason": "abuse (by support)", "LimitBytes": 40_000_000_000,
                                          "ShapingRate": 512_000}),
    ("2026-11-20T20:11:40Z", "throttle", {"kind": "restored", "reason": "62.5 % used", "ShapingRate": -1}),
    ("2026-11-21T17:02:40Z", "trouble", {"state": "began", "cause": "operator-outage"}),
    ("2026-11-21T17:04:52Z", "modem-reset", {"cause": "operator-outage", "level": "attach", "reason": ""}),
    ("2026-11-21T17:09:55Z", "trouble", {"state": "ended", "cause": "operator-outage", "causes": ["operator-outage"],
                                         "since": "2026-11-21T17:02:40Z", "seconds": 435}),
    ("2026-11-22T08:31:07Z", "command", {"name": "modem.at", "source": "local:root (uid 0)", "role": "admin"}),
    ("2026-11-22T08:33:29Z", "command", {"name": "throttle.lift", "source": "local:root (uid 0)", "role": "admin"}),
)  # fmt: skip
LOCAL, DESK = ("local:root (uid 0)", "admin", "local-5f1c09ab"), ("support", "act", "01JD3W7K9Q")
TRAIL = (
    (1, "2026-11-22T08:33:29Z", "throttle.lift", "running", LOCAL),
    (2, "2026-11-22T08:33:29Z", "throttle.lift", "succeeded", LOCAL),
    (3, "2026-11-22T08:34:02Z", "plan.topup", "running", DESK),
    (4, "2026-11-22T08:34:02Z", "plan.topup", "succeeded", DESK),
)


def audited(number: int, time: str, name: str, what: str, who: tuple[str, str, str]) -> dict[str, Any]:
    """An entry of the audit trail."""
    issuer, role, key = who
    told = {"n": number, "time": time, "clk": "sync", "type": name, "what": what, "code": None, "reason": ""}
    return {**told, "issuer": issuer, "role": role, "id": key}


ECHO = {"host": "10.99.0.1", "address": "10.99.0.1", "sent": 3, "received": 3, "min_ms": 21.4, "median_ms": 24.9}


class Device(Table):
    """Answers as the agent of that device does."""

    def __init__(self) -> None:
        super().__init__()
        self.plan = plan()
        self.speed_url = "http://speed.operator.example/5MB"
        self.rows = {
            "status": ("read", self._one(lambda: status(plan=self.plan))),
            "usage": ("read", self._usage),
            "modem.signal": ("read", self._one(self._signal)),
            "log.get": ("read", self._log),
            "diag.ping": ("read", self._one(lambda: {"v": 1, **ECHO, "max_ms": 31.0, "times_ms": [24.9, 21.4, 31.0]})),
            "config.get": ("read", self._one(lambda: {"v": 1, "config": {"probe": {"speed_url": self.speed_url}}})),
            "diag.speed": ("act", self._speed),
            "modem.at": ("act", self._at),
            "modem.reset": ("act", self._one(lambda: {"v": 1, "level": "radio", "text": "radio switched off and on"})),
            "throttle.lift": ("act", self._lift),
            "throttle.auto": ("act", self._lift),
            "plan.topup": ("act", self._one(lambda: {"v": 1, "usage": usage(2_000_000_000)})),
        }

    @staticmethod
    def _one(answer: Callable[[], dict[str, Any]]) -> Callable[..., Any]:
        async def run(args: dict[str, Any], progress: Any) -> dict[str, Any]:
            return answer()

        return run

    def _signal(self) -> dict[str, Any]:
        return {"v": 1, "time": NOW, **{n: reading()[n] for n in ("signal", "registration", "operator")},
                "access_technology": "LTE"}  # fmt: skip

    async def _usage(self, args: dict[str, Any], progress: Any) -> dict[str, Any]:
        more = {**({"days": days()} if "days" in args else {}), **({"months": months()} if "months" in args else {})}
        return {"v": 1, "time": NOW, "clk": "sync", "usage": usage(), "period": PERIOD, "plan": plan(), **more}

    async def _log(self, args: dict[str, Any], progress: Any) -> dict[str, Any]:
        rows = [{"time": t, "clk": "sync", "boot_s": 0.0, "name": name, "data": data} for t, name, data in EVENTS]
        if not args.get("audit"):
            return {"v": 1, "events": rows}
        return {"v": 1, "audit": [audited(*row) for row in TRAIL], "broken": None}

    async def _at(self, args: dict[str, Any], progress: Any) -> dict[str, Any]:
        if args["command"] != "AT+CSQ":
            raise NotPermitted(f"{args['command']!r} is not in the list of allowed AT commands")
        return {"v": 1, "lines": ["+CSQ: 24,99"], "final": "OK", "code": None}

    async def _speed(self, args: dict[str, Any], progress: Any) -> dict[str, Any]:
        assert args["url"] == self.speed_url
        moved = {"down_bytes": args["bytes"], "wire_bytes": args["bytes"] * 104 // 100, "first_byte_ms": 48.2}
        return {"v": 1, "down_bps": 4_712_345, **moved, **({"up_bps": None} if "upload_url" in args else {})}

    async def _lift(self, args: dict[str, Any], progress: Any) -> dict[str, Any]:
        self.plan = plan("lifted", f"{args['reason']} (by root on the device)") if "reason" in args else plan()
        return {"v": 1}


# -- what the doctor sees -----------------------------------------------------------------------------------------


def evidence() -> Evidence:
    """What the doctor sees of the device."""
    whole = status()
    gateway = "10.99.0.1"
    return Evidence(
        config_file="/etc/modem-agent/config.toml",
        wan_patterns=("wan0",),
        status=whole,
        modem=whole["modem"],
        links=(WanLink("wan0", up=True, carrier=True, addresses=("10.99.0.2", "fd99::2")),),
        routes=(Route("wan0", gateway),),
        resolvers=(Reach(gateway, True, 21.0),),
        hosts=(Reach("1.1.1.1:443", True, 33.0), Reach("9.9.9.9:443", True, 35.0)),
        clock="sync",
        wall_year=2026,
        disk=Disk("/var/lib/modem-agent", 76_960_000_000),
        page="",
    )


def without_sim() -> Evidence:
    seen = evidence()
    told = reading()
    told.update(sim={"state": "not-inserted", "lock": "not-inserted"}, contexts=[], access_technology=None)
    told["registration"] = {**told["registration"], "stat": 0, "name": "not registered", "domains": {}}
    told["operator"] = {"plmn": None, "name": None}
    modem: Modem = {"state": "ready", "reason": "", "cause": "sim-missing", "reading": told}
    dead = tuple(replace(host, ok=False, ms=None, problem="no answer") for host in seen.hosts or ())
    link = WanLink("wan0", up=True, carrier=True)
    return replace(
        seen, status=status(modem=modem), modem=modem, links=(link,), routes=(), resolvers=(), hosts=dead
    )  # fmt: skip
