"""27.007 on four makers' modules: answers that agree with each other, with the state, and with what was set."""

from __future__ import annotations

import re

import pytest

from simulator.modem.commands.table import COMMANDS
from simulator.modem.parameters import PARAMETERS
from tests.simulator.talk import PROFILES, Talk, quiet


@pytest.fixture(params=PROFILES)
def talk(request: pytest.FixtureRequest) -> Talk:
    talk = quiet(request.param)
    talk.say("AT+CMEE=1")
    return talk


def indicators(talk: Talk) -> dict[str, int]:
    names = re.findall(r'\("(\w+)"', talk.say("AT+CIND=?")[0])
    values = [int(value) for value in talk.say("AT+CIND?")[0].partition(": ")[2].split(",")]
    return dict(zip(names, values, strict=True))


def test_indicators_follow_the_state(talk: Talk) -> None:
    assert indicators(talk) == {
        "battchg": 5,
        "signal": 5,
        "service": 1,
        "message": 0,
        "call": 0,
        "roam": 0,
        "smsfull": 0,
    }
    talk.modem.receive_sms("1", "x")
    talk.modem.set("network.roaming", True)
    talk.modem.set("rsrp", -118)
    found = indicators(talk)
    assert (found["message"], found["roam"], 0 < found["signal"] < 5) == (1, 1, True)
    talk.modem.set("coverage", False)
    found = indicators(talk)
    assert (found["service"], found["signal"], found["roam"]) == (0, 0, 0)
    assert talk.say("AT+CIND=1") == ["+CME ERROR: 3"]


def test_indicators_are_reported_where_that_is_asked_for(talk: Talk) -> None:
    talk.modem.set("coverage", False)
    talk.modem.set("coverage", True)
    assert b"CIEV" not in talk.wait(20)
    talk.say("AT+CMER=3,0,0,1")
    talk.modem.set("coverage", False)
    assert talk.wait(1) == b"\r\n+CIEV: 2,0\r\n\r\n+CIEV: 3,0\r\n"


def listed(text: str) -> set[int]:
    found: set[int] = set()
    for item in text.split(","):
        low, _, high = item.partition("-")
        found |= set(range(int(low), int(high or low) + 1))
    return found


def test_the_functionality_is_one_of_those_listed(talk: Talk) -> None:
    group = re.findall(r"\(([^)]*)\)", talk.say("AT+CFUN=?")[0])[0]
    for wanted in sorted(set(range(20)) - listed(group)):
        assert talk.say(f"AT+CFUN={wanted}") == ["+CME ERROR: 50"], wanted
        assert talk.say("AT+CFUN?")[0] == "+CFUN: 1"
        assert talk.say("AT+CEREG?")[0] == "+CEREG: 0,1"
    for wrong in ("1,2", "x", "-1", "1,0,0"):
        assert talk.say(f"AT+CFUN={wrong}") == ["+CME ERROR: 50"], wrong
    for wanted in (0, 4, 1):
        assert talk.say(f"AT+CFUN={wanted}") == ["OK"]
        assert talk.say("AT+CFUN?")[0] == f"+CFUN: {wanted}"


@pytest.mark.parametrize("command", ["AT+COPS=?", "AT+COPS=0", 'AT+COPS=1,2,"20601"'])
def test_no_operator_is_looked_for_with_the_radio_off(talk: Talk, command: str) -> None:
    talk.say("AT+CFUN=4")
    assert talk.say(command, 0.1) == ["+CME ERROR: 30"]
    assert talk.say("AT+COPS?") == ["+COPS: 0", "OK"]
    assert talk.say("AT+COPS=3,2") == ["OK"]


def test_names_come_in_the_hosts_alphabet(talk: Talk) -> None:
    talk.say('AT+CSCS="UCS2"')
    name, number = (text.encode("utf-16-be").hex().upper() for text in ("Proximus", "+32470000000"))
    assert f'"{name}"' in talk.say("AT+COPS?")[0]
    assert f'"{name}"' in talk.say("AT+COPS=?", 90)[0]
    assert f'+COPN: "20601","{name}"' in talk.say("AT+COPN")
    assert f'"{number}"' in talk.say("AT+CNUM")[0]
    assert f'"{number}"' in talk.say('AT+CPBS="ON";+CPBR=1')[0]
    assert talk.say(f'AT+COPS=1,0,"{name}"') == ["OK"]


