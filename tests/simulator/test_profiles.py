"""Every shipped data file: it loads, its module answers as its vendor does, and no state of it breaks a template."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simulator
from simulator.errors import DataError, UnknownName
from simulator.modem import Cell, load, names
from simulator.modem.fault import FAULTS, Fault
from tests.simulator.talk import Talk

WANTED = [
    "quectel-ec21",
    "quectel-ec25",
    "quectel-eg25",
    "quectel-eg06",
    "quectel-em12",
    "quectel-rm500",
    "quectel-rm520",
    "simcom-sim7600",
    "simcom-a7670",
    "simcom-sim8200",
    "huawei-me909",
    "huawei-e3372",
    "sierra-mc7455",
    "sierra-em7455",
    "sierra-em7565",
    "telit-le910",
    "telit-lm960",
    "ublox-toby",
    "ublox-lara",
    "fibocom-l850",
    "fibocom-fm150",
    "fibocom-fm350",
    "fibocom-l610",
    "zte-mf286",
    "gosuncn-me3630",
    "meig-slm770",
    "neoway-n720",
    "foxconn-t77w968",
    "china-mobile-ml307",
    "cinterion-pls8",
    "asr-air720",
    "tcl-hh41",
    "d-link-dwm222",
    "generic-27007",
]


def test_all_modules_of_the_agent_can_be_simulated() -> None:
    assert set(WANTED) <= set(names())


@pytest.mark.parametrize("name", names())
def test_a_module_identifies_itself_and_is_registered(name: str) -> None:
    talk = Talk(name)
    profile = talk.modem.profile
    assert profile.model in " ".join(talk.say("AT+CGMM"))
    assert profile.manufacturer in " ".join(talk.say("AT+CGMI"))
    assert profile.revision in " ".join(talk.say("AT+CGMR"))
    registered = [talk.say(f"AT+{domain}?")[0] for domain in ("CREG", "CGREG", "CEREG", "C5GREG")]
    assert any(re.search(r": 0,1$", line) for line in registered), registered
    assert sum(port.primary for port in profile.ports) <= 1
    assert profile.primary.role == "at"


@pytest.mark.parametrize("name", names())
def test_every_rule_answers_in_every_state(name: str) -> None:
    """The rows of a data file, run in all radio technologies, without coverage, without SIM: never an exception."""
    talk = Talk(name)
    talk.say("AT^CURC=0")
    commands = [_example(rule.command.pattern) for rule in talk.modem.profile.rules if not (rule.action or rule.after)]
    for rat in ("GSM", "WCDMA", "LTE", "NR5G-NSA", "NR5G-SA"):
        talk.modem.state.radio.cells = [Cell(rat=rat, bandwidth_mhz=20)]
        for trouble in ("", "no-coverage", "sim-absent", "denied", "no-time"):
            talk.modem.clear()
            if trouble:
                talk.modem.fault(trouble)
            talk.wait(10)
            for command in commands:
                answer = talk.say(command)
                final = re.compile(r"OK|ERROR|\+CME ERROR: .*|COMMAND NOT SUPPORT")
                assert any(final.fullmatch(line) for line in answer), (command, answer)


def _example(pattern: str) -> str:
    """A command that a rule's pattern fits: the patterns are plain enough to be undone by hand."""
    text = re.sub(r"\(\?P<\w+>", "(", pattern)
    for old, new in ((r"\(=0\)\?", ""), (r"\(=\[0?1?2?\]\)\?", ""), (r"\(,\.\*\)\?", ""), (r'"\?', '"'), (r"0\?$", "")):
        text = re.sub(old, new, text)
    text = re.sub(r"\(?\[([^\]])[^\]]*\]\+?\)?", r"\1", text)
    text = text.replace(r"(\d+)", "1").replace(".*", "").replace("??", "?")
    text = re.sub(r"\\(.)", r"\1", text)
    assert re.fullmatch(pattern, text, re.IGNORECASE), (pattern, text)
    return text


