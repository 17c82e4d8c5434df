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
        page="",
    )
    return replace(evidence, **changes)


def modem(state: str = "ready", **parts: Any) -> Any:
    """A module whose reading differs from the healthy one in the named parts."""
    reading = {**healthy().reading, **parts}
    return {"state": state, "reason": "", "reading": reading if state == "ready" else None}


def test_a_healthy_device_has_no_root_cause() -> None:
    diagnosis = diagnose(healthy())
    assert diagnosis.root is None
    assert diagnosis.worst == "ok"
    assert [name for name, _ in diagnosis.findings] == [name for name, _ in CHECKS]
    assert {finding.level for _, finding in diagnosis.findings} == {"ok"}


def announced(wifi: str, cable: str) -> dict[str, dict[str, str]]:
    """What the devices are told, as the agent's status has it."""
    states = {"wifi": wifi, "cable": cable}
    return {name: {"state": state, "reason": f"why {state}"} for name, state in states.items()}


@pytest.mark.parametrize("states", [("yes", "yes"), ("none", "yes"), ("none", "none"), ("off", "off")])
def test_what_is_announced_to_the_devices_is_one_line(states: tuple[str, str]) -> None:
    """A router without Wi-Fi or without a DHCP server of its own is no fault."""
    found = dict(diagnose(healthy(status=sample.status(announced=announced(*states)))).findings)["devices"]
    assert found.level == "ok"
    assert found.text.startswith("announced to the devices: Wi-Fi {}, cable {} (why".format(*states))


DEAD = (Reach("1.1.1.1:443", False, None, "no answer"), Reach("9.9.9.9:443", False, None, "no answer"))
SILENT = (Reach("10.64.0.53", False, None, "no answer"),)
NO_SIGNAL = {"rsrp_dbm": None, "sinr_db": None, "rssi_dbm": None}
FAINT = {"rsrp_dbm": -126, "sinr_db": -9.0}
RESTORED = {"result": "restored", "version": "0.2.0", "previous": "0.1.0", "reason": "the broker was not reached"}
SLOW = {"state": "throttled", "reason": "40.00 GB used", "rates": {"down_bps": 512_000, "up_bps": 512_000}}


# What is broken: the link that is the root, its cause and level, and how the device differs from a healthy one.
FAULTS: list[tuple[str, str, str, dict[str, Any]]] = [
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
    ("agent", "update-failed", "warning", {"status": sample.status(update=RESTORED)}),
    ("agent", "update-failed", "warning", {"status": sample.status(update={**RESTORED, "result": "refused"})}),
    ("clock", "clock", "warning", {"clock": "unsync"}),
    ("clock", "clock", "warning", {"wall_year": 1970}),
    ("counters", "counters", "fault", {"status": sample.status(links=[])}),
    ("shaper", "shaper", "fault", {"status": sample.status(shaper={"state": "unenforced", "reason": "no ifb"})}),
    ("devices", "announced", "warning", {"status": sample.status(announced=announced("no", "yes"))}),
    ("devices", "announced", "warning", {"status": sample.status(announced=announced("none", "no"))}),
    ("disk", "disk", "fault", {"disk": Disk("/var", 10_000)}),
    ("disk", "disk", "fault", {"disk": Disk("/var", 10_000_000, read_only=True)}),
    ("disk", "disk", "fault", {"store_problem": "file is not a database"}),
    ("disk", "disk", "warning", {"disk": Disk("/var", 3_000_000)}),
    ("configuration", "configuration", "fault", {"config_problem": "x.toml: line 3: not TOML"}),
]


@pytest.mark.parametrize(("link", "cause", "level", "changes"), FAULTS)
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


@pytest.mark.parametrize(("days", "level", "says"), [
    (None, "ok", "broker.example:8883"), (400, "ok", "in 400 days"), (30, "ok", "in 30 days"),
    (29, "warning", "in 29 days"), (-3, "warning", "in 0 days"),
])  # fmt: skip
def test_how_long_the_devices_certificate_lasts(days: int | None, level: str, says: str) -> None:
    session = {**sample.status()["session"], "connected": True}
    finding = dict(diagnose(healthy(status=sample.status(session=session), certificate_days=days)).findings)["broker"]
    assert finding.level == level
    assert finding.text.endswith(says)


UNCLOSED = "(the last session has not been closed yet)"
AWAY = Reach("broker.example:8883", False, None, "no answer")
NO_CARRIER = (replace(LINK, carrier=False),)


@pytest.mark.parametrize(
    ("link", "level", "text", "changes"),
    [
        ("broker", "unknown", f"not asked: nothing can be reached {UNCLOSED}", {"broker": AWAY}),
        ("broker", "unknown", f"not asked: nothing can be reached {UNCLOSED}", {"broker": None}),
        ("broker", "ok", "connected to broker.example:8883", {}),  # a private network that leads to the broker alone
        ("route", "unknown", "still stands", {"links": (replace(LINK, up=False),)}),
        ("route", "unknown", "still stands", {"links": NO_CARRIER}),
        ("address", "unknown", "no carrier", {"links": NO_CARRIER}),
        ("name server", "unknown", "from memory", {"resolvers": (Reach("127.0.0.1", True, 0.2),)}),
    ],
)
def test_nothing_is_called_ok_because_it_still_stands(
    link: str, level: str, text: str, changes: dict[str, Any]
) -> None:
    session = {**sample.status()["session"], "connected": True, "broker": "broker.example:8883"}
    dead = healthy(status=sample.status(session=session), hosts=DEAD, **changes)
    finding = dict(diagnose(dead).findings)[link]
    assert (finding.level, text in finding.text) == (level, True), finding.text