def test_three_wrong_pins_block_it_whichever_command_brought_them(talk: Talk) -> None:
    assert talk.say('AT+CLCK="SC",1,"9999"') == ["+CME ERROR: 16"]
    assert talk.say('AT+CLCK="SC",1,"1234"') == ["OK"], "a right one counts them anew"
    assert talk.say('AT+CLCK="SC",2') == ["+CLCK: 1", "OK"]
    assert talk.say('AT+CPWD="SC","9999","4321"') == ["+CME ERROR: 16"]
    assert talk.say('AT+CLCK="SC",0,"9999"') == ["+CME ERROR: 16"]
    assert talk.say('AT+CPWD="SC","9999","4321"') == ["+CME ERROR: 12"]
    assert talk.say("AT+CPIN?") == ["+CPIN: SIM PUK", "OK"]
    assert talk.say("AT+CEREG?")[0] == "+CEREG: 0,0"
    assert talk.say("AT+CIMI") == ["+CME ERROR: 12"]
    assert talk.say('AT+CPIN="1","4321"') == ["+CME ERROR: 16"]
    assert talk.modem.state.sim.puk_left == 9
    assert talk.say('AT+CPIN="12345678","12"') == ["+CME ERROR: 50"], "no PIN: the card is not asked"
    assert talk.modem.state.sim.puk_left == 9
    assert talk.say('AT+CPIN="12345678","4321"', 10)[0] == "OK"
    assert talk.say("AT+CEREG?")[0] == "+CEREG: 0,1"
    assert talk.say('AT+CLCK="SC",0,"4321"') == ["OK"]


def test_a_pin_is_changed_only_while_it_is_asked_for(talk: Talk) -> None:
    assert talk.say('AT+CPWD="SC","1234","4321"') == ["+CME ERROR: 3"]
    talk.say('AT+CLCK="SC",1,"1234"')
    assert talk.say('AT+CPWD="SC","1234","4321"') == ["OK"]
    assert talk.modem.state.sim.pin == "4321"
    for wrong in ('"SC","4321"', '"SC","4321","1"', '"SC","4321","abcd"', '"XX","4321","1234"'):
        assert talk.say(f"AT+CPWD={wrong}") == ["+CME ERROR: 50"], wrong


def test_the_second_pin_blocks_only_what_it_protects(talk: Talk) -> None:
    assert talk.say('AT+CLCK="FD",1,"5678"') == ["OK"]
    assert talk.say('AT+CLCK="FD",2') == ["+CLCK: 1", "OK"]
    said = [talk.say('AT+CLCK="FD",0,"0000"') for _ in range(4)]
    assert said == [["+CME ERROR: 16"], ["+CME ERROR: 16"], ["+CME ERROR: 18"], ["+CME ERROR: 18"]]
    assert talk.say("AT+CPIN?") == ["+CPIN: READY", "OK"]


def in_range(group: str) -> str:
    """Another value than the first that a test form lists."""
    return group.split(",")[-1].rpartition("-")[2]


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_what_is_set_is_read_back_and_what_is_out_of_range_refused(talk: Talk, name: str) -> None:
    row = PARAMETERS[name]
    groups = re.findall(r"\(([^)]*)\)", row.ranges)
    texts = ',""' * row.free
    assert talk.say(f"AT{name}=?") == ([f"{name}: {row.ranges}", "OK"] if row.listed else ["OK"])
    assert talk.say(f"AT{name}?") == [f"{name}: {row.start}{row.tail}", "OK"]
    wanted = ",".join(in_range(group) for group in groups)
    assert talk.say(f"AT{name}={wanted}") == ["OK"]
    assert talk.say(f"AT{name}?") == [f"{name}: {wanted}{texts}{row.tail}", "OK"]
    for wrong in ("999999", "-1", "x", wanted + ",0" * (row.free + 1)):
        assert "ERROR" in talk.say(f"AT{name}={wrong}")[0], wrong
    assert talk.say(f"AT{name}?") == [f"{name}: {wanted}{texts}{row.tail}", "OK"], "a refused command changes nothing"


