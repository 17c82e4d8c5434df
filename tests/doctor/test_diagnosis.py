"""The doctor's judgement, link by link: what is shown to it, and which one root cause it names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.doctor.diagnosis import CHECKS, diagnose
from agent.doctor.evidence import Evidence
from agent.doctor.finding import LEVELS
from agent.errors import PortDenied
from agent.net.facts import Disk, Reach, Route, WanLink
from agent.system import DEBIAN, OPENWRT_APK, OPENWRT_OPKG, System
from tests.cli import sample

LINK = WanLink("wwan0", up=True, carrier=True, addresses=("10.64.0.2",))


def healthy(**changes: Any) -> Evidence:
    """A device with nothing wrong."""
    status = sample.status()
    status["modem"]["reading"]["contexts"] = [{"cid": 1, "apn": "internet", "active": True, "address": "10.64.0.2"}]
    evidence = Evidence(
        config_file="/etc/modem-agent/config.toml",
        status=status,
        modem=status["modem"],
        links=(LINK,),
        routes=(Route("wwan0", "10.64.0.1"),),
        resolvers=(Reach("10.64.0.53", True, 21.0),),
        hosts=(Reach("1.1.1.1:443", True, 33.0), Reach("9.9.9.9:443", True, 35.0)),
        broker=Reach("broker.example:8883", True, 40.0),
        clock="sync",
        wall_year=2026,
        disk=Disk("/var/lib/modem-agent", 80_000_000),
    )
    return replace(evidence, **changes)


def modem(state: str = "ready", **parts: Any) -> dict[str, Any]:
    """A module whose reading differs from the healthy one in the named parts."""
    reading = {**(healthy().modem or {})["reading"], **parts}
    return {"state": state, "reason": "", "reading": reading if state == "ready" else None}


def test_a_healthy_device_has_no_root_cause() -> None:
    diagnosis = diagnose(healthy())
    assert diagnosis.root is None
    assert diagnosis.worst == "ok"
    assert [name for name, _ in diagnosis.findings] == [name for name, _ in CHECKS]
    assert {finding.level for _, finding in diagnosis.findings} == {"ok"}


DEAD = (Reach("1.1.1.1:443", False, None, "no answer"), Reach("9.9.9.9:443", False, None, "no answer"))
SILENT = (Reach("10.64.0.53", False, None, "no answer"),)
NO_SIGNAL = {"rsrp_dbm": None, "sinr_db": None, "rssi_dbm": None}
FAINT = {"rsrp_dbm": -126, "sinr_db": -9.0}
SLOW = {"state": "throttled", "reason": "40.00 GB used", "rates": {"down_bps": 512_000, "up_bps": 512_000}}


@pytest.mark.parametrize(
    ("link", "cause", "level", "changes"),
    [
        ("port", "usb-gone", "fault", {"modem": modem("absent"), "links": (), "routes": (), "hosts": DEAD}),
        ("port", "usb-gone", "warning", {"modem": modem("absent")}),
        ("port", "port-stolen", "fault", {"modem": modem("busy")}),
        ("port", "not-permitted", "warning", {"modem": {**modem("busy"), "reason": str(PortDenied("/dev/ttyUSB2"))}}),
        ("modem", "modem-hung", "fault", {"modem": modem("hung"), "hosts": DEAD, "resolvers": SILENT}),
        ("modem", "modem-hot", "warning", {"modem": modem(temperature_c=86)}),
        (
            "SIM",
            "sim-missing",
            "fault",
            {"modem": modem(sim={"state": "not-inserted"}, registration={"stat": 2}), "hosts": DEAD},
        ),
        ("SIM", "sim-locked", "fault", {"modem": modem(sim={"state": "SIM PIN", "pin_attempts": 2})}),
        ("SIM", "sim-locked", "fault", {"modem": modem(sim={"state": "SIM PUK", "pin_attempts": 10})}),
        ("SIM", "sim-locked", "fault", {"modem": modem(sim={"state": "PH-NET PIN"})}),
        ("SIM", "sim-missing", "fault", {"modem": modem(sim={"state": "failure"})}),
        ("registration", "registration-denied", "fault", {"modem": modem(registration={"stat": 3, "reject_cause": 7})}),
        ("registration", "registration-denied", "fault", {"modem": modem(registration={"stat": 8})}),
        (
            "registration",
            "no-coverage",
            "fault",
            {"modem": modem(registration={"stat": 2}, signal=NO_SIGNAL), "hosts": DEAD},
        ),
        (
            "registration",
            "no-coverage",
            "fault",
            {"modem": modem(registration={"stat": 2}, signal=FAINT), "hosts": DEAD},
        ),
        ("registration", "not-registered", "fault", {"modem": modem(registration={"stat": 2}), "hosts": DEAD}),
        (
            "registration",
            "no-coverage",
            "fault",
            {"modem": modem(registration={"stat": 2}, signal=NO_SIGNAL), "routes": (Route("eth0", "192.168.1.1"),)},
        ),
        ("registration", "roaming", "warning", {"modem": modem(registration={"stat": 5})}),
        ("signal", "weak-signal", "warning", {"modem": modem(signal={"rsrp_dbm": -108, "sinr_db": 3.0})}),
        ("SIM", "sim-missing", "warning", {"modem": modem(sim={"state": "busy"})}),
        ("attach", "apn", "fault", {"modem": modem(attached=False)}),
        ("attach", "apn", "fault", {"modem": modem(contexts=[{"cid": 1, "apn": "wrong", "active": False}])}),
        ("address", "no-wan-interface", "fault", {"links": (), "routes": (), "hosts": DEAD, "resolvers": SILENT}),
        ("address", "wan-down", "fault", {"links": (replace(LINK, up=False, addresses=()),), "routes": ()}),
        ("address", "apn", "fault", {"links": (replace(LINK, addresses=()),), "routes": (), "hosts": DEAD}),
        ("route", "no-route", "fault", {"routes": (), "hosts": DEAD, "resolvers": SILENT}),
        ("route", "other-route", "warning", {"routes": (Route("eth0", "192.168.1.1"),)}),
        ("name server", "name-server", "fault", {"resolvers": SILENT}),
        ("name server", "name-server", "fault", {"resolvers": ()}),
        ("internet", "operator-outage", "fault", {"hosts": DEAD, "resolvers": SILENT}),
        ("internet", "one-host", "warning", {"hosts": (healthy().hosts or ())[:1] + DEAD[1:]}),
        ("speed", "throttled", "warning", {"status": sample.status(plan=SLOW)}),
        ("agent", "agent-dead", "fault", {"status": None, "agent_problem": "not running", "agent_dead": True}),
        ("agent", "agent-hung", "fault", {"status": None, "agent_problem": "the agent did not answer"}),
        ("agent", "not-permitted", "warning", {"status": None, "agent_problem": "may not", "agent_refused": True}),
        ("agent", "agent-fault", "warning", {"status": sample.status(faults={"task.modem": 2})}),
        ("agent", "agent-version", "warning", {"status": sample.status(version="9.0.0")}),
        ("clock", "clock", "warning", {"clock": "unsync"}),
        ("clock", "clock", "warning", {"wall_year": 1970}),
        ("counters", "counters", "fault", {"status": sample.status(links=[])}),
        ("shaper", "shaper", "fault", {"status": sample.status(shaper={"state": "unenforced", "reason": "no ifb"})}),
        ("disk", "disk", "fault", {"disk": Disk("/var", 10_000)}),
        ("disk", "disk", "fault", {"disk": Disk("/var", 10_000_000, read_only=True)}),
        ("disk", "disk", "fault", {"store_problem": "file is not a database"}),
        ("disk", "disk", "warning", {"disk": Disk("/var", 3_000_000)}),
        ("configuration", "configuration", "fault", {"config_problem": "x.toml: line 3: not TOML"}),
    ],
)
def test_each_fault_is_the_root_and_named(link: str, cause: str, level: str, changes: dict[str, Any]) -> None:
    diagnosis = diagnose(healthy(**changes))
    assert diagnosis.root is not None
    name, finding = diagnosis.root
    assert (name, finding.cause, finding.level) == (link, cause, level)
    assert diagnosis.worst == level
    assert finding.text
    assert finding.advice.endswith((".", "'"))
    assert len(finding.advice) > 10


def test_a_broker_that_is_away_and_one_that_refuses() -> None:
    session = {**sample.status()["session"], "connected": False, "last_error": "not authorised"}
    status = sample.status(session=session)
    away = Reach("broker.example:8883", False, None, "no answer")
    assert diagnose(healthy(status=status, broker=away)).cause == "broker"
    refusing = diagnose(healthy(status=status))
    assert refusing.cause == "broker"
    assert refusing.root is not None
    assert "not authorised" in refusing.root[1].text
    assert diagnose(healthy(status=status, broker=None)).cause == "no-broker"


def test_slowed_on_purpose_explains_more_than_a_weak_signal() -> None:
    status = sample.status(plan=SLOW)
    evidence = healthy(status=status, modem=modem(signal={"rsrp_dbm": -105, "sinr_db": 2.0}))
    assert diagnose(evidence).cause == "throttled"


def test_data_that_flows_outweighs_the_modules_word() -> None:
    diagnosis = diagnose(healthy(modem=modem(registration={"stat": 6, "name": "sms only"})))
    assert diagnosis.root is None


def test_nothing_known_is_nothing_claimed() -> None:
    diagnosis = diagnose(Evidence())
    levels = {finding.level for _, finding in diagnosis.findings}
    assert "fault" not in levels
    assert levels <= set(LEVELS)


def test_the_dictionary_says_all() -> None:
    shown = diagnose(healthy(hosts=DEAD, resolvers=SILENT)).to_dict()
    assert shown["v"] == 1
    assert shown["cause"] == "operator-outage"
    assert shown["root"]["link"] == "internet"
    assert [row["link"] for row in shown["links"]] == [name for name, _ in CHECKS]


# -- advice is for the system that it is given on ----------------------------------------------------------------------

FOREIGN = {  # what a technician cannot type there
    DEBIAN: ("/etc/init.d", "opkg", "apk add", "logread", "OpenWrt"),
    OPENWRT_OPKG: ("systemctl", "journalctl", "apt ", "udev", "apk add"),
    OPENWRT_APK: ("systemctl", "journalctl", "apt ", "udev", "opkg"),
}
BROKEN: tuple[dict[str, Any], ...] = (
    {"agent_problem": "no answer"},
    {"agent_problem": "no socket", "agent_dead": True},
    {"config_problem": "plan.billing_day: out of range"},
    {"config_refused": "uci: Parse error at line 3"},
    {"links": (LINK, WanLink("wwan1", up=True, carrier=True, addresses=()))},
    {"status": {**(healthy().status or {}), "version": "0.0.1"}},
    {"modem": {"state": "busy", "reason": "ModemManager has it", "reading": None}},
    {"modem": {"state": "absent", "reason": "", "reading": None}},
)


@pytest.mark.parametrize("system", FOREIGN, ids=["debian", "opkg", "apk"])
@pytest.mark.parametrize("changes", BROKEN)
def test_advice_speaks_of_the_system_at_hand(system: System, changes: dict[str, Any]) -> None:
    diagnosis = diagnose(healthy(system=system, **changes))
    advice = " ".join(finding.advice for _, finding in diagnosis.findings)
    assert advice
    assert not [word for word in FOREIGN[system] if word in advice], advice


def test_a_refused_configuration_is_a_warning_with_its_sentence() -> None:
    refused = "/etc/config/modem-agent: uci: Parse error (invalid command) at line 3, byte 0"
    diagnosis = diagnose(healthy(config_refused=refused, system=OPENWRT_APK))
    assert diagnosis.root is not None
    name, finding = diagnosis.root
    assert (name, finding.level) == ("configuration", "warning")
    assert refused in finding.text
    assert "/etc/config/modem-agent" in finding.advice
