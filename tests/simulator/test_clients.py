"""Programs that know nothing of the simulator take it for a modem: gammu and python-gsmmodem-new."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial

import simulator
from tests.programs import program
from tests.simulator.talk import PROFILES


@pytest.fixture(params=PROFILES)
def running(request: pytest.FixtureRequest) -> Iterator[simulator.Running]:
    with simulator.serve(request.param, pace=0.1) as served:
        if served.modem.profile.manufacturer.startswith("Huawei"):
            _without_reports(served)
        yield served


def _without_reports(running: simulator.Running) -> None:
    """A Huawei reports by the second. gammu waits for ever where a report comes between the letters of its command's
    echo, which it writes one by one: 2 of some 60 runs beside others."""
    with serial.Serial(running.path, timeout=10) as port:
        port.write(b"AT^CURC=0\r")
        assert port.read_until(b"OK\r\n").endswith(b"OK\r\n")


def gammu(running: simulator.Running, directory: Path, *words: str) -> str:
    command = program("gammu", "gammu")
    config = directory / "gammurc"
    config.write_text(f"[gammu]\ndevice = {running.path}\nconnection = at115200\n")
    done = subprocess.run([command, "-c", str(config), *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_gammu_identifies_the_module(running: simulator.Running, tmp_path: Path) -> None:
    said = gammu(running, tmp_path, "--identify")
    assert running.modem.profile.model in said
    assert running.modem.state.imei in said
    assert running.modem.state.sim.imsi in said


def test_gammu_reads_the_network(running: simulator.Running, tmp_path: Path) -> None:
    said = gammu(running, tmp_path, "--networkinfo")
    assert "home network" in said
    assert 'Name in phone        : "Proximus"' in said
    assert "LAC 1A2B, CID 1F0C15" in said
    assert "GPRS                 : attached" in said
    running.fault("denied")
    assert "registration to network denied" in gammu(running, tmp_path, "--networkinfo")


def test_gammu_sends_and_reads_sms(running: simulator.Running, tmp_path: Path) -> None:
    gammu(running, tmp_path, "sendsms", "TEXT", "+32470000009", "-text", "80 % consommés")
    assert [(m.number, m.text) for m in running.modem.sms.sent] == [("+32470000009", "80 % consommés")]
    running.modem.receive_sms("+32470000002", "Bonjour [de] la part d'€uro")
    said = gammu(running, tmp_path, "getallsms")
    assert said.count("Bonjour [de] la part d'€uro") == 1
    assert '"+32470000002"' in said
    assert "1 SMS parts in 1 SMS sequences" in said


@pytest.mark.parametrize("sign", ["x", "ж"])
def test_gammu_joins_the_parts_of_a_long_message(running: simulator.Running, tmp_path: Path, sign: str) -> None:
    text = f"begin {sign * 120} end"
    running.modem.receive_sms("+32470000002", text)
    parts = len(running.modem.sms.messages)
    said = gammu(running, tmp_path, "geteachsms")
    assert f"{parts} SMS parts in 1 SMS sequences" in said
    assert text in said


def test_gammu_asks_by_ussd(running: simulator.Running, tmp_path: Path) -> None:
    running.set("network.ussd", "*101#=40 GB left")
    assert '"40 GB left"' in gammu(running, tmp_path, "getussd", "*101#")


def test_gammu_saves_messages_and_numbers(running: simulator.Running, tmp_path: Path) -> None:
    assert "Saved in folder" in gammu(running, tmp_path, "savesms", "TEXT", "-text", "a draft")
    assert "a draft" in gammu(running, tmp_path, "getallsms")
    gammu(running, tmp_path, "deleteallsms", "1")
    assert running.modem.sms.memories == {"ME": {}, "SM": {}}


def test_gammu_lives_through_a_noisy_line(running: simulator.Running, tmp_path: Path) -> None:
    for fault in ("split", "cme-text"):
        running.fault(fault)
    assert running.modem.profile.model in gammu(running, tmp_path, "--identify")


READ_ALL = """
import sys
from gsmmodem.modem import GsmModem
modem = GsmModem(sys.argv[1], 115200)
modem.connect()
print(modem.manufacturer, modem.model, modem.imei, modem.imsi, modem.networkName, modem.signalStrength, modem.ownNumber)
print(modem.waitForNetworkCoverage(10))
print(modem.sendUssd("*101#").message)
print([(message.number, message.text) for message in modem.listStoredSms()])
modem.sendSms("+32470000003", "sent by a library")
modem.close()
"""


def test_python_gsmmodem_connects_reads_and_sends(running: simulator.Running) -> None:
    if importlib.util.find_spec("gsmmodem") is None:
        pytest.skip("python-gsmmodem-new: not installed (pip install python-gsmmodem-new)")
    running.set("sim.number_name", "Own")  # the library's pattern wants a name in front
    running.modem.receive_sms("+32470000002", "Goedemorgen")
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, running.path], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    profile = running.modem.profile
    assert (
        lines[0] == f"{profile.manufacturer} {profile.model} 001017000000003 206010000000000 Proximus 24 +32470000000"
    )
    assert lines[1:] == ["24", "Your credit is 12.50 EUR", "[('+32470000002', 'Goedemorgen')]"]
    assert [m.text for m in running.modem.sms.sent] == ["sent by a library"]
