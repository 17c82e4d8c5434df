"""The screens of `agent/cli/README.md` (three of them in the top README too), rendered from one fixed device.

python -m tests.cli.screens writes them into the README; tests/cli/test_screens.py fails when the two differ. A verb
that asks the agent is run as a technician runs it, against an agent that answers from the tables below; what depends
on this machine (doctor, meter, store, bundle) is rendered from its own pure part.
"""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from agent.cli import screen
from agent.cli.meter import Meter
from agent.cli.times import ZONE
from agent.cli.verbs import bundle, doctor
from agent.cli.verbs import status as status_verb
from agent.doctor.bundle import Entry
from agent.doctor.diagnosis import diagnose
from agent.doctor.evidence import Evidence
from agent.errors import NotPermitted
from agent.net.facts import Disk, Reach, Route, WanLink
from agent.status_schema import Modem
from tests.cli import sample
from tests.control.conftest import Table, serving

README = Path(__file__).parents[2] / "agent" / "cli" / "README.md"
TOP_README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"^```\n\$ modem-agent (.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
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
        self.rows = {
            "status": ("read", self._one(lambda: status(plan=self.plan))),
            "usage": ("read", self._usage),
            "modem.signal": ("read", self._one(self._signal)),
            "log.get": ("read", self._log),
            "diag.ping": ("read", self._one(lambda: {"v": 1, **ECHO, "max_ms": 31.0, "times_ms": [24.9, 21.4, 31.0]})),
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

    async def _lift(self, args: dict[str, Any], progress: Any) -> dict[str, Any]:
        self.plan = plan("lifted", f"{args['reason']} (by root on the device)") if "reason" in args else plan()
        return {"v": 1}


# -- what depends on the machine ----------------------------------------------------------------------------------


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


def examined(seen: Callable[[], Evidence]) -> Callable[[Path], str]:
    return lambda folder: "\n".join(doctor.lines(diagnose(seen()))) + "\n"


def stored(folder: Path) -> str:
    """`status` with the agent dead: the store's screen, and the sentence."""
    ZONE.reckon_by(lambda: "Europe/Brussels")
    kept = status(stored={"age_s": 2400}, version=None, agent_up_s=None)
    error = "modem-agent: the agent is not running (no control socket /run/modem-agent/control.sock)\n"
    return "\n".join(status_verb.lines(kept)) + "\n" + error


def bundled(folder: Path) -> str:
    """A bundle of a device whose agent has not run since the device started."""
    names = ("doctor", "status", "config", "versions", "events", "usage", "links", "qdiscs", "system", "log")
    entries = [Entry(f"{name}.json", True, 0.1, 900) for name in names]
    missing = "no readings are kept: the agent has not run since the device started"
    entries.append(Entry("readings.jsonl", False, 0.0, 0, missing))
    return "\n".join(bundle.lines(Path("ticket.tar.gz"), 5_800, entries)) + "\n"


def watched(folder: Path) -> str:
    """The meter while an antenna is turned past the mast and on."""
    meter, start = Meter(), datetime(2026, 11, 22, 9, 36, 5)  # noqa: DTZ001  the wall clock that stands on the screen
    at = start
    for beat in range(48):
        at = start + timedelta(seconds=beat)
        angle = math.cos((beat - 21) / 24 * math.pi / 2)
        heard = reading()
        heard["signal"].update(
            rsrp_dbm=round(-104 + 15 * angle), sinr_db=round(3 + 12 * angle), rssi_dbm=round(-74 + 15 * angle)
        )
        meter.take(heard, at)
    lines = meter.lines(80, at)
    return "\n".join(line.rstrip() for line in [*lines, *screen.wrap(meter.summary(), 80)]) + "\n"


# -- the whole README ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Screen:
    """`shown`: lines that stand in the README before `...`; 0 is all. `bare`: the verb takes no --config."""

    words: str
    render: Callable[[Path], str] | None = None
    shown: int = 0
    bare: bool = False


SCREENS = (
    Screen("status"),
    Screen("status", stored),
    Screen("usage"),
    Screen("usage --months"),
    Screen("signal"),
    Screen("signal --watch", watched),
    Screen("modem", shown=34),
    Screen("log"),
    Screen("log --audit"),
    Screen("doctor", examined(evidence)),
    Screen("doctor", examined(without_sim)),
    Screen("ping 10.99.0.1 --count 3"),
    Screen("at AT+CSQ"),
    Screen("at AT+CFUN=1,1"),
    Screen("decode 'AT+QENG=\"servingcell\"' answer.txt", shown=20, bare=True),
    Screen("bundle --out ticket.tar.gz", bundled),
    Screen("reset radio --yes"),
    Screen("throttle lift --reason telemedicine"),
    Screen("throttle auto"),
    Screen("topup 2GB --yes"),
    Screen("setup --yes --no-doctor --apn internet --wan wan0"),
    Screen("config check"),
    Screen("config show", shown=20),
    Screen("commands", shown=20),
)


# Those of the top README: an ordinary day, a fault, the signal.
TOP_SCREENS = (SCREENS[0], SCREENS[10], SCREENS[4])


@contextmanager
def stage() -> Iterator[Path]:
    """A folder with the device's configuration and its agent's socket."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "run").mkdir()
        (folder / "config.toml").write_text(CONFIG.format(folder=folder))
        (folder / "answer.txt").write_bytes(ANSWER)
        with serving(folder / "run" / "control.sock", Device()):
            yield folder


def rendered(screen_: Screen, folder: Path) -> str:
    """What stands below the command line."""
    more = () if screen_.bare else ("--config", str(folder / "config.toml"))
    text = screen_.render(folder) if screen_.render else _run((*shlex.split(screen_.words), *more), folder)
    lines = text.splitlines()
    if screen_.shown and len(lines) > screen_.shown:
        lines = [*lines[: screen_.shown], "..."]
    return "\n".join(lines) + "\n"


def _run(words: tuple[str, ...], folder: Path) -> str:
    """Standard output, and the sentence of an error; the progress that a pipe gets is left out."""
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli", *words],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(folder), "PYTHONPATH": str(README.parents[2])},
        cwd=folder,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith(("modem-agent: ", "note: "))]
    text = done.stdout + "".join(line + "\n" for line in said)
    return (
        text.replace(str(folder / "config.toml"), "/etc/modem-agent/config.toml")
        .replace(str(folder / "state"), "/var/lib/modem-agent")
        .replace(str(folder / "run"), "/run/modem-agent")
    )


def main() -> int:
    """Write the screens into both README files, in their order."""
    with stage() as folder:
        for file, screens in ((README, SCREENS), (TOP_README, TOP_SCREENS)):
            file.write_text(BLOCK.sub(_fresh(iter(screens), folder), file.read_text()))
    return 0


def _fresh(wanted: Iterator[Screen], folder: Path) -> Callable[[re.Match[str]], str]:
    def fresh(found: re.Match[str]) -> str:
        each = next(wanted)
        assert found[1] == each.words, f"the README shows {found[1]!r} where {each.words!r} is due"
        return f"```\n$ modem-agent {each.words}\n{rendered(each, folder)}```"

    return fresh


if __name__ == "__main__":
    sys.exit(main())
