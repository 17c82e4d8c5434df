"""What may be sent to a module without --force, and above all what may not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.commands.at_allowlist import allowed


@pytest.mark.parametrize(
    "line",
    [
        "AT", "ATI", "ati9", "AT+CSQ", "at+csq", "AT+CREG?", "AT+CGDCONT?", "AT+CGDCONT=?", "AT+QENG=\"servingcell\"",
        "AT+QENG=\"neighbourcell\"", "AT+QLTS=1", "AT+CGPADDR=1", "AT^HCSQ?",
        "AT^HCSQ", "AT#RFSTS", "AT!GSTATUS?", "AT+QCFG=?", "AT+CPIN?", "AT+CFUN?",
    ],
)  # fmt: skip
def test_what_only_reads_is_allowed(line: str) -> None:
    assert allowed(line)


@pytest.mark.parametrize(
    "line",
    [
        "AT+CFUN=1,1", "AT+CFUN=0", "AT+CPIN=\"1234\"", "AT+CPIN=1234", "ATZ", "AT&F", "AT+CLCK=\"SC\",1,\"0000\"",
        "AT+COPS=?", "AT+COPS=2", "AT+CGAUTH?", "AT+QICSGP?", "AT+CRSM=214,12258,0,0,10", "AT+CSIM=10,\"A0\"",
        "AT+CSQ;+CFUN=0", "AT+CREG?;+CPIN=1", "ATD112;", "ATD112", "AT+QENG=\"servingcell\";+CFUN=0",
        "AT+EGMR=1,7,\"1\"",
        "AT+QPOWD", "AT+CMGS=\"+32470\"", "AT+CSQ\r\nAT+CFUN=0", "AT+CSQ\x1a", "", "CSQ", "AT +CSQ", "AT+CGSN=9",
        "ATI123",
        "AT+CIMI", "AT+CCID", "AT+CCID?", "AT+QCCID", "AT+CNUM", "AT+CGSN", "AT+CGSN=1", "AT+CRSM=176,12258,0,0,10",
        "AT+CMGL?", "AT+CPBR?", "AT^ICCID?", "AT+CUSD=1,\"*100#\"", "AT+CMGD=1,4", "AT+CSQÀ",
    ],
)  # fmt: skip
def test_what_changes_anything_is_not(line: str) -> None:
    assert not allowed(line)


def test_the_configuration_may_add_but_never_chains_or_line_ends() -> None:
    assert allowed('AT+QPING=1,"1.1.1.1"', ("AT+QPING=*",))
    assert allowed("at+qping=1", ("AT+QPING=*",))
    assert not allowed("AT+QPING=1;+CFUN=0", ("AT+QPING=*",))
    assert not allowed("AT+QPING=1\rAT+CFUN=0", ("AT+QPING=*",))
    assert not allowed("AT+CFUN=0", ("AT+QPING=*",))


@given(st.text())
def test_nothing_with_a_control_character_passes(text: str) -> None:
    if allowed("AT" + text, ("*",)):
        assert text.isascii()
        assert text.isprintable()
        assert ";" not in text