def test_only_what_the_test_form_lists_is_taken(talk: Talk) -> None:
    assert talk.say("AT+CTZU=?") == ["+CTZU: (0,1,3)", "OK"]
    assert [talk.say(f"AT+CTZU={value}")[0] for value in range(5)] == [
        "OK",
        "OK",
        "+CME ERROR: 50",
        "OK",
        "+CME ERROR: 50",
    ]
    assert talk.say("AT+CGSN=9") == ["+CME ERROR: 50"]
    assert talk.say('AT+CSCB=1,"0-5","";+CSCB?') == ['+CSCB: 1,"0-5",""', "OK"]


def test_a_parameter_that_is_left_out_stays(talk: Talk) -> None:
    talk.say("AT+CNMI=1,1,0,2,1")
    talk.say("AT+CNMI=2,,,1")
    assert talk.say("AT+CNMI?")[0] == "+CNMI: 2,1,0,1,1"


def test_quality_is_kept_for_each_context(talk: Talk) -> None:
    assert talk.say("AT+CGQREQ=?")[0] == '+CGQREQ: "IP",(0-3),(0-4),(0-5),(0-9),(0-18,31)'
    assert talk.say("AT+CGQREQ?") == ["OK"]
    assert talk.say("AT+CGQREQ=1,1,2,3,4,31;+CGQMIN=2,3") == ["OK"]
    assert talk.say("AT+CGQREQ?") == ["+CGQREQ: 1,1,2,3,4,31", "OK"]
    assert talk.say("AT+CGQMIN?") == ["+CGQMIN: 2,3,0,0,0,0", "OK"]
    for wrong in ("99,1", "1,9", "1,1,1,1,1,20", "1,1,1,1,1,31,1", "x"):
        assert talk.say(f"AT+CGQREQ={wrong}") == ["+CME ERROR: 50"], wrong
    assert talk.say("AT+CGQREQ=1;+CGQREQ?") == ["OK"]


def test_a_password_is_not_shown(talk: Talk) -> None:
    assert talk.say('AT+CGAUTH=1,1,"user","secret"') == ["OK"]
    assert "secret" not in " ".join(talk.say("AT+CGAUTH?"))


def test_forwarding_and_waiting_are_the_networks_to_keep(talk: Talk) -> None:
    assert talk.say("AT+CCFC=0,2") == ["+CCFC: 0,7", "OK"]
    assert talk.say("AT+CCFC=0,1") == ["+CME ERROR: 3"], "no number was ever registered"
    assert talk.say('AT+CCFC=0,3,"+32470000009",145') == ["OK"]
    assert talk.say("AT+CCFC=0,2") == ['+CCFC: 1,7,"+32470000009",145', "OK"]
    assert talk.say("AT+CCFC=0,4;+CCFC=0,2") == ["+CCFC: 0,7", "OK"]
    assert talk.say("AT+CCFC=6,2") == ["+CME ERROR: 50"]
    assert talk.say("AT+CCWA=1,0;+CCWA=1,2") == ["+CCWA: 0,7", "OK"]
    assert talk.say("AT+CCWA?") == ["+CCWA: 1", "OK"]
    talk.modem.set("coverage", False)
    assert talk.say("AT+CCFC=0,2") == ["+CME ERROR: 30"]


def test_a_phonebook_is_written_searched_and_cleared(talk: Talk) -> None:
    assert talk.say('AT+CPBW=3,"+32470000001",145,"Anna"') == ["OK"]
    assert talk.say('AT+CPBW=,"0470000002",129,"Bram"') == ["OK"]
    assert talk.say("AT+CPBR=1,250") == ['+CPBR: 1,"0470000002",129,"Bram"', '+CPBR: 3,"+32470000001",145,"Anna"', "OK"]
    assert talk.say('AT+CPBF="an"') == ['+CPBF: 3,"+32470000001",145,"Anna"', "OK"]
    assert talk.say("AT+CPBS?") == ['+CPBS: "SM",2,250', "OK"]
    assert talk.say("AT+CPBW=3;+CPBR=3") == ["OK"]
    assert talk.say('AT+CPBS="ME";+CPBR=1') == ["OK"], "another book"
    for command, error in (('+CPBW=999,"1"', 21), ('+CPBW=1,"1",129,"a name that is too long"', 24), ("+CPBR=0", 21)):
        assert talk.say(f"AT{command}") == [f"+CME ERROR: {error}"], command


