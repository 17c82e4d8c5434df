"""Identifiers never stand whole in a log."""

from __future__ import annotations

import pytest

from agent.modem import masked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("990000862471854", "990000*******54"),
        ("+CIMI: 206011234567890 OK", "+CIMI: 206011*******90 OK"),
        ("+QCCID: 8932010000000000000F", "+QCCID: 893201************0F"),
        ('+CNUM: ,"+32470123456",145', '+CNUM: ,"+32*******56",145'),
        ('AT+CPIN="1234"', "AT+CPIN=***"),
        ('AT+CLCK="SC",1,"1234"', 'AT+CLCK="SC",1,***'),
        ("+CSQ: 18,99", "+CSQ: 18,99"),
        ("+CGPADDR: 1,10.1.2.3", "+CGPADDR: 1,10.1.2.3"),
    ],
)
def test_the_middle_of_an_identifier_is_starred(text: str, shown: str) -> None:
    assert masked(text) == shown
