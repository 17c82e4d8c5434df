"""V.250 on four makers' modules: dialling, data mode and the way out of it, registers, profiles, repeating a line."""

from __future__ import annotations

import pytest

from simulator.modem.v250 import BASIC, REGISTERS
from tests.simulator.talk import PROFILES, Talk, quiet

CONNECTED = ["CONNECT 150000000"]


@pytest.fixture(params=PROFILES)
def talk(request: pytest.FixtureRequest) -> Talk:
    return quiet(request.param)


DIALLED = [
    "ATDT*99#",
    "ATDP*99#",
    "ATD *99#",
    "ATD*99***1#",
    "ATD*98*1#",
    "ATD*98#",
    "ATDT,W*99**1*1#",
    'ATD"*99#"',
    "atd t * 9 9 #",
    "ATD*99**PPP*1#",
]


@pytest.mark.parametrize("command", DIALLED)
def test_modifiers_and_the_parts_of_a_service_code_leave_it_a_service_code(talk: Talk, command: str) -> None:
    assert talk.say(command) == CONNECTED


@pytest.mark.parametrize("command", ["ATD*99***7#", "ATD*98*7#", "ATD112", "ATDT0470123456", "ATD*99"])
def test_what_no_network_here_connects(talk: Talk, command: str) -> None:
    assert talk.say(command) == ["NO CARRIER"]
    assert talk.say("AT") == ["OK"]


def test_the_context_that_is_dialled_is_the_one_that_carries(talk: Talk) -> None:
    talk.say('AT+CGDCONT=3,"IP","other"')
    assert talk.say("ATD*99***3#") == CONNECTED
    assert talk.raw(b"+++", 3) == b"\r\nOK\r\n"
    assert talk.say("AT+CGACT?")[:2] == ["+CGACT: 1,1", "+CGACT: 3,1"]
    talk.say("ATH")
    assert talk.say("AT+CGACT?")[:2] == ["+CGACT: 1,1", "+CGACT: 3,0"]


def test_three_escape_characters_without_silence_are_data(talk: Talk) -> None:
    talk.say("ATD*99#")
    for data in (b"\x7e\xff\x7d+++#\x7e", b"+++ATH\r", b"++++", b"x+++"):
        assert talk.raw(data, 5) == b"", data
    talk.raw(b"x", 0.5)
    assert talk.raw(b"+++", 5) == b"", "too little silence before"
    assert talk.raw(b"+++", 0.5) == b""
    assert talk.raw(b"x", 5) == b"", "too little silence after"
    assert talk.raw(b"+++", 3) == b"\r\nOK\r\n"


def test_the_escape_may_be_typed_slowly(talk: Talk) -> None:
    talk.say("ATD*99#")
    talk.raw(b"+", 0.5)
    talk.raw(b"+", 0.5)
    assert talk.raw(b"+", 0.9) == b""
    assert talk.wait(0.2) == b"\r\nOK\r\n"


def test_registers_choose_the_escape_and_its_silence(talk: Talk) -> None:
    talk.say("ATS2=42S12=150")
    talk.say("ATD*99#", 4)
    assert talk.raw(b"+++", 5) == b""
    assert talk.raw(b"***", 2.5) == b""
    assert talk.wait(1) == b"\r\nOK\r\n"
    talk.say("ATHS2=200S12=50D*99#", 3)
    assert talk.raw(b"\xc8\xc8\xc8", 5) == b"", "above 127 nothing escapes"


def test_back_to_data_mode_and_out_of_the_call(talk: Talk) -> None:
    assert talk.say("ATO") == ["NO CARRIER"], "no call to go back to"
    talk.say("AT+CGEREP=2,1")
    talk.say("ATD*99#")
    talk.raw(b"+++", 3)
    assert talk.say("AT+CPAS") == ["+CPAS: 4", "OK"]
    assert talk.say("ATO") == CONNECTED
    assert talk.say("AT") == [], "data again"
    talk.raw(b"+++", 3)
    assert "+CGEV: ME PDN DEACT 1" in talk.say("ATH")
    assert talk.say("AT+CGACT?") == ["+CGACT: 1,0", "OK"]
    assert talk.say("ATO") == ["NO CARRIER"]
    assert talk.say("ATA") == ["NO CARRIER"]


