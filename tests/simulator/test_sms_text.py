"""27.005 on four makers' modules: what a text is typed as, how it is coded, and what does not fit."""

from __future__ import annotations

import re

import pytest

from simulator.modem import pdu
from tests.simulator.talk import PROFILES, Talk, quiet

MANY = "0123456789" * 20
CYRILLIC = "абвгдежзик" * 10


@pytest.fixture(params=PROFILES)
def talk(request: pytest.FixtureRequest) -> Talk:
    talk = quiet(request.param)
    talk.say("AT+CMEE=1;+CMGF=1")
    return talk


def test_a_text_is_edited_and_asked_for_line_by_line(talk: Talk) -> None:
    talk.say('AT+CMGS="1"')
    assert talk.raw(b"ona\x08e\r") == b"\r\n> "
    assert talk.raw(b"two\x1a") == b"\r\n+CMGS: 1\r\n\r\nOK\r\n"
    assert talk.modem.sms.sent[-1].text == "one\rtwo"


@pytest.mark.parametrize(
    ("settings", "typed", "error"),
    [
        ("+CSMP=17,167,0,0", b"x" * 160, None),
        ("+CSMP=17,167,0,0", b"x" * 161, 305),
        ("+CSMP=17,167,0,8", b"0041" * 70, None),
        ("+CSMP=17,167,0,8", b"0041" * 71, 305),
        ("+CSMP=17,167,0,8", b"no hex", 305),
        ("+CSMP=17,167,0,4", b"FF" * 140, None),
        ("+CSMP=17,167,0,4", b"FF" * 141, 305),
        ("+CSMP=17,167,0,4", b"F", 305),
        ('+CSMP=25,"26/12/01,12:00:00+04",0,0', b"x", None),
        ("+CSMP=25,167,0,0", b"x", 305),
        ('+CSMP=17,"26/12/01,12:00:00+04",0,0', b"x", 305),
        ('+CSMP=17,"26/13/01,12:00:00+04",0,0', b"x", 305),
        ('+CSMP=9,"0100000000000A",0,0', b"x", None),
    ],
)
def test_what_fits_is_sent_and_the_rest_refused(talk: Talk, settings: str, typed: bytes, error: int | None) -> None:
    assert talk.say(f"AT{settings}") == ["OK"]
    assert talk.say("AT+CSMP?")[0] == settings.replace("=", ": ")
    talk.say('AT+CMGS="1"')
    said = b"\r\n+CMS ERROR: %d\r\n" % error if error else b"\r\n+CMGS: 1\r\n\r\nOK\r\n"
    assert talk.raw(typed + b"\x1a") == said


@pytest.mark.parametrize(
    ("settings", "validity"),
    [
        ("17,71,0,0", "47"),
        ('25,"26/12/01,12:30:59+04",0,0', "62211021039540"),
        ('25,"26/12/01,12:30:59-04",0,0', "62211021039548"),
        ('9,"0100000000000A",0,0', "0100000000000A"),
        ("1,167,0,0", ""),
    ],
)
def test_the_validity_stands_in_the_pdu_as_its_format_says(talk: Talk, settings: str, validity: str) -> None:
    """23.040 9.2.3.12: half hours and days, a time in swapped digits, or the enhanced octets."""
    talk.say(f"AT+CSMP={settings}")
    talk.say('AT+CMGW="1234"')
    talk.raw(b"x\x1a")
    assert talk.say("AT+CMGF=0;+CMGR=1")[1][-len(f"0000{validity}0178") :] == f"0000{validity}0178"


def test_octets_are_shown_as_hex(talk: Talk) -> None:
    talk.say("AT+CSMP=17,167,0,4")
    talk.say('AT+CMGW="1"')
    talk.raw(b"00FF1A\x1a")
    assert talk.say("AT+CMGR=1")[1] == "00FF1A"
    assert talk.say("AT+CMGF=0;+CMGR=1")[1].endswith("0004A70300FF1A")