VENDOR_SAYS = [
    ("quectel-em12", "AT+QCAINFO", '+QCAINFO: "PCC",1850,100,"LTE BAND 3",1,193,-95,-10,-65,13'),
    ("quectel-rm500", 'AT+QENG="servingcell"', '+QENG: "servingcell","NOCONN"'),
    ("quectel-rm500", "AT+QNWINFO", '+QNWINFO: "FDD LTE","20601","LTE BAND 3",1850'),
    (
        "quectel-rm520",
        'AT+QENG="servingcell"',
        '+QENG: "servingcell","NOCONN","NR5G-SA","TDD", 206,01,12AA54086,262,15EC,634080,78,12,-95,-10,13,1,-',
    ),
    ("quectel-rm520", "AT+C5GREG=2;+C5GREG?", '+C5GREG: 2,1,"15EC","12AA54086",11'),
    (
        "simcom-sim7600",
        "AT+CPSI?",
        "+CPSI: LTE,Online,206-01,0x1A2B,2034709,193,EUTRAN-BAND3,1850,5,5,-100,-950,-650,13",
    ),
    ("simcom-sim7600", "AT+CICCID", "+ICCID: 8932010000000000004"),
    ("huawei-me909", "AT^HCSQ?", '^HCSQ:"LTE",56,46,166,20'),
    ("huawei-me909", "AT^SYSINFOEX", '^SYSINFOEX:2,3,0,1,,6,"LTE",101,"LTE"'),
    ("huawei-e3372", "AT+CREG=2;+CREG?", "+CREG: 2,1,1A2B,1F0C15,7"),
    ("huawei-e3372", "AT+WIND?", "COMMAND NOT SUPPORT"),
    ("sierra-mc7455", "AT+CEREG=2;+CEREG?", "+CEREG: 2,1,1A2B,1F0C15,7"),
    ("sierra-mc7455", "AT!GSTATUS?", "!GSTATUS: "),
    (
        "telit-lm960",
        "AT#RFSTS",
        '#RFSTS: "206 01",1850,-95,-65,-10,1A2B,255,,640,1,0,01F0C15,"206010000000000","Proximus",3,3',
    ),
    (
        "telit-le910",
        "AT#RFSTS",
        '#RFSTS: "206 01",1850,-95,-65,-10,1A2B,,128,19,0,01F0C15,"206010000000000","Proximus",3,3',
    ),
    ("ublox-toby", "AT+UGCNTRD", "+UGCNTRD: 1,0,0,0,0"),
    ("fibocom-l850", "AT+CGMM", '+CGMM: "L850-GL"'),
    ("fibocom-l850", "AT+XCESQ?", "+XCESQ: 0,99,99,255,255,20,46,26"),
    ("fibocom-fm150", "AT+GTSENRDTEMP=1", "+GTSENRDTEMP: 1,34000"),
    ("zte-mf286", "AT+ZGETICCID", "+ZGETICCID: 8932010000000000004"),
    ("generic-27007", "AT+QCSQ", "ERROR"),
]


@pytest.mark.parametrize(("name", "command", "first"), VENDOR_SAYS)
def test_vendors_answer_in_their_own_words(name: str, command: str, first: str) -> None:
    assert Talk(name).say(command)[0] == first


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("simcom-sim7600", "AT+CRESET"),
        ("huawei-me909", "AT^RESET"),
        ("sierra-mc7455", "AT!RESET"),
        ("telit-le910", "AT#REBOOT"),
        ("ublox-toby", "AT+CFUN=16"),
        ("zte-mf286", "AT+ZRST"),
        ("fibocom-fm350", "AT+CFUN=15"),
        ("quectel-ec25", "AT+CFUN=1,1"),
    ],
)
def test_every_vendors_own_restart(name: str, command: str) -> None:
    talk = Talk(name)
    assert talk.say(command, 0) == ["OK"]
    talk.wait(90)
    assert talk.modem.state.power.restarts == 1
    assert talk.modem.registration.registered


def test_simcoms_a7670_speaks_in_words_whatever_cmee_says() -> None:
    talk = Talk("simcom-a7670", settings={"sim.present": False})
    talk.say("AT+CMEE=1")
    assert talk.say("AT+CPIN?") == ["+CME ERROR: SIM not inserted"]


def test_huawei_talks_by_itself_until_told_not_to() -> None:
    talk = Talk("huawei-me909")
    said = talk.wait(10)
    assert said.count(b"^DSFLOWRPT:") == 5
    assert b"^RSSI:" in said
    talk.say("AT^CURC=0")
    assert talk.wait(60) == b""


def test_huaweis_dhcp_words_are_little_endian() -> None:
    talk = Talk("huawei-me909")
    talk.modem.state.contexts[0].address = "10.10.1.1"
    assert talk.say("AT^DHCP?")[0] == "^DHCP: 1010A0A,FCFFFFFF,2010A0A,2010A0A,2010A0A,0,150000000,150000000"


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(names()),
    data=st.binary(max_size=120),
    faults=st.lists(st.sampled_from(sorted(FAULTS)), max_size=3, unique=True),
)
def test_whatever_is_written_a_module_lives_on(name: str, data: bytes, faults: list[str]) -> None:
    talk = Talk(name)
    for fault in faults:
        talk.modem.fault(fault)
    talk.raw(data + b"\r", 300)
    talk.modem.clear()
    talk.modem.power_cycle()
    talk.wait(120)
    talk.raw(b"\x1b\r")
    assert "OK" in talk.say("ATE0")