@pytest.mark.parametrize("command", ["ATZ", "AT+CGACT=0,1", "AT+CGATT=0", "AT+CFUN=4", "AT+CHUP"])
def test_a_suspended_call_ends_by_command(talk: Talk, command: str) -> None:
    talk.say("ATD*99#")
    talk.raw(b"+++", 3)
    talk.say(command)
    talk.say("ATE0")
    assert talk.say("ATO") == ["NO CARRIER"]


@pytest.mark.parametrize(
    "fault", ["no-coverage", "denied", "address-change", "sim-absent", "renumber", "outage=deactivation"]
)
def test_a_call_that_the_network_ends_says_no_carrier(talk: Talk, fault: str) -> None:
    talk.say("ATD*99#")
    name, _, argument = fault.partition("=")
    talk.modem.fault(name, argument)
    assert talk.wait(0.1).startswith(b"\r\nNO CARRIER\r\n")


def test_how_a_call_ended_is_told(talk: Talk) -> None:
    assert talk.say("AT+CEER")[0] == "+CEER: No cause information available"
    talk.say("ATD*99#")
    talk.modem.fault("address-change")
    talk.wait(2)
    assert talk.say("AT+CEER")[0] == "+CEER: Network failure"
    talk.modem.clear("address-change")
    talk.say("ATD*99#")
    talk.raw(b"+++", 3)
    talk.say("ATH")
    assert talk.say("AT+CEER")[0] == "+CEER: Regular deactivation"


def test_only_the_port_that_has_the_call_loses_its_carrier() -> None:
    talk = quiet("quectel-ec25")
    other = next(port for port in talk.modem.at_ports if port is not talk.modem.at)
    talk.say("ATD*99#")
    talk.modem.fault("no-coverage")
    assert talk.wait(1) == b"\r\nNO CARRIER\r\n"
    assert other.take() == b""


def test_init_strings_of_dialers(talk: Talk) -> None:
    assert talk.say("ATQ0 V1 E1 S0=0 &C1 &D2 +FCLASS=0")[-1] == "OK"
    talk.say("ATE0")
    assert talk.say("AT+FCLASS?") == ["0", "OK"]
    assert talk.say("AT+FCLASS=?") == ["0", "OK"]
    assert talk.say("AT+FCLASS=1") == ["ERROR"]


def test_a_slash_repeats_the_last_line_at_once(talk: Talk) -> None:
    first = talk.raw(b"AT+CSQ\r")
    assert talk.raw(b"A/") == first
    assert talk.raw(b"a/") == first
    assert talk.raw(b"\r") == b""


@pytest.mark.parametrize(("number", "start"), [(n, start) for n, (start, _) in REGISTERS.items()])
def test_each_register_begins_with_its_default_and_keeps_its_range(talk: Talk, number: int, start: int) -> None:
    values = REGISTERS[number][1]
    assert talk.say(f"ATS{number}?") == [f"{start:03d}", "OK"]
    if number not in (3, 4, 5):  # those change the line itself
        for value in (values.start, values.stop - 1):
            assert talk.say(f"ATS{number}={value}") == ["OK"]
            assert talk.say(f"ATS{number}?") == [f"{value:03d}", "OK"]
    assert talk.say(f"ATS{number}={values.stop}") == ["ERROR"]


def test_the_line_registers_take_effect(talk: Talk) -> None:
    assert talk.raw(b"ATS3=33\r") == b"!\nOK!\n"
    assert talk.raw(b"ATS4=35!") == b"!#OK!#"
    assert talk.raw(b"ATS5=60!") == b"!#OK!#"
    assert talk.raw(b"ATX<+CPAS!") == b"!#+CPAS: 0!#!#OK!#"
    assert talk.raw(b"ATV0!") == b"0!"


def test_unknown_registers_and_values_out_of_range_are_errors(talk: Talk) -> None:
    commands = [f"AT{name}9" for name in BASIC] + [
        "ATS3=999",
        "ATS99?",
        "ATS99=1",
        "ATH9",
        "ATO9",
        "ATZ9",
        "AT&F9",
        "AT&W9",
    ]
    assert [talk.say(command) for command in commands] == [["ERROR"]] * len(commands)


