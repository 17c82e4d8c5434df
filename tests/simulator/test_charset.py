"""Text on the port in each character set of +CSCS (27.007 5.5), with the codes of 23.038 6.2.1."""

from __future__ import annotations

import pytest

from simulator.modem.charset import displayed, understood
from tests.simulator.talk import PROFILES, Talk, quiet

TEXT = "a@b_$ è{€}"
ON_THE_PORT = {
    "GSM": b"a\x00b\x11\x02 \x04\x1b\x28\x1be\x1b\x29",
    "IRA": b"a@b_$ ?{?}",
    "UCS2": TEXT.encode("utf-16-be").hex().upper().encode(),
}


@pytest.fixture(params=PROFILES)
def talk(request: pytest.FixtureRequest) -> Talk:
    return quiet(request.param)


@pytest.mark.parametrize("charset", ON_THE_PORT)
def test_a_message_and_an_ussd_answer_come_in_the_hosts_characters(talk: Talk, charset: str) -> None:
    talk.modem.set("network.ussd", f"*103#={TEXT}")
    talk.say(f'AT+CMGF=1;+CNMI=2,2;+CSCS="{charset}"')
    talk.modem.receive_sms("Anna", TEXT)
    assert talk.wait(1).split(b"\r\n")[2] == ON_THE_PORT[charset]
    code = "*103#".encode("utf-16-be").hex() if charset == "UCS2" else "*103#"
    assert b'+CUSD: 0,"' + ON_THE_PORT[charset] + b'",15\r\n' in talk.raw(f'AT+CUSD=1,"{code}",15\r'.encode(), 3)


@pytest.mark.parametrize("charset", ON_THE_PORT)
def test_what_the_host_writes_is_read_in_its_characters(talk: Talk, charset: str) -> None:
    sign = {"GSM": b"\x01\x05", "IRA": b"$@", "UCS2": b"00A300E9"}[charset]
    meant = "$@" if charset == "IRA" else "£é"
    number = "0031" if charset == "UCS2" else "1"
    talk.say(f'AT+CMGF=1;+CSCS="{charset}"')
    talk.say(f'AT+CMGS="{number}"')
    talk.raw(sign + b"\x1a")
    assert talk.modem.sms.sent[-1].text == meant
    talk.raw(b'AT+CPBW=1,"' + number.encode() + b'",129,"' + sign + b'"\r')
    assert talk.modem.phonebook.entries("SM") == {1: ("1", meant)}
    assert sign in talk.raw(b"AT+CPBR=1\r")


def test_what_a_character_set_lacks_becomes_a_question_mark() -> None:
    assert displayed("пé", "GSM") == "?\x05"
    assert displayed("пé", "IRA") == "??"
    assert understood("zz", "UCS2") == "zz", "no digits: a host that forgot what it had set"
    assert understood("\xe9", "GSM") == "\xe9"


def test_the_name_of_a_character_set_is_text_in_the_present_one(talk: Talk) -> None:
    ucs2 = "GSM".encode("utf-16-be").hex()
    talk.say("AT+CMEE=1")
    assert talk.say('AT+CSCS="UCS2"') == ["OK"]
    assert talk.say(f'AT+CSCS="{ucs2}"') == ["OK"]
    assert talk.say("AT+CSCS?")[0] == '+CSCS: "GSM"'
    assert talk.say(f'AT+CSCS="{ucs2}"') == ["+CME ERROR: 50"]