# -- mistakes ------------------------------------------------------------------------------------------------------

GOOD = 'manufacturer = "A"\nmodel = "B"\nrevision = "1"\n'
MISTAKES = [
    ("manufacturer = \n", 1, "not TOML"),
    ('manufacturer = "A"\nrevision = "1"\n', 1, "model is missing"),
    (GOOD + 'colour = "red"\n', 4, "unknown key 'colour'"),
    (GOOD + 'line_end = "crlflf"\n', 4, "line_end must be one of"),
    (GOOD + '[usb]\nvendor = "1"\nspeed = 3\n', 6, "unknown key 'speed'"),
    (GOOD + '[[port]]\ninterface = 0\nrole = "voice"\n', 6, "role must be one of"),
    (GOOD + "[[rule]]\nreply = 'x'\n", 4, "a rule needs a command"),
    (GOOD + "[[rule]]\ncommand = 'AT('\n", 5, "no regular expression"),
    (
        GOOD + "[[rule]]\ncommand = 'AT'\n\n[[rule]]\ncommand = 'ATX'\nreply = '{loudness}'\n",
        9,
        "unknown word 'loudness'",
    ),
    (GOOD + "[[rule]]\ncommand = 'AT'\nreply = '{rsrp'\n", 6, "expected '}'"),
    (GOOD + "[[rule]]\ncommand = 'AT'\nwhen = { weather = 1 }\n", 6, "'weather' is not known"),
    (GOOD + "[[rule]]\ncommand = 'AT'\nset = { \"sim.colour\" = 1 }\n", 6, "no setting or variable 'sim.colour'"),
    (GOOD + "[[rule]]\ncommand = 'AT'\naction = 'explode'\n", 6, "action must be one of"),
    (GOOD + "[[rule]]\ncommand = 'AT'\nrepply = 'x'\n", 6, "unknown key 'repply'"),
    (GOOD + "[[boot]]\ndelay_s = 1\nurc = '{var.nothing}'\n", 6, "unknown word 'var.nothing'"),
    (GOOD + '[settings]\n"radio.rsrp_dbm" = "loud"\n', 5, "is not a number"),
]


@pytest.mark.parametrize(("text", "line", "problem"), MISTAKES)
def test_a_mistake_is_named_with_file_and_line(tmp_path: Path, text: str, line: int, problem: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(DataError) as caught:
        load(str(file))
    assert str(caught.value).startswith(f"{file}:{line}: ")
    assert problem in str(caught.value)


def test_a_profile_that_does_not_exist_names_those_that_do() -> None:
    with pytest.raises(UnknownName, match=r"no profile named 'nokia-3310'; there are: .*quectel-ec25"):
        load("nokia-3310")


def test_a_data_file_of_ones_own_extends_a_shipped_one(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'extends = "quectel-ec25"\nmodel = "EC25-MINE"\n\n[variables]\nlight = 0\n\n'
        "[[rule]]\ncommand = 'AT\\+LIGHT=(?P<on>[01])'\nset = { \"var.light\" = '{on}' }\n"
        "after = [{ delay_s = 2.0, urc = '+LIGHT: {var.light}' }]\n"
    )
    talk = Talk(str(file))
    assert talk.say("AT+CGMM")[0] == "EC25-MINE"
    assert talk.say("AT+LIGHT=1", 0) == ["OK"]
    assert talk.wait(3) == b"\r\n+LIGHT: 1\r\n"
    assert talk.say("AT+QCSQ")[0].startswith('+QCSQ: "LTE"'), "the base file's rules are there"


def test_the_readmes_vendor_and_fault_work_as_printed(tmp_path: Path) -> None:
    readme = (Path(simulator.__file__).parent / "README.md").read_text()
    vendor = readme.partition("```toml\nextends")[2].partition("```")[0]
    file = tmp_path / "acme-x1.toml"
    file.write_text("extends" + vendor)
    talk = Talk(str(file))
    assert talk.say("AT+ACME?") == ['+ACME: "LTE",-95,13', "OK"]
    assert [port.role for port in talk.modem.profile.ports] == ["diag", "at"]
    code = readme.partition("```python\nclass")[2].partition("```")[0]
    space: dict[str, object] = {"Fault": Fault}
    exec("class" + code, space)
    try:
        talk.modem.fault("shouting")
        assert talk.say("AT+COPS?")[0] == '+COPS: 0,0,"PROXIMUS",7'
    finally:
        del FAULTS["shouting"]
    known = set(re.findall(r"`([a-z0-9-]+)`", readme.partition("| | behaviour")[2].partition("A fault is")[0]))
    assert known == set(FAULTS)
