"""The pytest fixture of the simulator, as the tests of another program use it."""

from __future__ import annotations

import os

import pytest

from simulator.fixture import ModemSim

pytest_plugins = ["pytester"]


def write(modem_sim: ModemSim, data: bytes) -> None:
    port = os.open(modem_sim.path, os.O_RDWR | os.O_NOCTTY)
    try:
        os.write(port, data)
    finally:
        os.close(port)


def test_what_was_asked_can_be_asserted(modem_sim: ModemSim) -> None:
    modem_sim.set("rsrp", -117)
    assert modem_sim.ask("AT+CSQ") == ["+CSQ: 13,99", "OK"]
    assert modem_sim.ask("AT+NOSUCH") == ["ERROR"]
    write(modem_sim, b"ATE0\rat+cmgf=1\r")
    modem_sim.assert_asked("AT+CSQ", "ATE0", "AT+CMGF=*")
    modem_sim.assert_never_asked("AT+CFUN=*", "AT+CSQ?", "AT+CS.")
    modem_sim.fault("sim-absent")
    assert modem_sim.running.modem.state.sim.present is False


@pytest.mark.modem_sim("huawei-me909", seed=5)
def test_a_mark_chooses_the_module(modem_sim: ModemSim) -> None:
    assert modem_sim.running.modem.profile.manufacturer.lower().startswith("huawei")
    assert modem_sim.running.modem.seed == 5


def test_an_sms_that_was_sent_can_be_asserted(modem_sim: ModemSim) -> None:
    write(modem_sim, b'AT+CMGF=1\rAT+CMGS="+32470000009"\r')
    modem_sim.assert_asked("AT+CMGS=*")
    write(modem_sim, b"hello you\x1a")
    modem_sim.assert_sent("+32470000009", "hello*")


FAILING = """
    def test_order(modem_sim):
        modem_sim.ask("AT+CGMM")
        modem_sim.ask("ATI")
        modem_sim.assert_asked("ATI", "AT+CGMM", timeout_s=0)
    def test_never(modem_sim):
        modem_sim.ask("AT+CFUN?")
        modem_sim.assert_never_asked("AT+CFUN*")
    def test_sms(modem_sim):
        modem_sim.assert_sent("+32470000009", "hello", timeout_s=0)
"""


def test_a_failed_assertion_says_what_the_host_sent(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FAILING)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(failed=3)
    said = result.stdout.str()
    assert "the host did not send 'AT+CGMM' after 'ATI'; it sent:" in said
    assert "the host sent 'AT+CFUN?'; it sent:" in said
    assert "no SMS 'hello' to +32470000009; sent were:" in said
    assert "fixture.py" not in said, "the traceback ends in the test"
