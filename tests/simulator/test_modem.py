"""What an EC25 answers, in which state, and what it says by itself."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from simulator.errors import SimulatorError, UnknownName
from tests.simulator.talk import Talk

WALL = datetime(2026, 10, 24, 22, 30, tzinfo=timezone.utc)  # the night in which summer time ends


def test_echo_is_on_at_power_up_and_off_on_demand() -> None:
    talk = Talk()
    talk.say("ATE1")
    assert talk.raw(b"AT\r") == b"AT\r\r\nOK\r\n"
    assert talk.raw(b"ATE0\r") == b"ATE0\r\r\nOK\r\n"
    assert talk.raw(b"AT\r") == b"\r\nOK\r\n"
    talk.say("ATZ")
    assert talk.raw(b"AT\r") == b"AT\r\r\nOK\r\n", "ATZ brings the echo back"


def test_numeric_and_quiet_result_codes() -> None:
    talk = Talk()
    assert talk.raw(b"ATV0\r") == b"0\r"
    assert talk.raw(b"AT+NONSENSE\r") == b"4\r"
    assert talk.raw(b"AT+CSQ\r") == b"+CSQ: 24,99\r\n0\r"
    talk.raw(b"ATV1Q1\r")
    assert talk.raw(b"AT\r") == b""


@pytest.mark.parametrize(("mode", "answer"), [(0, "ERROR"), (1, "+CME ERROR: 10"), (2, "+CME ERROR: SIM not inserted")])
def test_errors_come_as_cmee_asks(mode: int, answer: str) -> None:
    talk = Talk(settings={"sim.present": False})
    talk.say(f"AT+CMEE={mode}")
    assert talk.say("AT+CPIN?") == [answer]


def test_a_chain_stops_at_its_first_error() -> None:
    talk = Talk()
    assert talk.say("AT+CSQ;+NONSENSE;+CREG?") == ["+CSQ: 24,99", "ERROR"]
    assert talk.say("ATE0V1+CSQ;+CREG?") == ["+CSQ: 24,99", "+CREG: 0,1", "OK"]


def test_semicolons_in_quotes_do_not_end_a_command() -> None:
    talk = Talk()
    assert talk.say('AT+CGDCONT=1,"IP","a;b"') == ["OK"]
    assert talk.modem.state.contexts[0].apn == "a;b"


def test_lines_that_are_no_commands_are_not_answered() -> None:
    talk = Talk()
    assert talk.raw(b"hello\r\n\x00\x00\r") == b""
    assert talk.raw(b"\x00\x00AT\r") == b"\r\nOK\r\n"
    assert talk.raw(b"A/\r") == b"\r\nOK\r\n"


SAYS = {
    "AT+CGMI": ["Quectel", "OK"],
    "AT+CGMM": ["EC25", "OK"],
    "AT+CGSN": ["001017000000003", "OK"],
    "AT+CIMI": ["206010000000000", "OK"],
    "AT+QCCID": ["+QCCID: 8932010000000000004", "OK"],
    "AT+CNUM": ['+CNUM: ,"+32470000000",145', "OK"],
    "AT+CPIN?": ["+CPIN: READY", "OK"],
    "AT+QSIMSTAT?": ["+QSIMSTAT: 1,1", "OK"],
    "AT+CREG?": ["+CREG: 0,1", "OK"],
    "AT+CEREG=2;+CEREG?": ['+CEREG: 2,1,"1A2B","1F0C15",7', "OK"],
    "AT+C5GREG?": ["ERROR"],
    "AT+COPS?": ['+COPS: 0,0,"Proximus",7', "OK"],
    "AT+COPS=3,2;+COPS?": ['+COPS: 0,2,"20601",7', "OK"],
    'AT+CSCS="UCS2";+COPS?': ['+COPS: 0,0,"00500072006F00780069006D00750073",7', "OK"],
    "AT+CESQ": ["+CESQ: 99,99,255,255,20,46", "OK"],
    "AT+QCSQ": ['+QCSQ: "LTE",-65,-95,165,-10', "OK"],
    "AT+QNWINFO": ['+QNWINFO: "FDD LTE","20601","LTE BAND 3",1850', "OK"],
    "AT+QSPN": ['+QSPN: "Proximus","PROXIMUS","",0,"20601"', "OK"],
    "AT+QTEMP": ["+QTEMP: 34,34,34", "OK"],
    "AT+CGATT?": ["+CGATT: 1", "OK"],
    "AT+CGACT?": ["+CGACT: 1,1", "OK"],
    "AT+QGDCNT?": ["+QGDCNT: 0,0", "OK"],
    "AT+CFUN?": ["+CFUN: 1", "OK"],
    "AT+CRSM=176,12258,0,0,10": ['+CRSM: 144,0,"982310000000000000F4"', "OK"],
    'AT+CSIM=10,"0020000100"': ['+CSIM: 4,"63C3"', "OK"],
}


@pytest.mark.parametrize("command", SAYS)
def test_a_warm_ec25_says(command: str) -> None:
    assert Talk().say(command) == SAYS[command]


def test_the_clock_tells_local_time_with_its_zone() -> None:
    talk = Talk(wall=WALL)
    assert talk.say("AT+CCLK?", 0)[0] == '+CCLK: "26/10/25,00:30:02+08"'
    talk.wait(3 * 3600)
    assert talk.say("AT+CCLK?", 0)[0] == '+CCLK: "26/10/25,02:30:02+04"', "summer time has ended"
    assert talk.say("AT+QLTS=1", 0)[0] == '+QLTS: "2026/10/25,01:30:02+04,0"'


def test_an_unsynchronised_clock_says_1980() -> None:
    talk = Talk()
    talk.modem.fault("no-time")
    assert talk.say("AT+CCLK?")[0].startswith('+CCLK: "80/01/06,')
    assert talk.say("AT+QLTS=2")[0] == '+QLTS: ""'


def test_losing_and_finding_the_network_is_reported() -> None:
    talk = Talk()
    talk.say("AT+CEREG=2;+CGEREP=2,1")
    talk.modem.set("coverage", False)
    assert talk.wait(0).decode().split() == ["+CEREG:", "2", "+CGEV:", "NW", "PDN", "DEACT", "1"]
    assert talk.say('AT+QENG="servingcell"')[0] == '+QENG: "servingcell","SEARCH"'
    assert talk.say("AT+CSQ")[0] == "+CSQ: 99,99"
    assert talk.say("AT+COPS?")[0] == "+COPS: 0"
    talk.modem.set("coverage", True)
    assert talk.wait(10).decode().split("\r\n")[1::2] == ['+CEREG: 1,"1A2B","1F0C15",7', "+CGEV: ME PDN ACT 1"]


def test_a_handover_is_reported_with_the_new_cell() -> None:
    talk = Talk()
    talk.say("AT+CEREG=2")
    talk.modem.handover()
    assert talk.wait(0) == b'\r\n+CEREG: 1,"1A2B","1F0C16",7\r\n'
    assert ",201,2850,7," in talk.say('AT+QENG="servingcell"')[0]


def test_a_denied_registration_carries_its_cause() -> None:
    talk = Talk()
    talk.say("AT+CEREG=3")
    talk.modem.fault("denied", "15")
    assert talk.wait(0) == b"\r\n+CEREG: 3,,,,0,15\r\n"
    assert talk.say("AT+CEER")[0] == '+CEER: "EMM","15"'


def test_radio_off_and_on() -> None:
    talk = Talk()
    assert talk.say("AT+CFUN=4") == ["OK"]
    assert talk.say("AT+CEREG?")[0] == "+CEREG: 0,0"
    assert talk.say("AT+CGPADDR=1")[0] == "+CGPADDR: 1,0.0.0.0"
    talk.say("AT+CFUN=1", 10)
    assert talk.say("AT+CEREG?")[0] == "+CEREG: 0,1"


def test_restart_boots_again_and_forgets_the_hosts_settings() -> None:
    talk = Talk()
    talk.say("AT+CEREG=2")
    seen: list[bool] = []
    talk.modem.on_presence.append(seen.append)
    talk.say("AT+CFUN=1,1", 60)
    assert seen == [False, True]
    assert talk.say("ATE0")[0].startswith("ATE0"), "echo is on again"
    assert talk.say("AT+CEREG?")[0] == "+CEREG: 0,1"
    assert talk.modem.state.power.restarts == 1


def test_boot_says_its_lines_in_order() -> None:
    talk = Talk()
    talk.say("AT+CFUN=1,1", 16.9)
    talk.heard()
    said = talk.wait(10).decode().split("\r\n")
    assert [line for line in said if line] == [
        "RDY",
        "+CFUN: 1",
        "+CPIN: READY",
        "+QUSIM: 1",
        "+QIND: SMS DONE",
        "+QIND: PB DONE",
    ]


def test_a_pin_is_counted_down_to_the_puk() -> None:
    talk = Talk()
    talk.modem.fault("sim-pin")
    talk.say("AT+CMEE=1")
    assert talk.say("AT+CPIN?")[0] == "+CPIN: SIM PIN"
    assert talk.say("AT+CEREG?")[0] == "+CEREG: 0,0"
    assert talk.say("AT+CIMI") == ["+CME ERROR: 11"]
    assert talk.say('AT+CPIN="0000"') == ["+CME ERROR: 16"]
    assert talk.say("AT+QPINC?")[0] == '+QPINC: "SC",2,10'
    assert talk.say('AT+CPIN="1234"')[0] == "OK"
    talk.wait(10)
    assert talk.say("AT+CEREG?")[0] == "+CEREG: 0,1"
    talk.modem.fault("sim-pin", "1")
    assert talk.say('AT+CPIN="0000"') == ["+CME ERROR: 12"]
    assert talk.say("AT+CPIN?")[0] == "+CPIN: SIM PUK"
    assert talk.say('AT+CPIN="12345678","4321"')[0] == "OK"


def test_contexts_are_defined_activated_and_refused() -> None:
    talk = Talk()
    talk.say("AT+CMEE=1")
    assert talk.say('AT+CGDCONT=2,"IP","ims"') == ["OK"]
    assert talk.say("AT+CGACT?")[:2] == ["+CGACT: 1,1", "+CGACT: 2,0"]
    assert talk.say("AT+CGACT=1,2") == ["OK"]
    assert talk.say("AT+CGPADDR=2")[0].startswith('+CGPADDR: 2,"100.')
    talk.modem.fault("wrong-apn")
    assert talk.say("AT+CGACT?")[:2] == ["+CGACT: 1,0", "+CGACT: 2,0"]
    assert talk.say("AT+CGACT=1,1") == ["+CME ERROR: 133"]
    assert talk.say("AT+CEER")[0] == "+CEER: Requested service option not subscribed"
    assert talk.say("AT+CGATT?")[0] == "+CGATT: 1", "attached all the same"


def test_an_operator_outage_looks_healthy_from_the_modem() -> None:
    talk = Talk()
    assert talk.modem.data_flows
    talk.modem.fault("outage")
    assert not talk.modem.data_flows
    assert talk.say("AT+CEREG?")[0] == "+CEREG: 0,1"
    assert talk.say("AT+CGACT?")[0] == "+CGACT: 1,1"


def test_byte_counters_follow_the_traffic() -> None:
    talk = Talk()
    talk.modem.carry(40_000_000_000, 123)
    assert talk.say("AT+QGDCNT?")[0] == "+QGDCNT: 123,40000000000"
    talk.say("AT+QGDCNT=0")
    assert talk.say("AT+QGDCNT?")[0] == "+QGDCNT: 0,0"


def test_data_mode_and_back() -> None:
    talk = Talk()
    assert talk.say("ATD*99#") == ["CONNECT 150000000"]
    assert talk.raw(b"\x7e\xff\x7d AT\r") == b""
    assert talk.raw(b"+++") == b"\r\nOK\r\n"
    assert talk.say("AT") == ["OK"]


def test_commands_typed_ahead_wait_for_the_one_that_runs() -> None:
    talk = Talk()
    assert talk.raw(b"AT+COPS=?\rAT+CSQ\r", 10) == b""
    said = talk.wait(60).decode()
    assert said.index("+COPS: (2,") < said.index("+CSQ:")


def test_settings_by_name_and_their_mistakes() -> None:
    talk = Talk()
    talk.modem.set("rsrp", "-118.4")
    assert talk.modem.get("radio.rsrp_dbm") == -118.4
    talk.modem.set("network.apns", "a,b")
    assert talk.modem.get("network.apns") == ["a", "b"]
    with pytest.raises(UnknownName, match="no setting named 'loudness'"):
        talk.modem.set("loudness", 3)
    with pytest.raises(SimulatorError, match="sim: 'maybe' is not true or false"):
        talk.modem.set("sim", "maybe")
    with pytest.raises(SimulatorError, match="cannot be set as a whole"):
        talk.modem.set("radio.cells", "x")


def test_fading_wanders_within_its_width_and_repeats_with_its_seed() -> None:
    def walk(seed: int) -> list[float]:
        talk = Talk(seed=seed, settings={"radio.fade_db": 8.0})
        seen = []
        for _ in range(200):
            talk.wait(5)
            seen.append(talk.modem.rsrp_dbm)
        return seen

    first = walk(1)
    assert max(first) - min(first) > 3
    assert all(-103 <= value <= -87 for value in first)
    assert first == walk(1) != walk(2)
