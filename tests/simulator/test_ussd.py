"""USSD: answers, sessions that ask back, cancelling, alphabets."""

from __future__ import annotations

import pytest

from simulator.errors import SimulatorError
from tests.simulator.talk import PROFILES, Talk, quiet


@pytest.fixture(params=PROFILES)
def talk(request: pytest.FixtureRequest) -> Talk:
    return quiet(request.param)


def test_a_code_is_answered_some_seconds_later(talk: Talk) -> None:
    assert talk.say('AT+CUSD=1,"*101#",15', 0.5) == ["OK"]
    assert talk.wait(5) == b'\r\n+CUSD: 0,"Your credit is 12.50 EUR",15\r\n'
    assert talk.say("AT+CUSD?") == ["+CUSD: 1", "OK"]


def test_the_texts_are_a_setting(talk: Talk) -> None:
    talk.modem.set("network.ussd", "*123#=Still 5, of 10")
    assert talk.say('AT+CUSD=1,"*123#"', 5)[-1] == '+CUSD: 0,"Still 5, of 10",15'
    talk.modem.set("network.ussd", {"*5#": "five"})
    assert talk.say('AT+CUSD=1,"*5#"', 5)[-1] == '+CUSD: 0,"five",15'
    with pytest.raises(SimulatorError, match="is not KEY=VALUE"):
        talk.modem.set("network.ussd", "nothing")


def test_an_unknown_code_is_not_supported(talk: Talk) -> None:
    assert talk.say('AT+CUSD=1,"*999#",15', 5) == ["OK", "+CUSD: 4"]


def test_a_session_asks_back_until_its_end(talk: Talk) -> None:
    assert talk.say('AT+CUSD=1,"*100#",15', 5)[-1] == '+CUSD: 1,"1: credit, 2: data left",15'
    assert talk.say('AT+CUSD=1,"2",15', 5)[-1] == '+CUSD: 0,"40 GB until the end of the month",15'
    assert talk.say('AT+CUSD=1,"2",15', 5)[-1] == "+CUSD: 4", "no session is open any more"


def test_a_session_is_cancelled(talk: Talk) -> None:
    talk.say('AT+CUSD=1,"*100#",15', 5)
    assert talk.say("AT+CUSD=2", 5) == ["OK"]
    assert talk.say('AT+CUSD=1,"1",15', 5)[-1] == "+CUSD: 4"
    talk.say('AT+CUSD=1,"*101#",15', 0.5)
    assert talk.say("AT+CUSD=2", 10) == ["OK"], "nor does the answer come that was under way"


def test_the_network_ends_a_session_that_nobody_answers(talk: Talk) -> None:
    talk.say('AT+CUSD=1,"*100#",15', 5)
    assert talk.wait(300) == b"\r\n+CUSD: 2\r\n"


def test_answers_are_not_shown_unless_asked_for(talk: Talk) -> None:
    assert talk.say('AT+CUSD=0,"*101#",15', 10) == ["OK"]


def test_answers_come_in_the_hosts_alphabet(talk: Talk) -> None:
    talk.say('AT+CSCS="UCS2"')
    code = "*101#".encode("utf-16-be").hex().upper()
    text = "Your credit is 12.50 EUR".encode("utf-16-be").hex().upper()
    assert talk.say(f'AT+CUSD=1,"{code}",15', 5)[-1] == f'+CUSD: 0,"{text}",15'


def test_text_outside_the_gsm_alphabet_comes_as_ucs2(talk: Talk) -> None:
    talk.modem.set("network.ussd", {"*1#": "Привет"})
    assert talk.say('AT+CUSD=1,"*1#",15', 5)[-1] == f'+CUSD: 0,"{"Привет".encode("utf-16-be").hex().upper()}",72'


def test_a_code_may_be_dialled(talk: Talk) -> None:
    talk.say("AT+CUSD=1")
    assert talk.say("ATD*101#;", 5) == ["OK", '+CUSD: 0,"Your credit is 12.50 EUR",15']


@pytest.mark.parametrize("command", ["AT+CUSD=3", 'AT+CUSD=1,"*101#",999', "AT+CUSD=x"])
def test_what_is_out_of_range(talk: Talk, command: str) -> None:
    talk.say("AT+CMEE=1")
    assert talk.say(command) == ["+CME ERROR: 50"]


def test_without_a_network_or_a_sim_there_is_none(talk: Talk) -> None:
    talk.say("AT+CMEE=1")
    talk.say("AT+CFUN=4")
    assert talk.say('AT+CUSD=1,"*101#",15') == ["+CME ERROR: 30"]
    talk.modem.set("sim.present", False)
    assert talk.say('AT+CUSD=1,"*101#",15') == ["+CME ERROR: 10"]


def test_one_request_at_a_time(talk: Talk) -> None:
    talk.say("AT+CMEE=1")
    talk.say('AT+CUSD=1,"*100#"', 0.5)
    assert talk.say('AT+CUSD=1,"*101#"', 0.5) == ["+CME ERROR: 3"]
    assert b'+CUSD: 1,"1: credit' in talk.wait(3)
    assert '+CUSD: 0,"Your credit' in talk.say('AT+CUSD=1,"1"', 3)[1]