def test_the_stored_profile_comes_back_at_z_and_at_power_up(talk: Talk) -> None:
    talk.say("ATX1S0=3&D0&W")
    talk.say("ATX0S0=1&D2")
    talk.say("ATZ")
    shown = talk.say("AT&V")
    assert {"X: 1", "S0: 003", "&D: 0", "E: 0"} <= set(shown)
    talk.say("AT&F")
    talk.say("ATE0")
    assert talk.say("ATS0?") == ["000", "OK"]
    talk.modem.restart()
    talk.wait(60)
    assert talk.say("ATS0?") == ["003", "OK"]


def test_the_rate_is_said_from_x1_and_a_connect_is_a_number_too(talk: Talk) -> None:
    assert talk.say("ATX0D*99#") == ["CONNECT"]
    talk.raw(b"+++", 3)
    assert talk.say("ATV0H") == ["0\r"]
    assert talk.raw(b"ATX4D*99#\r") == b"1\r"


def test_what_comes_during_a_call_waits_or_is_dropped_as_cnmi_says(talk: Talk) -> None:
    for mode, kept in ((2, b'\r\n+CMTI: "ME",1\r\n'), (1, b"")):
        talk.say(f"AT+CNMI={mode},1,0,0,0")
        talk.say("ATD*99#")
        talk.modem.receive_sms("+32470000001", "x")
        assert talk.wait(1) == b""
        assert talk.raw(b"+++", 3) == b"\r\nOK\r\n" + kept
        talk.say("ATH")


def test_the_other_port_is_told_at_once() -> None:
    talk = quiet("quectel-ec25")
    other = next(port for port in talk.modem.at_ports if port is not talk.modem.at)
    talk.say("AT+CNMI=2,1,0,0,0")
    talk.say("ATD*99#")
    talk.modem.receive_sms("+32470000001", "x")
    assert other.take() == b'\r\n+CMTI: "ME",1\r\n'


def test_what_comes_at_a_prompt_waits_for_its_end(talk: Talk) -> None:
    talk.say("AT+CNMI=2,1;+CMGF=1")
    assert talk.raw(b'AT+CMGS="+32470000001"\r') == b"\r\n> "
    talk.modem.receive_sms("+32470000002", "x")
    assert talk.wait(1) == b""
    assert talk.raw(b"y\x1a") == b'\r\n+CMGS: 1\r\n\r\nOK\r\n\r\n+CMTI: "ME",1\r\n'


@pytest.mark.parametrize(
    ("command", "said", "in_data", "in_call"),
    [("AT&D0", b"", True, True), ("AT&D1", b"\r\nOK\r\n", False, True), ("AT&D2", b"\r\nNO CARRIER\r\n", False, False)],
)
def test_what_falling_dtr_does_to_a_call(talk: Talk, command: str, said: bytes, in_data: bool, in_call: bool) -> None:
    port = talk.modem.at
    talk.say(command)
    talk.say("ATD*99#")
    port.terminal_ready(True)
    assert talk.wait(1) == b"", "only its fall counts"
    port.terminal_ready(False)
    assert talk.wait(1) == said
    assert (port.data_mode, port.call is not None, port.carrier) == (in_data, in_call, in_call)
    port.terminal_ready(False)
    port.terminal_ready(True)
    assert talk.wait(1) == b""
    if not in_data:
        assert talk.say("ATO") == (CONNECTED if in_call else ["NO CARRIER"])


def test_dtr_ends_an_escaped_call_and_no_other_ports_call() -> None:
    talk = quiet("quectel-ec25")
    other = next(port for port in talk.modem.at_ports if port is not talk.modem.at)
    talk.say("ATD*99#")
    other.terminal_ready(False)
    assert talk.modem.at.data_mode
    talk.raw(b"+++", 3)
    talk.modem.at.terminal_ready(False)
    assert talk.say("AT+CGACT?") == ["NO CARRIER", "+CGACT: 1,0", "OK"]


def test_the_carrier_is_that_of_the_call_or_always_there(talk: Talk) -> None:
    port = talk.modem.at
    assert not port.carrier
    talk.say("ATD*99#")
    talk.raw(b"+++", 3)
    assert port.carrier, "an escape does not end it"
    talk.say("ATH")
    assert not port.carrier
    talk.say("AT&C0")
    assert port.carrier