def test_a_session_that_stands_does_not_hide_a_broker_that_is_away() -> None:
    session = {**sample.status()["session"], "connected": True}
    finding = dict(diagnose(healthy(status=sample.status(session=session), broker=AWAY)).findings)["broker"]
    assert (finding.level, finding.cause) == ("fault", "broker")
    assert finding.text.endswith(UNCLOSED)


def test_a_line_that_passes_packets_has_a_carrier_whatever_its_driver_says() -> None:
    assert diagnose(healthy(links=NO_CARRIER)).worst == "ok"


def test_a_module_that_searches_networks_is_busy_and_not_ok() -> None:
    busy = {**modem(), "reason": "busy: searching networks since 19:26"}
    finding = dict(diagnose(healthy(modem=busy)).findings)["modem"]
    assert (finding.level, finding.cause) == ("warning", "modem-occupied")
    assert "busy: searching networks since 19:26" in finding.text


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
    shown: dict[str, Any] = diagnose(healthy(hosts=DEAD, resolvers=SILENT)).to_dict()
    assert shown["v"] == 1
    assert shown["cause"] == "operator-outage"
    assert shown["root"]["link"] == "internet"
    assert [row["link"] for row in shown["links"]] == [name for name, _ in CHECKS]


# -- the port ------------------------------------------------------------------------------------------------------


def test_what_was_tried_before_the_port_that_answered_is_shown() -> None:
    seen = {**modem(port="/dev/ttyUSB2"), "tried": ["/dev/ttyUSB0 answers nothing", "/dev/ttyUSB2: speaks AT"]}
    finding = dict(diagnose(healthy(modem=seen)).findings)["port"]
    assert finding.text == "/dev/ttyUSB2; tried before it: /dev/ttyUSB0 answers nothing"


def test_a_module_that_no_table_knows_is_shown_with_what_was_found_tried_and_chosen() -> None:
    chosen = "/dev/ttyUSB2: speaks AT (abcd:0001, interface 2, not listed)"
    seen = {**modem(port="/dev/ttyUSB2"), "tried": ["/dev/ttyUSB0 answers nothing", chosen]}
    finding = dict(diagnose(healthy(modem=seen)).findings)["port"]
    assert finding.text == f"{chosen}; tried before it: /dev/ttyUSB0 answers nothing"


def test_a_module_read_through_modemmanager_is_told() -> None:
    seen = modem(port="mmcli:/org/freedesktop/ModemManager1/Modem/0")
    finding = dict(diagnose(healthy(modem=seen)).findings)["port"]
    assert finding.level == "ok"
    assert "ModemManager has it" in finding.text


def test_ports_of_which_none_speaks_at_are_named_with_the_way_on() -> None:
    seen = {
        "state": "absent",
        "reason": "no port speaks AT: /dev/ttyUSB0 streams NMEA sentences: a GPS port",
        "reading": None,
        "tried": ["/dev/ttyUSB0 streams NMEA sentences: a GPS port"],
    }
    diagnosis = diagnose(healthy(modem=seen, hosts=()))
    assert diagnosis.cause == "usb-gone"
    assert diagnosis.root is not None
    assert "GPS port" in diagnosis.root[1].text
    assert "modem --ports" in diagnosis.root[1].advice


# -- the card ----


def test_a_foreign_card_is_a_warning_and_a_swapped_one_is_named() -> None:
    history = {"foreign": False, "now": "893201***********17", "before": "", "since": None}
    swapped = {**history, "before": "893202***********25", "since": "2026-11-22T08:00:00Z"}
    texts = {
        name: dict(diagnose(healthy(modem={**modem(), "sim": shown})).findings)["SIM"]
        for name, shown in (("own", history), ("swapped", swapped), ("foreign", {**swapped, "foreign": True}))
    }
    assert texts["own"].text == "ready"
    assert (texts["swapped"].level, texts["foreign"].level) == ("ok", "warning")
    assert "893201***********17 in place of 893202***********25, since 2026-11-22" in texts["swapped"].text
    assert "not the contract's SIM" in texts["foreign"].text
    assert texts["foreign"].cause == "foreign-sim"


# -- the PIN -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempts", "refusal", "said"),
    [
        (3, "", "the SIM wants its PIN, 3 attempts left"),
        (1, "", "the SIM wants its PIN, 1 attempt left"),
        (None, "", "the SIM wants its PIN"),
        (1, "only 1 attempt left, which is kept for a person", "1 attempt left; the agent does not enter it: only 1"),
        (2, "the SIM refused this PIN; it is not tried again", "does not enter it: the SIM refused this PIN"),
        (3, "the PIN file holds no PIN of 4 to 8 digits", "holds no PIN of 4 to 8 digits"),
    ],
)
def test_a_locked_sim_is_told_with_attempts_and_the_reason(attempts: int | None, refusal: str, said: str) -> None:
    seen = {**modem(sim={"state": "SIM PIN", "lock": "sim-pin", "pin_attempts": attempts}), "pin": refusal}
    finding = dict(diagnose(healthy(modem=seen)).findings)["SIM"]
    assert said in finding.text
    assert "modem-agent pin" in finding.advice
    assert ("Give the right one" in finding.advice) is bool(refusal)


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


@pytest.mark.parametrize(
    ("page", "level"), [("", "ok"), (None, "ok"), ("port 80 is another web server's (nginx)", "warning")]
)
def test_a_page_that_the_household_does_not_find_is_the_least_of_the_troubles(page: str | None, level: str) -> None:
    found = diagnose(healthy(page=page))
    assert dict(found.findings)["page"].level == level
    worse = diagnose(healthy(page=page, clock="unsync"))
    assert worse.cause == "clock"
