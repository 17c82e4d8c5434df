"""The SMS store in text and PDU mode, and the alphabets."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.modem import pdu
from simulator.modem.sms import Message
from tests.simulator.talk import Talk

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


def test_a_full_store_takes_no_more() -> None:
    talk = Talk()
    assert [talk.modem.receive_sms("1", "x") for _ in range(52)][-3:] == [50, 0, 0]


@pytest.mark.parametrize("text", ["hello", "€ [x]", "", "@" * 160])
def test_delivered_pdu_carries_number_text_and_time(text: str) -> None:
    octets, length = pdu.deliver(Message("+32470000001", text, AT), "+32475161616")
    assert len(octets) // 2 == length + 1 + int(octets[:2], 16)
    assert "62112280035140" in octets  # 26-11-22 08:30:15 +4 quarters, nibbles swapped
    assert pdu.unpacked(pdu.packed(pdu.septets(text) or []), len(pdu.septets(text) or [])) == text


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