def test_a_command_without_parameters_takes_none(talk: Talk) -> None:
    talk.say("AT+CMEE=1")
    for name in (
        "+CSQ",
        "+CESQ",
        "+CGMI",
        "+CGMR",
        "+CIMI",
        "+CPAS",
        "+CNUM",
        "+COPN",
        "+CLCC",
        "+CEER",
        "+GMI",
        "+CLAC",
    ):
        assert talk.say(f"AT{name}=1") == ["+CME ERROR: 50"], name
        assert talk.say(f"AT{name}")[-1] == "OK", name


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("AT E 0 V 1", ["OK"]),
        ("AT S 7 = 33 S 7 ?", ["033", "OK"]),
        ("AT + C S Q", ["+CSQ: 24,99", "OK"]),
        ("AT & D 0 ; + CMEE = 2 ; + CMEE ?", ["+CMEE: 2", "OK"]),
        ("AT+CMEE = ?", ["+CMEE: (0,1,2)", "OK"]),
        ("ATS7=3 3", ["ERROR"]),
        ("AT+CMEE=0;+CFUN=1 5", ["ERROR"]),
        ("AT+CSQ+CREG?", ["ERROR"]),
        ("AT+CSQ?", ["ERROR"]),
        ("ATS7=31;+NONE;S7=32", ["ERROR"]),
        ("ATS7?S99?S7?", ["050", "ERROR"]),
    ],
)
def test_spaces_mean_nothing_but_in_numbers_and_an_error_ends_the_line(
    talk: Talk, command: str, said: list[str]
) -> None:
    assert talk.say(command) == said


def test_what_stood_before_the_error_of_a_line_was_done(talk: Talk) -> None:
    talk.say("ATS7=31;+NONE;S7=32")
    assert talk.say("ATS7?") == ["031", "OK"]


def test_a_line_of_any_length_has_an_answer(talk: Talk) -> None:
    assert talk.say("AT" + "E0" * 1000) == ["OK"]
    assert talk.say("ATS7=33" + " " * 3000 + ";+CSQ") == ["ERROR"], "longer than the module can take: nothing is done"
    assert talk.say("ATS7?") == ["050", "OK"]
    assert talk.say("X" * 5000) == []
    assert talk.say("AT") == ["OK"]


def test_a_line_is_edited_before_it_is_taken(talk: Talk) -> None:
    for line, said in ((b"AT+CSX\x08Q\r", b"+CSQ"), (b"\x08\x08AT\r", b"OK"), (b"XX\x08\x08AT+CSQ\r", b"+CSQ")):
        assert said in talk.raw(line), line
    talk.say("ATS5=127")
    assert b"+CSQ" in talk.raw(b"AT+CSX\x7fQ\r")


def test_without_result_codes_nothing_unasked_is_said_either(talk: Talk) -> None:
    talk.say("AT+CREG=1;+CNMI=2,1;Q1")
    talk.modem.receive_sms("1", "x")
    talk.modem.set("coverage", False)
    assert talk.wait(5) == b""
    assert talk.raw(b"AT+CMGR=1\r").startswith(b"\r\n+CMGR: 0,"), "what is asked for is no result code"
    assert talk.raw(b"AT+NONE\r") == b""
    assert talk.say("ATQ0") == ["OK"]


def test_a_text_that_is_given_up_lets_the_rest_of_its_line_go_on(talk: Talk) -> None:
    talk.say("AT+CMGF=1")
    talk.say('AT+CMGS="1";+CSQ')
    assert talk.raw(b"never\x1b") == b"\r\n+CSQ: 24,99\r\n\r\nOK\r\n"


@pytest.mark.parametrize("profile", PROFILES)
def test_a_context_leads_to_one_port_at_a_time(profile: str) -> None:
    talk = quiet(profile)
    talk.say("AT+CMEE=1")
    talk.say('AT+CGDCONT=3,"IP","other"')
    talk.say("ATD*99***3#")
    first, other = talk.modem.at_ports[:2]
    talk.port = other if talk.port is first else first
    talk.say("ATE0V1+CMEE=1")
    assert talk.say("ATD*99***3#") == ["NO CARRIER"]
    assert talk.say('AT+CGDATA="PPP",3') == ["+CME ERROR: 30"]
    assert talk.say("ATD*99***1#") == CONNECTED