@pytest.mark.parametrize(
    "command", ['+CPBW=1,"1",129,"open', '+CSCS="UCS2', '+CGDCONT=1,"IP","a', '+CPIN="1234', '+CMGS="1']
)
def test_a_string_has_two_quotes(talk: Talk, command: str) -> None:
    assert talk.say(f"AT{command}") == ["+CME ERROR: 50"]
    assert talk.say("AT+CSCS?;+CPBR=1") == ['+CSCS: "GSM"', "OK"]


def test_data_may_be_entered_by_cgdata(talk: Talk) -> None:
    assert talk.say("AT+CGDATA=?") == ['+CGDATA: ("PPP")', "OK"]
    assert talk.say('AT+CGDATA="X25",1') == ["+CME ERROR: 50"]
    assert talk.say('AT+CGDATA="PPP",7') == ["+CME ERROR: 30"]
    assert talk.say('AT+CGDATA="PPP",1') == ["CONNECT 150000000"]


def test_every_command_has_a_test_form_that_says_something_or_nothing(talk: Talk) -> None:
    absent = talk.modem.profile.absent
    for name in sorted(name for name in COMMANDS if len(name) > 2 and name not in absent and name != "+COPS"):
        *lines, final = talk.say(f"AT{name}=?")
        assert final == "OK", name
        assert all(line.rstrip() not in (f"{name}:", name) for line in lines), name


def test_the_list_of_commands_has_the_makers_own(talk: Talk) -> None:
    profile = talk.modem.profile
    said = set(talk.say("AT+CLAC")[:-1])
    own = {"quectel": "AT+QENG", "huawei": "AT^HCSQ", "simcom": "AT+CPSI", "telit": "AT#RFSTS"}
    assert next(command for maker, command in own.items() if maker in profile.name.lower()) in said
    assert {"AT+CGDATA", "ATO", "AT&V", "AT+CMGW"} <= said
    assert not {f"AT{name}" for name in profile.absent} & said
    for rule in profile.rules:
        name = re.match(r"AT([+^#$*][A-Z0-9]+)", rule.command.pattern.replace("\\", ""))
        assert name is None or f"AT{name[1]}" in said


def test_what_hosts_send_at_start_is_answered(talk: Talk) -> None:
    for command in (
        "+CLCC",
        "+CLIR?",
        "+CCFC=?",
        "+COPN",
        "+CNMA=?",
        "+CPWD=?",
        "+CMSS=?",
        "+CSSN=1,1",
        "+CRC=1",
        "&V",
    ):
        assert talk.say(f"AT{command}")[-1] == "OK", command


def test_the_tries_that_are_left_are_said(talk: Talk) -> None:
    talk.say('AT+CLCK="SC",1,"0000"')
    assert talk.say("AT+CPINR") == ["+CPINR: SIM PIN,2,3", "+CPINR: SIM PUK,10,10", "+CPINR: SIM PIN2,3,3", "OK"]
    assert talk.say('AT+CPINR="SIM PIN"') == ["+CPINR: SIM PIN,2,3", "OK"]
    assert talk.say('AT+CPINR="SIM PIN*"') == ["+CPINR: SIM PIN,2,3", "+CPINR: SIM PIN2,3,3", "OK"]
    assert talk.say('AT+CPINR="none"') == ["+CME ERROR: 50"]


@pytest.mark.parametrize(
    ("command", "error", "after"),
    [
        ('1,2,"20610"', 32, "+COPS: 0,0,"),
        ("1", 50, "+COPS: 0,0,"),
        ('1,2,"20601",99', 50, "+COPS: 0,0,"),
        ("3,3", 50, "+COPS: 0,0,"),
        ("5", 50, "+COPS: 0,0,"),
        ('4,2,"20610"', None, "+COPS: 0,2,"),
        ('4,2,"20601"', None, "+COPS: 4,2,"),
        ('1,2,"20601",7', None, "+COPS: 1,2,"),
    ],
)
def test_a_choice_of_operator_that_is_refused_changes_nothing(
    talk: Talk, command: str, error: int | None, after: str
) -> None:
    assert talk.say(f"AT+COPS={command}", 10) == [f"+CME ERROR: {error}" if error else "OK"]
    assert talk.say("AT+COPS?")[0].startswith(after)
    assert talk.say("AT+CREG?")[0] == "+CREG: 0,1"


