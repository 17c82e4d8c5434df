"""The faults by name: what each does to a conversation, that it ends, and that a seed repeats it."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import termios

import pytest

import simulator
from simulator.errors import SimulatorError, UnknownName
from simulator.modem.fault import FAULTS
from tests.simulator.talk import Talk


def test_all_25_behaviours_are_there() -> None:
    assert {fault.number for fault in FAULTS.values()} == set(range(1, 26))
    assert all(fault.help for fault in FAULTS.values())


def test_an_unknown_fault_names_those_that_exist() -> None:
    with pytest.raises(UnknownName, match=r"no fault named 'flood'; there are: .*hang-power"):
        Talk().modem.fault("flood")
    with pytest.raises(SimulatorError, match="'often' is not a number"):
        Talk().modem.fault("heat", "often")


def test_01_echo_comes_back() -> None:
    talk = Talk()
    talk.modem.fault("echo")
    assert talk.raw(b"ATE0\r") == b"ATE0\r\r\nOK\r\n"
    assert talk.raw(b"AT\r") == b"AT\r\r\nOK\r\n"


def test_02_split_pieces_add_up() -> None:
    talk = Talk(seed=3)
    talk.modem.fault("split", "5")
    talk.port.receive(b"AT+COPS?\r")
    talk.modem.advance(talk.modem.now + 1)
    pieces = []
    while piece := talk.port.take():
        pieces.append(piece)
    assert max(map(len, pieces)) <= 5
    assert len(pieces) > 6
    assert b"".join(pieces) == b'\r\n+COPS: 0,0,"Proximus",7\r\n\r\nOK\r\n'


def test_03_urcs_fall_at_line_boundaries_only() -> None:
    talk = Talk(seed=5)
    talk.modem.fault("urc", "0.5")
    places = set()
    for _ in range(40):
        lines = talk.say("AT+QCSQ")
        assert '+QCSQ: "LTE",-65,-95,165,-10' in lines
        assert "OK" in lines
        places.add((lines.index('+QCSQ: "LTE",-65,-95,165,-10') > 0, lines[-1] != "OK"))
    assert places == {(True, True), (True, False), (False, True), (False, False)}


def test_04_doubled_returns() -> None:
    talk = Talk()
    talk.modem.fault("crcrlf")
    assert talk.raw(b"AT+CSQ\r") == b"\r\r\n+CSQ: 24,99\r\r\n\r\r\nOK\r\r\n"


def test_05_noise_before_the_first_answer() -> None:
    talk = Talk()
    talk.modem.fault("noise", "0")
    first = talk.raw(b"AT\r")
    assert first.endswith(b"\r\nOK\r\n")
    assert set(first[: -len(b"\r\nOK\r\n")]) <= {0, 0xFF}
    assert len(first) > 6
    assert talk.raw(b"AT\r") == b"\r\nOK\r\n"


def test_06_a_late_answer_comes_after_the_next_command() -> None:
    talk = Talk(seed=2)
    talk.modem.fault("late", "20")
    for _ in range(60):
        if not talk.say("AT+CGMM"):
            break
    else:
        pytest.fail("no answer of 60 was late")
    assert talk.say("AT+CGMI", 25) == ["EC25", "OK", "Quectel", "OK"], "both, in order, the first 20 s late"


def test_07_no_ok_after_cpin() -> None:
    talk = Talk()
    talk.modem.fault("missing-ok")
    assert talk.say("AT+CPIN?") == ["+CPIN: READY"]
    assert talk.say("AT+CSQ") == ["+CSQ: 24,99", "OK"]


@pytest.mark.parametrize(("argument", "answer"), [("", "SIM not inserted"), ("1", "10")])
def test_08_cmee_is_ignored(argument: str, answer: str) -> None:
    talk = Talk(settings={"sim.present": False})
    talk.modem.fault("cme-text", argument)
    talk.say("AT+CMEE=0")
    assert talk.say("AT+CPIN?") == [f"+CME ERROR: {answer}"]


def test_09_the_sim_is_busy_then_initialising_then_ready() -> None:
    talk = Talk()
    talk.say("AT+CMEE=1")
    talk.modem.fault("sim-busy", "10")
    assert talk.say("AT+CPIN?", 6) == ["+CME ERROR: 14"]
    assert talk.say("AT+CPIN?", 6) == ["+CME ERROR: 515"]
    assert talk.say("AT+CPIN?") == ["+CPIN: READY", "OK"]


def test_10_the_sim_is_taken_out_and_put_back() -> None:
    talk = Talk()
    talk.say("AT+CMEE=1;+QSIMSTAT=1")
    talk.modem.fault("sim-absent")
    assert talk.heard() == b"\r\n+QSIMSTAT: 1,0\r\n\r\n+CPIN: NOT INSERTED\r\n"
    assert talk.say("AT+CIMI") == ["+CME ERROR: 10"]
    assert talk.say("AT+CEREG?")[0] == "+CEREG: 0,0"
    talk.modem.clear("sim-absent")
    talk.wait(10)
    assert talk.say("AT+CEREG?")[0] == "+CEREG: 0,1"


@pytest.mark.parametrize(("fault", "creg", "cereg"), [("denied", 3, 3), ("no-coverage", 2, 2), ("lte-only", 4, 1)])
def test_11_registration_that_fails(fault: str, creg: int, cereg: int) -> None:
    talk = Talk()
    talk.modem.fault(fault)
    talk.modem.refresh()
    talk.wait(10)
    assert talk.say("AT+CREG?")[0] == f"+CREG: 0,{creg}"
    assert talk.say("AT+CEREG?")[0] == f"+CEREG: 0,{cereg}"


def test_12_a_tour_of_all_radio_technologies() -> None:
    talk = Talk("quectel-rm500")
    talk.modem.fault("rat-tour", "10")
    seen = []
    for _ in range(6):
        seen.append(talk.say('AT+QENG="servingcell"'))
        talk.wait(8)
    assert [line[0].split(",")[1:3] for line in seen] == [
        ['"NOCONN"', '"LTE"'],
        ['"NOCONN"', '"WCDMA"'],
        ['"NOCONN"', '"GSM"'],
        ['"NOCONN"'],
        ['"NOCONN"', '"NR5G-SA"'],
        ['"SEARCH"'],
    ]
    assert seen[3][2].startswith('+QENG:"NR5G-NSA"')


def test_13_a_scan_keeps_the_port_and_drops_the_connection() -> None:
    talk = Talk()
    talk.modem.fault("scan-drops")
    assert talk.say("AT+COPS=?", 30) == []
    assert not talk.modem.data_flows
    talk.wait(60)
    assert talk.modem.data_flows, "given back after the scan"


def test_14_it_comes_back_within_15_to_60_seconds() -> None:
    talk = Talk(seed=4)
    came: list[float] = []
    talk.modem.on_presence.append(lambda present: came.append(talk.modem.now) if present else None)
    start = talk.modem.now
    talk.modem.fault("renumber")
    talk.wait(70)
    assert len(came) == 1
    assert 15 <= came[0] - start <= 60


def test_14_its_boot_lines_come_in_either_order() -> None:
    orders = set()
    for seed in range(12):
        talk = Talk(seed=seed)
        talk.modem.fault("renumber", "15")
        said = talk.wait(30)
        orders.add(said.index(b"SMS DONE") < said.index(b"PB DONE"))
    assert orders == {True, False}


def test_15_a_hang_that_resets_cure() -> None:
    talk = Talk()
    talk.modem.fault("hang", "2")
    assert talk.say("AT") == []
    talk.modem.usb_reset()
    talk.wait(60)
    assert talk.say("AT") == []
    talk.modem.usb_reset()
    talk.wait(60)
    assert talk.say("AT")[-1] == "OK"
    assert "hang" not in talk.modem.faults


def test_15_a_hang_that_only_power_cures() -> None:
    talk = Talk()
    talk.modem.fault("hang-power")
    for _ in range(3):
        talk.modem.usb_reset()
        talk.wait(60)
        assert talk.say("AT") == []
    talk.modem.power_cycle()
    talk.wait(60)
    assert talk.say("AT")[-1] == "OK"
    talk.modem.fault("hang-power")
    talk.modem.unplug()
    talk.modem.plug()
    talk.wait(60)
    assert talk.say("AT")[-1] == "OK", "out of the socket and in again is a power cycle too"
    assert talk.modem.faults == {}


def test_16_a_thief_takes_lines_and_leaves_others() -> None:
    talk = Talk(seed=6)
    talk.say("ATE1")
    talk.modem.fault("thief", "0.5")
    whole = [talk.say("AT+CSQ") for _ in range(30)]
    assert any("+CSQ: 24,99" not in lines for lines in whole)
    assert any("OK" not in lines for lines in whole)
    assert any(line.startswith(("AT+CGSN", "AT+COPS?", "AT+QENG")) for lines in whole for line in lines)


def test_17_vendor_commands_are_refused() -> None:
    talk = Talk()
    talk.modem.fault("unsupported")
    assert talk.say("AT+QCSQ") == ["ERROR"]
    assert talk.say("AT+CSQ") == ["+CSQ: 24,99", "OK"]


def test_18_the_operator_in_ucs2() -> None:
    talk = Talk()
    talk.modem.fault("ucs2")
    assert talk.say("AT+COPS?")[0] == '+COPS: 0,0,"00500072006F00780069006D00750073",7'
    talk.modem.clear()
    assert talk.say("AT+COPS?")[0] == '+COPS: 0,0,"Proximus",7'


def test_19_no_time_until_the_network_tells_it() -> None:
    talk = Talk()
    talk.modem.fault("no-time")
    assert '"80/01/06' in talk.say("AT+CCLK?")[0]
    talk.say("AT+CTZR=2")
    talk.modem.clear()
    assert talk.wait(0).startswith(b'\r\n+CTZE: "+0')
    assert '"80/01/06' not in talk.say("AT+CCLK?")[0]


def test_20_a_deaf_port_and_sentences_where_none_belong() -> None:
    talk = Talk()
    talk.modem.fault("deaf-port")
    assert talk.raw(b"AT\r") == b""
    talk.modem.clear()
    talk.modem.fault("nmea-flood")
    assert talk.wait(3).count(b"$GPGGA") == 3


def test_22_the_port_vanishes_in_the_middle_of_a_reply() -> None:
    talk = Talk()
    presence: list[bool] = []
    talk.modem.on_presence.append(presence.append)
    talk.modem.fault("eio", "5")
    assert talk.raw(b"AT+COPS?\r", 1) == b'\r\n+COPS: 0,0,"Pr'
    assert presence == [False]
    talk.wait(10)
    assert presence == [False, True]


def test_23_it_gets_hot() -> None:
    talk = Talk()
    talk.modem.fault("heat", "30")
    talk.wait(60)
    assert talk.say("AT+QTEMP")[0] in ("+QTEMP: 64,64,64", "+QTEMP: 65,65,65")
    talk.wait(3600)
    assert talk.say("AT+QTEMP")[0] == "+QTEMP: 95,95,95"


def test_24_the_address_changes() -> None:
    talk = Talk()
    talk.say("AT+CGEREP=2,1")
    before = talk.say("AT+CGPADDR=1")
    talk.modem.fault("address-change", "1000")
    said = talk.wait(10)
    assert said.index(b"+CGEV: NW PDN DEACT 1") < said.index(b"+CGEV: ME PDN ACT 1")
    assert talk.say("AT+CGPADDR=1") != before


def test_25_too_many_attaches_are_refused_for_half_an_hour() -> None:
    talk = Talk()
    talk.modem.fault("attach-block", "3")
    for _ in range(4):
        talk.say("AT+CFUN=4")
        talk.say("AT+CFUN=1", 10)
    assert talk.say("AT+CEREG?")[0] == "+CEREG: 0,3"
    talk.wait(1_700)
    assert talk.say("AT+CEREG?")[0] == "+CEREG: 0,3"
    talk.wait(120)
    assert talk.say("AT+CEREG?")[0] == "+CEREG: 0,1"


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_seed_repeats_a_run(name: str) -> None:
    def run() -> bytes:
        talk = Talk(seed=9, wall=None)
        talk.modem.state.clock.synchronised = False  # the wall clock is the one thing that no seed fixes
        talk.modem.state.network.nitz = False
        talk.modem.fault(name)
        out = b"".join(talk.raw(command) for command in (b"AT+CSQ\r", b"AT+QCSQ\r", b"AT+CPIN?\r", b"AT\r") * 4)
        return out + talk.wait(100)

    assert run() == run()


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_cleared_fault_leaves_a_working_module(name: str) -> None:
    talk = Talk()
    talk.modem.fault(name)
    talk.say("AT+CSQ", 30)
    talk.modem.clear()
    talk.wait(90)
    talk.say("ATE0")
    talk.wait(5)
    assert talk.say("AT+CSQ") == ["+CSQ: 24,99", "OK"]
    assert talk.say("AT+CEREG?")[0] in ("+CEREG: 0,1",)
    assert talk.modem.faults == {}


def test_21_setting_dtr_fails_on_a_served_port() -> None:
    with simulator.serve(faults=["dtr"]) as running:
        port = os.open(running.path, os.O_RDWR | os.O_NOCTTY)
        try:
            with pytest.raises(OSError, match="Inappropriate ioctl") as caught:
                fcntl.ioctl(port, termios.TIOCMBIS, struct.pack("I", termios.TIOCM_DTR))
        finally:
            os.close(port)
        assert caught.value.errno in (errno.ENOTTY, errno.EINVAL)
