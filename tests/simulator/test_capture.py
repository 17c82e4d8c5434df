"""modem-sim learn: a module is read without being changed, and simulated from what it said, under other numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import simulator
from simulator.capture import FIXED, MOVING, Capture, SerialLine, _answer, base_of, capture, data_file
from simulator.errors import SimulatorError
from simulator.modem import SimModem, load
from simulator.ports.trace import commands
from simulator.verbs import learn

# An EC25 with another firmware: what differs from the shipped profile must be found by reading alone.
OTHER = """
extends = "quectel-ec25"
revision = "EC25AFAR05A04M4G"
line_end = "crcrlf"
[dialect]
unknown = "+CME ERROR: 100"
[[rule]]
command = 'AT\\+GCAP'
reply = "+GCAP: +CGSM,+DS,+ES"
[[rule]]
command = 'AT\\+CSCS=\\?'
reply = '+CSCS: ("GSM","UCS2")'
[[rule]]
command = 'AT\\+QCCID'
reply = "+QCCID: {iccid}F"
[[rule]]
command = 'AT\\+CNUM'
reply = ['+CNUM: "{{home}}","{msisdn}",145', '+CNUM: "","+32499999999",145']
[[rule]]
command = 'AT\\+CPOL=\\?'
error = 4
"""


def learnt(tmp_path: Path, profile: str, seed: int = 7) -> tuple[Path, SimModem]:
    """The data file that was learnt from a served module, and the module."""
    with simulator.serve(profile, seed=seed) as running:
        before = repr(running.modem.state)
        output = tmp_path / "learnt.toml"
        done = CliRunner().invoke(learn.command, [running.path, "--output", str(output)])
        assert done.exit_code == 0, done.output
        assert repr(running.modem.state) == before, "reading has changed the module"
        asked = running.commands()
    assert not [command for command in asked if re.search(r"=(?!\?)|^AT(?:Z|&F|E|D|H)", command)]
    return output, running.modem


def ask(modem: SimModem, command: str) -> tuple[list[str], str]:
    modem.at.receive(f"{command}\r".encode())
    modem.advance(modem.now + 5)
    heard = b""
    while piece := modem.at.take():
        heard += piece
    answer = _answer(command, heard)
    assert answer is not None, (command, heard)
    return list(answer.lines), answer.final


def test_a_learnt_module_answers_as_the_one_it_was_learnt_from(tmp_path: Path) -> None:
    source = tmp_path / "other.toml"
    source.write_text(OTHER)
    output, _ = learnt(tmp_path, str(source))
    assert load(str(output)).line_end == b"\r\r\n"
    # The same numbers for both: every answer is the same, but for the second number, which is no word of the simulator.
    real, again = SimModem(str(source), seed=3), SimModem(str(output), seed=3)
    for command in (*FIXED, *MOVING, "AT+NOSUCHCOMMAND?"):
        if not command.startswith("AT+C5GREG"):
            lines, final = ask(real, command)
            lines = [line.replace("+32499999999", "+00000000000") for line in lines]
            if not command.startswith(("AT+CCLK", "AT+CSQ", "AT+CESQ")):  # the moment's
                assert ask(again, command) == (lines, final), command
    assert output.read_text().count("[[rule]]") == 5, "a rule only where the module differs"


@pytest.mark.parametrize("profile", ["quectel-ec25", "huawei-e3372", "simcom-a7670", "generic-27007"])
def test_a_shipped_module_needs_no_rule_and_nothing_says_whose_it_was(tmp_path: Path, profile: str) -> None:
    output, module = learnt(tmp_path, profile)
    text, sim = output.read_text(), module.state.sim
    assert f'extends = "{profile}"' in text
    assert "[[rule]]" not in text
    for secret in (module.state.imei, sim.imsi, sim.iccid, sim.msisdn, module.state.contexts[0].address):
        assert secret not in text


def test_identifiers_in_any_answer_are_replaced() -> None:
    source = SimModem("quectel-ec25", seed=9)
    found = Capture({command: _of(source, command) for command in (*FIXED, *MOVING, "AT+NOSUCHCOMMAND?")})
    sim = source.state.sim
    said = [f"serial {source.state.imei} of {sim.imsi}", f"at 10.1.2.3, {{cell}} 1F0C15A, {sim.msisdn}, 89320123456789"]
    found.answers["ATI"] = type(found.answers["ATI"])(tuple(said), "OK")
    text = data_file(found)
    assert 'reply = ["serial {imei} of {imsi}", "at 192.0.2.1, {{cell}} 0000000, {msisdn}, 00000000000000"]' in text


def _of(modem: SimModem, command: str):  # type: ignore[no-untyped-def]
    from simulator.capture import _simulated

    return _simulated(modem, command)


@pytest.mark.parametrize(
    ("maker", "model", "usb", "base"),
    [
        ("Quectel", "EC25", ("", ""), "quectel-ec25"),
        ("Quectel", "EC99", ("2c7c", "0125"), "quectel-ec25"),
        ("Quectel", "EC99", ("2c7c", "ffff"), "_quectel-lte"),
        ("Acme", "X1", ("1234", "0001"), "generic-27007"),
        ("", "", ("", ""), "generic-27007"),
    ],
)
def test_the_nearest_profile_is_extended(maker: str, model: str, usb: tuple[str, str], base: str) -> None:
    answer = type(_of(SimModem(), "ATI"))
    found = Capture({"AT+CGMI": answer((maker,), "OK"), "AT+CGMM": answer((model,), "OK")}, usb=usb)
    assert base_of(found) == base


def test_usb_ids_are_read_from_sysfs(tmp_path: Path) -> None:
    with simulator.serve("quectel-ec25", sysfs=str(tmp_path)) as running, SerialLine(running.path) as line:
        line.device = "/dev/ttyUSB2"
        found = capture(line, tmp_path / "sys")
    assert found.usb == ("2c7c", "0125")
    assert found.interface == 2


def test_lines_about_other_things_are_no_answer() -> None:
    heard = b'AT+CSQ\r\r\n+CMTI: "SM",3\r\n\r\n+CSQ: 20,99\r\n\r\n^RSSI: 20\r\n\r\nOK\r\n\r\n^HCSQ:"LTE",1\r\n'
    answer = _answer("AT+CSQ", heard)
    assert answer is not None
    assert (answer.lines, answer.final) == (("+CSQ: 20,99",), "OK")
    assert _answer("AT+CSQ", heard[:40]) is None


def test_a_port_that_is_not_there_or_does_not_answer_is_named(tmp_path: Path) -> None:
    with pytest.raises(SimulatorError, match="none"):
        SerialLine(str(tmp_path / "none"))
    with (
        simulator.serve("quectel-ec25", faults=["hang"]) as running,
        SerialLine(running.path, timeout_s=0.2) as line,
        pytest.raises(SimulatorError, match="no answer to AT"),
    ):
        line.ask("AT")


def test_the_commands_that_are_sent_only_read() -> None:
    assert not [command for command in (*FIXED, *MOVING) if re.search(r"=(?!\?$)", command)]
    assert "AT+COPS=?" not in (*FIXED, *MOVING), "a search takes a minute and may drop the connection"
    assert commands([]) == []