def test_every_change_of_an_indicator_is_reported(talk: Talk) -> None:
    talk.say("AT+CMER=2,0,0,1")
    talk.modem.receive_sms("1", "x")
    assert b"+CIEV: 4,1" in talk.wait(1)
    assert talk.say("AT+CMGR=1")[-1] == "+CIEV: 4,0"
    talk.say("ATD*99#")
    assert b"+CIEV: 5,1" in talk.raw(b"+++", 3)
    assert talk.say("ATH") == ["OK", "+CIEV: 5,0"]
    for _ in range(50):
        talk.modem.receive_sms("1", "x")
    assert b"+CIEV: 7,1" in talk.wait(1)


def test_a_command_without_its_parameters_takes_the_defaults(talk: Talk) -> None:
    for name, set_, after in (
        ("+CREG", "2", "+CREG: 0,1"),
        ("+CNMI", "2,1,0,2,1", "+CNMI: 2,0,0,0,0"),
        ("+CSMP", "49,71,0,8", "+CSMP: 17,167,0,0"),
        ("+CRC", "1", "+CRC: 0"),
    ):
        assert talk.say(f"AT{name}={set_};{name}") == ["OK"]
        assert talk.say(f"AT{name}?")[0] == after


def test_the_software_version_is_the_end_of_the_long_number(talk: Talk) -> None:
    imei = talk.modem.state.imei
    assert talk.say("AT+CGSN=2;+CGSN=3") == [f'+CGSN: "{imei[:14]}01"', '+CGSN: "01"', "OK"]


def test_what_acts_on_contexts_and_calls_needs_them(talk: Talk) -> None:
    talk.say("AT+CGACT=0,1")
    assert talk.say("AT+CGCMOD=1") == ["+CME ERROR: 50"]
    assert talk.say("AT+CGEQOSRDP=1;+CGSCONTRDP") == ["OK"]
    talk.say("AT+CGACT=1,1")
    assert talk.say("AT+CGCMOD=1;+CGEQOSRDP=1") == ["+CGEQOSRDP: 1,9,0,0,0,0", "OK"]
    assert talk.say("AT+CHLD=1") == ["+CME ERROR: 3"]
    assert talk.say('AT+VTS="1"') == ["+CME ERROR: 3"]
    assert talk.say(f'AT+CGDCONT=1,"IP","{"a" * 101}"') == ["+CME ERROR: 50"], "23.003 9.1: 100 octets"


def test_a_time_without_a_zone_is_the_time_here(talk: Talk) -> None:
    assert talk.say('AT+CCLK="26/11/30,10:00:00"', 0) == ["OK"]
    assert talk.say("AT+CCLK?", 0)[0] == '+CCLK: "26/11/30,10:00:00+04"'
    assert talk.say('AT+CCLK="26/11/30,10:00:00+00";+CCLK?', 0)[0] == '+CCLK: "26/11/30,11:00:00+04"'


@pytest.mark.parametrize(("fault", "cme", "cms"), [("sim-absent", 10, 310), ("sim-pin", 11, 311)])
def test_what_is_on_the_sim_needs_the_sim(talk: Talk, fault: str, cme: int, cms: int) -> None:
    talk.modem.fault(fault)
    talk.wait(20)
    for command in ("+CIMI", "+CNUM", "+CGACT=1,1", '+CUSD=1,"*101#"', "+CPBS?", "+COPS=?", '+CLCK="SC",2'):
        assert talk.say(f"AT{command}") == [f"+CME ERROR: {cme}"], command
    for command in ("+CSCA?", '+CSCA="+321"', "+CMGL=4", "+CMGS=10", "+CMGW=10", '+CPMS="SM"'):
        assert talk.say(f"AT{command}") == [f"+CMS ERROR: {cms}"], command
