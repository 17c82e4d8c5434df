"""The SMS store in text and PDU mode, and the alphabets."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.modem import pdu
from simulator.modem.charset import septets
from simulator.modem.sms import Message
from tests.simulator.talk import PROFILES, Talk, quiet

AT = datetime(2026, 11, 22, 8, 30, 15, tzinfo=timezone(timedelta(hours=1)))


def test_sending_in_text_mode_asks_for_the_text() -> None:
    talk = Talk()
    talk.say("AT+CMGF=1")
    assert talk.raw(b'AT+CMGS="+32470000001"\r') == b"\r\n> "
    assert talk.raw(b"80 % used\x1a") == b"\r\n+CMGS: 1\r\n\r\nOK\r\n"
    assert [(m.number, m.text) for m in talk.modem.sms.sent] == [("+32470000001", "80 % used")]


def test_escape_leaves_the_prompt() -> None:
    talk = Talk()
    talk.say("AT+CMGF=1")
    talk.raw(b'AT+CMGS="+32470000001"\r')
    assert talk.raw(b"never\x1b") == b"\r\nOK\r\n"
    assert talk.modem.sms.sent == []
    assert talk.say("AT") == ["OK"]


def test_a_message_comes_in_is_listed_read_and_deleted() -> None:
    talk = Talk(wall=AT)
    talk.say("AT+CNMI=2,1;+CMGF=1")
    assert talk.modem.receive_sms("+32470000002", "Bonjour") == 1
    assert talk.wait(0) == b'\r\n+CMTI: "ME",1\r\n'
    listed = talk.say('AT+CMGL="REC UNREAD"')
    assert listed[0].startswith('+CMGL: 1,"REC UNREAD","+32470000002",,"26/11/22,08:30:')
    assert listed[1:] == ["Bonjour", "OK"]
    assert talk.say('AT+CMGL="REC UNREAD"') == ["OK"], "it has been read"
    assert talk.say("AT+CMGR=1")[1] == "Bonjour"
    assert talk.say("AT+CPMS?")[0] == '+CPMS: "ME",1,50,"ME",1,50,"ME",1,50'
    assert talk.say("AT+CMGD=1") == ["OK"]
    assert talk.say("AT+CMGR=1") == ["+CMS ERROR: 321"]


def test_what_cannot_be_sent_is_refused_with_cms_codes() -> None:
    talk = Talk()
    talk.say("AT+CMGF=1")
    assert talk.raw(b'AT+CMGS="nobody"\rx\x1a').endswith(b"+CMS ERROR: 305\r\n")
    talk.modem.set("coverage", False)
    talk.heard()
    assert talk.say('AT+CMGS="+32470000001"') == ["+CMS ERROR: 331"]
    talk.modem.fault("sim-absent")
    talk.heard()
    assert talk.say('AT+CPMS="ME"') == ["+CMS ERROR: 310"]


def test_a_full_store_takes_no_more_and_the_network_keeps_the_rest() -> None:
    talk = Talk()
    talk.say("AT+CNMI=2,1")
    assert [talk.modem.receive_sms("1", f"{n}") for n in range(1, 53)][-3:] == [50, 0, 0]
    assert talk.say("AT+CIND?")[0].endswith(",1")
    talk.say("AT+CMGF=1")
    talk.raw(b'AT+CMGW="1"\r')
    assert talk.raw(b"x\x1a") == b"\r\n+CMS ERROR: 322\r\n"
    assert talk.say("AT+CMGD=7") == ["OK", '+CMTI: "ME",7']
    assert talk.say("AT+CMGR=7")[1] == "51", "the one that came first"


@pytest.fixture(params=PROFILES)
def talk(request: pytest.FixtureRequest) -> Talk:
    return quiet(request.param, wall=AT)


def test_memories_are_chosen_for_each_purpose(talk: Talk) -> None:
    assert talk.say('AT+CPMS="SM","ME","SM"') == ["+CPMS: 0,50,0,50,0,50", "OK"]
    assert talk.say("AT+CPMS?")[0] == '+CPMS: "SM",0,50,"ME",0,50,"SM",0,50'
    talk.say("AT+CNMI=2,1,0,0,0")
    talk.modem.receive_sms("+32470000001", "a")
    assert talk.wait(0) == b'\r\n+CMTI: "SM",1\r\n'
    assert talk.say("AT+CMGL=4")[0].startswith("+CMGL: 1,0,,")
    talk.say("AT+CMGF=1")
    talk.raw(b'AT+CMGW="+32470000002"\r')
    assert talk.raw(b"draft\x1a") == b"\r\n+CMGW: 1\r\n\r\nOK\r\n"
    assert talk.say("AT+CPMS?")[0] == '+CPMS: "SM",1,50,"ME",1,50,"SM",1,50'
    assert talk.say('AT+CPMS="XX"') == ["+CMS ERROR: 302"]
    assert talk.say('AT+CPMS="ME"')[0] == "+CPMS: 1,50,1,50,1,50", "the others stay"


def test_a_message_is_handed_over_and_not_stored(talk: Talk) -> None:
    talk.say("AT+CNMI=2,2,0,0,0")
    assert talk.modem.receive_sms("+32470000001", "b") == 0
    first, octets = talk.wait(0).decode().split()[1:]
    assert first == f",{len(octets) // 2 - 8}"
    talk.say("AT+CMGF=1")
    talk.modem.receive_sms("+32470000001", "b")
    assert re.fullmatch(rb'\r\n\+CMT: "\+32470000001",,"26/11/22,[0-9:]{8}\+04"\r\nb\r\n', talk.wait(0))
    talk.say("AT+CSDH=1")
    talk.modem.receive_sms("+32470000001", "b")
    assert talk.wait(0).endswith(b'+04",145,4,0,0,"+32475161616",145,1\r\nb\r\n')
    assert talk.say('AT+CMGL="ALL"') == ["OK"]


def test_an_acknowledgement_is_waited_for_where_the_service_asks_for_it(talk: Talk) -> None:
    talk.say("AT+CSMS=1;+CNMI=2,2,0,0,0")
    assert talk.say("AT+CNMA") == ["+CMS ERROR: 340"]
    for text in ("one", "two"):
        talk.modem.receive_sms("+32470000001", text)
    assert talk.wait(1).count(b"+CMT:") == 1, "the next waits for the first"
    said = talk.say("AT+CNMA")
    assert said[0] == "OK"
    assert said[1].startswith("+CMT: ,")
    assert talk.say("AT+CNMA") == ["OK"]
    talk.modem.receive_sms("+32470000001", "three")
    assert talk.wait(14).count(b"+CMT:") == 1
    talk.wait(60)
    assert talk.say("AT+CNMI?")[0] == "+CNMI: 2,0,0,0,0", "nobody acknowledged: no more are handed over"
    assert talk.say("AT+CPMS?")[0] == '+CPMS: "ME",1,50,"ME",1,50,"ME",1,50', "and it was stored when it came again"


@pytest.mark.parametrize("away", [("AT+CFUN=4", "AT+CFUN=1"), ("AT+COPS=2", "AT+COPS=0")])
def test_the_network_holds_what_comes_while_the_module_is_away(talk: Talk, away: tuple[str, str]) -> None:
    leave, come = away
    talk.say("AT+CNMI=2,1")
    talk.say(leave)
    talk.modem.receive_sms("+32470000001", "x")
    talk.modem.receive_sms("+32470000001", "y")
    assert talk.wait(60) == b""
    assert talk.say(come, 10)[-2:] == ['+CMTI: "ME",1', '+CMTI: "ME",2']


@pytest.mark.parametrize("fault", ["no-coverage", "sim-pin", "denied"])
def test_it_holds_it_through_faults_too(talk: Talk, fault: str) -> None:
    talk.say("AT+CNMI=2,1")
    talk.modem.fault(fault)
    talk.modem.receive_sms("+32470000001", "x")
    assert b"CMTI" not in talk.wait(60)
    talk.modem.clear(fault)
    assert b'+CMTI: "ME",1' in talk.wait(10)


@pytest.mark.parametrize(("route", "heard"), [(0, b""), (2, b'\r\n+CDSI: "SM",1\r\n')])
def test_a_report_is_stored_or_left_out(talk: Talk, route: int, heard: bytes) -> None:
    talk.say(f'AT+CPMS="SM","SM","SM";+CMGF=1;+CSMP=49,167,0,0;+CNMI=2,0,0,{route},0')
    talk.raw(b'AT+CMGS="+32470000001"\r')
    assert talk.raw(b"x\x1a", 0.5) == b"\r\n+CMGS: 1\r\n\r\nOK\r\n"
    assert talk.wait(10) == heard
    if route:
        assert talk.say("AT+CMGR=1")[0].startswith('+CMGR: "REC UNREAD",6,1,"+32470000001",145,"26/11/22,')


def test_a_report_is_handed_over(talk: Talk) -> None:
    talk.say("AT+CMGF=1;+CSMP=49,167,0,0;+CNMI=2,0,0,1,0")
    talk.raw(b'AT+CMGS="+32470000001"\r')
    talk.raw(b"x\x1a", 0.5)
    said = talk.wait(10).decode().strip()
    assert re.fullmatch(r'\+CDS: 6,1,"\+32470000001",145,"[^"]*\+04","[^"]*\+04",0', said)


def test_no_report_is_sent_for_what_asks_for_none(talk: Talk) -> None:
    talk.say("AT+CMGF=1;+CNMI=2,0,0,1,0")
    talk.raw(b'AT+CMGS="+32470000001"\r')
    talk.raw(b"x\x1a")
    assert talk.wait(30) == b""


def test_mode_0_keeps_indications_in_the_module(talk: Talk) -> None:
    for buffer, flushed in ((0, ['+CMTI: "ME",1']), (1, [])):
        talk.say("AT+CMGD=1,4")
        talk.say("AT+CNMI=0,1,0,0,0")
        talk.modem.receive_sms("+32470000001", "x")
        assert talk.wait(10) == b""
        assert talk.say(f"AT+CNMI=2,1,0,0,{buffer}") == ["OK", *flushed]


def test_drafts_are_listed_read_and_sent(talk: Talk) -> None:
    talk.say("AT+CMGF=1;+CSDH=1")
    talk.raw(b'AT+CMGW="+32470000002"\r')
    assert talk.raw(b"draft\x1a") == b"\r\n+CMGW: 1\r\n\r\nOK\r\n"
    assert talk.say('AT+CMGL="STO UNSENT"') == ['+CMGL: 1,"STO UNSENT","+32470000002",,,145,5', "draft", "OK"]
    assert talk.say("AT+CMGR=1")[0] == '+CMGR: "STO UNSENT","+32470000002",,145,17,0,0,167,"+32475161616",145,5'
    assert talk.say("AT+CMSS=1") == ["+CMSS: 1", "OK"]
    assert talk.say('AT+CMSS=1,"+32470000003"') == ["+CMSS: 2", "OK"]
    assert [(m.number, m.text) for m in talk.modem.sms.sent][-1] == ("+32470000003", "draft")
    assert talk.say('AT+CMGL="STO SENT"')[1] == "draft"
    assert talk.say("AT+CMSS=9") == ["+CMS ERROR: 321"]
    talk.modem.receive_sms("+32470000001", "in")
    assert talk.say("AT+CMSS=2") == ["+CMS ERROR: 302"], "what came in is no draft"


def test_drafts_as_pdus_come_back_as_they_were(talk: Talk) -> None:
    for octets, length, status in (
        ("0001000B912374000000F100000AE8329BFD4697D9EC37", 22, 2),
        ("07912374151616F6000AD0C770BB5D070000621192129213000178", 19, 1),
    ):
        talk.raw(f"AT+CMGW={length},{status}\r".encode())
        place = talk.raw(octets.encode() + b"\x1a").split()[1].decode()
        assert talk.say(f"AT+CMGR={place}") == [f"+CMGR: {status},,{length}", octets, "OK"]
    talk.say("AT+CMGF=1")
    assert talk.say("AT+CMGR=2")[0].startswith('+CMGR: "REC READ","Gammu",,"')


def test_a_name_may_be_the_sender(talk: Talk) -> None:
    talk.modem.receive_sms("Proximus", "hello")
    octets = talk.say("AT+CMGR=1")[1]
    assert pdu.handed_over(octets, AT).number == "Proximus"
    talk.say("AT+CMGF=1;+CSDH=1")
    assert '"Proximus",,' in talk.say("AT+CMGR=1")[0]
    assert ",208,4,0,0," in talk.say("AT+CMGR=1")[0]


def test_the_scheme_decides_what_the_typed_text_is(talk: Talk) -> None:
    talk.say("AT+CMGF=1;+CSMP=17,167,0,8")
    talk.raw(b'AT+CMGS="+32470000001"\r')
    talk.raw(b"04100411\x1a")
    assert talk.modem.sms.sent[-1].text == "АБ"


def test_numbers_are_read_and_shown_in_the_hosts_alphabet(talk: Talk) -> None:
    talk.say('AT+CSCS="UCS2";+CMGF=1')
    assert talk.say("AT+CSCA?")[0] == f'+CSCA: "{ucs2("+32475161616")}",145'
    assert talk.say(f'AT+CSCA="{ucs2("+32499")}"') == ["OK"]
    assert talk.modem.state.sim.smsc == "+32499"
    talk.modem.receive_sms("+32470000001", "hé")
    assert f'"{ucs2("+32470000001")}"' in talk.say("AT+CMGR=1")[0]
    assert talk.say("AT+CMGR=1")[1] == ucs2("hé")


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ('AT+CMGS=""', 305),
        ("AT+CMGS", 305),
        ('AT+CMGS="nobody"', 305),
        ('AT+CMGW="nobody"', 305),
        ("AT+CMGR=99", 321),
        ("AT+CMGR=x", 321),
        ("AT+CMGD=99", 321),
        ("AT+CMGD=1,9", 305),
        ('AT+CMGL="NONE"', 305),
        ("AT+CNMI=9", 303),
        ("AT+CNMI=2,1,0,5", 303),
        ("AT+CSMP=999", 303),
        ("AT+CSDH=2", 303),
        ('AT+CSCA="x"', 305),
    ],
)
def test_what_is_wrong_is_refused_before_any_prompt(talk: Talk, command: str, error: int) -> None:
    talk.say("AT+CMGF=1")
    assert talk.say(command) == [f"+CMS ERROR: {error}"]


@pytest.mark.parametrize("command", ["AT+CMGS=0", "AT+CMGS=999", "AT+CMGS=x", "AT+CMGS", "AT+CMGW=0", "AT+CMGW=20,7"])
def test_impossible_lengths_are_refused_before_any_prompt(talk: Talk, command: str) -> None:
    assert talk.say(command) == ["+CMS ERROR: 304"]


def ucs2(text: str) -> str:
    return text.encode("utf-16-be").hex().upper()


@pytest.mark.parametrize("text", ["hello", "€ [x]", "", "@" * 160])
def test_delivered_pdu_carries_number_text_and_time(text: str) -> None:
    octets, length = pdu.deliver(Message("+32470000001", text, AT), "+32475161616")
    assert len(octets) // 2 == length + 1 + int(octets[:2], 16)
    assert "62112280035140" in octets  # 26-11-22 08:30:15 +4 quarters, nibbles swapped
    assert pdu.unpacked(pdu.packed(septets(text) or []), len(septets(text) or [])) == text


def test_text_outside_the_gsm_alphabet_goes_as_ucs2() -> None:
    octets, _ = pdu.deliver(Message("1234", "Привет", AT), "")
    assert "Привет".encode("utf-16-be").hex().upper() in octets


def test_an_sms_submit_is_understood() -> None:
    # TP-MTI submit, no validity; +32470000001; GSM 7 bit; "hellohello" packed as in 23.038's example.
    octets = "0001000B912374000000F100000AE8329BFD4697D9EC37"
    message = pdu.handed_over(octets, AT)
    assert (message.number, message.text) == ("+32470000001", "hellohello")
    talk = Talk()
    talk.say("AT+CMGF=0")
    length = len(octets) // 2 - 1
    assert talk.raw(f"AT+CMGS={length}\r".encode()) == b"\r\n> "
    assert b"+CMGS: 1" in talk.raw(octets.encode() + b"\x1a")
    assert talk.modem.sms.sent[0].text == "hellohello"
    talk.raw(f"AT+CMGS={length + 1}\r".encode())
    assert talk.raw(octets.encode() + b"\x1a").endswith(b"+CMS ERROR: 304\r\n")


@given(st.binary(max_size=60))
def test_nonsense_as_a_pdu_is_refused_and_nothing_else(data: bytes) -> None:
    try:
        message = pdu.handed_over(data.hex(), AT)
    except ValueError:
        return
    assert pdu.shown(message, "")[0] == data.hex().upper()