@pytest.mark.parametrize(
    ("given", "kept"), [('"32470",145', "+32470"), ('"+32470"', "+32470"), ('"32470",129', "32470")]
)
def test_a_number_is_what_its_type_makes_it(talk: Talk, given: str, kept: str) -> None:
    kind = 145 if kept.startswith("+") else 129
    talk.say(f"AT+CMGS={given}")
    talk.raw(b"x\x1a")
    assert talk.modem.sms.sent[-1].number == kept
    assert talk.say(f"AT+CSCA={given};+CSCA?")[0] == f'+CSCA: "{kept}",{kind}'
    assert talk.say(f"AT+CPBW=1,{given.partition(',')[0]},{kind};+CPBR=1")[0] == f'+CPBR: 1,"{kept}",{kind},""'
    assert talk.say(f"AT+CCFC=0,3,{given};+CCFC=0,2")[0] == f'+CCFC: 1,7,"{kept}",{kind}'


@pytest.mark.parametrize("kind", ["1", "999", "x"])
def test_a_type_that_no_number_has_is_refused(talk: Talk, kind: str) -> None:
    for command in (f'+CMGS="1",{kind}', f'+CMGW="1",{kind}', f'+CSCA="1",{kind}'):
        assert talk.say(f"AT{command}") == ["+CMS ERROR: 305"], command


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("+CMGF=2", 303),
        ("+CSMS=2", 303),
        ("+CNMI=9", 303),
        ('+CPMS="XX"', 302),
        ("+CPMS", 305),
        ("+CMGL=4", 305),
        ('+CMGL="NONE"', 305),
        ('+CMGF=0;+CMGL="ALL"', 304),
        ("+CMGF=0;+CMGL=5", 304),
    ],
)
def test_errors_of_the_message_service_are_its_own(talk: Talk, command: str, error: int) -> None:
    assert talk.say(f"AT{command}") == [f"+CMS ERROR: {error}"]


def test_a_draft_sent_to_another_stays_as_it_was(talk: Talk) -> None:
    talk.say('AT+CMGW="+32470"')
    talk.raw(b"x\x1a")
    assert talk.say('AT+CMSS=1,"+32499"') == ["+CMSS: 1", "OK"]
    assert talk.modem.sms.sent[-1].number == "+32499"
    assert talk.say("AT+CMGR=1")[0] == '+CMGR: "STO SENT","+32470",'


def test_a_look_without_reading_leaves_a_message_unread(talk: Talk) -> None:
    talk.modem.receive_sms("1", "x")
    for command in ('+CMGL="ALL",1', "+CMGR=1,1", "+CMGR=1"):
        assert '"REC UNREAD"' in talk.say(f"AT{command}")[0], command
    assert '"REC READ"' in talk.say("AT+CMGR=1")[0]


@pytest.mark.parametrize(
    ("text", "lengths"),
    [("x" * 160, [160]), (MANY, [153, 47]), ("x" * 152 + "€" + "x" * 10, [152, 11]), (CYRILLIC, [67, 33])],
)
def test_a_long_message_comes_in_parts(talk: Talk, text: str, lengths: list[int]) -> None:
    talk.modem.receive_sms("+32470000001", text)
    shown = [line for line in talk.say('AT+CMGL="ALL"') if not line.startswith(("+CMGL", "OK"))]
    talk.say("AT+CMGF=0")
    octets = [line for line in talk.say("AT+CMGL=4") if re.fullmatch("[0-9A-F]{20,}", line)]
    assert len(shown) == len(octets) == len(lengths)
    found = [pdu.handed_over(each, talk.modem.local_time()) for each in octets]
    assert "".join(message.text for message in found) == text
    assert [len(message.text) for message in found] == lengths
    for place, each in enumerate(octets, 1):
        assert ("050003" in each) == (len(lengths) > 1)
        assert len(lengths) == 1 or re.search(f"05000301{len(lengths):02X}{place:02X}", each)


def test_settings_are_saved_and_come_back(talk: Talk) -> None:
    talk.say('AT+CSMP=17,71,0,0;+CSCA="+3211";+CSCB=1,"5","";+CSAS')
    talk.say('AT+CSMP=49,167,0,8;+CSCA="+3222";+CSCB=0')
    back = ["+CSMP: 17,71,0,0", '+CSCA: "+3211",145', '+CSCB: 1,"5",""', "OK"]
    assert talk.say("AT+CRES;+CSMP?;+CSCA?;+CSCB?") == back
    assert talk.say("AT+CSAS=1") == ["+CMS ERROR: 303"]
