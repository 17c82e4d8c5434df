"""Programs of Debian's that dial, send and receive by themselves take the simulated module for a modem."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import simulator
from simulator.ports.replay import replay
from simulator.ports.trace import MODULE, read
from tests.programs import program
from tests.simulator.talk import PROFILES
from tests.waiting import wait_for

RUNS = Path(__file__).parent / "data"


@pytest.fixture(params=PROFILES)
def running(request: pytest.FixtureRequest) -> Iterator[simulator.Running]:
    with simulator.serve(request.param, pace=0.1) as served:
        yield served


def run(*words: str, stdin: object = subprocess.DEVNULL, text: str | None = None) -> str:
    source: dict[str, Any] = {"input": text} if text is not None else {"stdin": stdin}
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=90, **source)
    assert done.returncode == 0, done.stdout
    return str(done.stdout)


def ended(*words: str) -> tuple[int, str]:
    """Its exit code, whatever it is, and what it said."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=90, check=False)
    return done.returncode, done.stdout


@contextmanager
def started(*words: str) -> Iterator[None]:
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def test_wvdial_with_its_own_defaults_gets_a_carrier(running: simulator.Running, tmp_path: Path) -> None:
    """Debian's wvdial loses its own stack now and then, whatever the module answers, and on Debian 13 (1.61-8) always:
    on Debian 12 (1.61-6) 11 of 44 runs ended by SIGABRT in wvtask.cc, 2 of them before the carrier."""
    wvdial = program("wvdial", "wvdial")
    settings = tmp_path / "wvdial.conf"
    # Its own pppd would want /dev/ppp, and a network of this machine's; what dials is tried here.
    settings.write_text(
        f"[Dialer Defaults]\nModem = {running.path}\nBaud = 115200\nPhone = *99#\nUsername = x\nPassword = x\n"
        f"Init1 = ATQ0 V1 E1 S0=0 &C1 &D2 +FCLASS=0\nStupid Mode = 1\nAuto Reconnect = off\nPPPD Path = /bin/true\n"
    )
    for _ in range(10):
        code, said = ended(wvdial, "-C", str(settings))
        assert "Modem initialized" in said
        if "Carrier detected" in said or code not in (-signal.SIGSEGV, -signal.SIGABRT):
            break
    else:
        # Debian 13's does, by itself: there is nothing that the module could do.
        pytest.skip("wvdial: this one crashes each time once the module is initialized")
    assert "Sending: ATDT*99#" in said
    assert "Carrier detected" in said
    wait_for("its going ends the call", lambda: not running.modem.calling)


def test_chat_dials(running: simulator.Running) -> None:
    chat = program("chat", "ppp")
    script = ("ABORT", "NO CARRIER", "ABORT", "ERROR", "", "ATZ", "OK", 'AT+CGDCONT=1,"IP","internet"', "OK")
    with open(running.path, "r+b", buffering=0) as port:
        done = subprocess.run(
            [chat, "-t", "30", *script, "ATDT*99***1#", "CONNECT", ""], stdin=port, stdout=port, timeout=90, check=False
        )
        assert done.returncode == 0
        assert running.modem.calling


def test_comgt_waits_for_the_network_and_reads_the_signal(running: simulator.Running) -> None:
    comgt = program("comgt", "comgt")
    if running.modem.profile.name.startswith("Huawei"):
        with open(running.path, "r+b", buffering=0) as port:
            port.write(b"AT^CURC=0\r")  # its scripts take the next line for the answer
            wait_for("silence", lambda: running.modem.variables["curc"] == "0")
    assert "Registered on Home network" in run(comgt, "-d", running.path, "reg")
    assert "Signal Quality:" in run(comgt, "-d", running.path, "sig")


def test_gnokii_identifies_sends_and_keeps_numbers(running: simulator.Running, tmp_path: Path) -> None:
    gnokii = program("gnokii", "gnokii-cli")
    settings = tmp_path / "gnokii"
    settings.write_text(f"[global]\nport = {running.path}\nmodel = AT\nconnection = serial\nserial_baudrate = 115200\n")
    start = (gnokii, "--config", str(settings))
    assert running.modem.state.imei in run(*start, "--identify")
    assert "Send succeeded" in run(*start, "--sendsms", "+32470000004", text="by gnokii\n")
    assert [(m.number, m.text.strip()) for m in running.modem.sms.sent] == [("+32470000004", "by gnokii")]
    running.modem.receive_sms("+32470000005", "to gnokii")
    assert "to gnokii" in run(*start, "--getsms", "ME", "1")
    run(*start, "--writephonebook", text="Anna;+32470000011;SM;1;0\n")
    assert running.modem.phonebook.entries("SM") == {1: ("+32470000011", "Anna")}


def test_smstools_sends_receives_and_reads_its_report(running: simulator.Running, tmp_path: Path) -> None:
    smsd = program("smsd", "smstools")
    folders = {name: tmp_path / name for name in ("incoming", "outgoing", "checked", "sent", "failed", "report")}
    for folder in folders.values():
        folder.mkdir()
    places = "".join(f"{name} = {folder}\n" for name, folder in folders.items())
    settings = tmp_path / "smsd.conf"
    settings.write_text(
        f"devices = GSM1\nlogfile = {tmp_path}/log\nstats_interval = 0\ndelaytime = 1\ninfofile = {tmp_path}/info\n"
        f"pidfile = {tmp_path}/pid\n{places}[GSM1]\ndevice = {running.path}\nincoming = yes\nreport = yes\n"
        "init = AT+CNMI=2,0,0,2,0\nbaudrate = 115200\n"
    )
    running.modem.receive_sms("+32470000007", "to smstools")
    (folders["outgoing"] / "message").write_text("To: 32470000005\nReport: yes\n\nby smstools")
    with started(smsd, "-t", f"-c{settings}"):
        wait_for("a message", lambda: any(folders["incoming"].iterdir()))
        wait_for("sent", lambda: any(folders["sent"].iterdir()))
        wait_for("its report", lambda: any(folders["report"].iterdir()))
    assert "to smstools" in next(folders["incoming"].iterdir()).read_text()
    assert [(m.number, m.text) for m in running.modem.sms.sent] == [("+32470000005", "by smstools")]
    assert "Status: 0,Ok" in next(folders["report"].iterdir()).read_text()


def test_gammu_smsd_sends_and_receives(running: simulator.Running, tmp_path: Path) -> None:
    smsd = program("gammu-smsd", "gammu-smsd")
    folders = {name: tmp_path / name for name in ("inbox", "outbox", "sentsms", "errorsms")}
    for folder in folders.values():
        folder.mkdir()
    places = "".join(f"{name}path = {folder}/\n" for name, folder in folders.items())
    settings = tmp_path / "smsdrc"
    settings.write_text(
        f"[gammu]\ndevice = {running.path}\nconnection = at115200\n[smsd]\nservice = files\nlogfile = {tmp_path}/log\n"
        f"commtimeout = 1\n{places}"
    )
    running.modem.receive_sms("+32470000002", "to the daemon")
    (folders["outbox"] / "OUT+32470000003.txt").write_text("by the daemon")
    with started(smsd, "-c", str(settings)):
        wait_for("a message", lambda: any(folders["inbox"].iterdir()))
        wait_for("sent", lambda: any(folders["sentsms"].iterdir()))
    assert "to the daemon" in next(folders["inbox"].iterdir()).read_text()
    assert [(m.number, m.text) for m in running.modem.sms.sent] == [("+32470000003", "by the daemon")]


def test_picocom_says_what_it_is_told_to_and_shows_the_answer(running: simulator.Running) -> None:
    picocom = program("picocom", "picocom")
    words = ("--quiet", "--baud", "115200", "--initstring", "AT+CGSN\r", "--exit-after", "1000", running.path)
    assert running.modem.state.imei in run(picocom, *words)
    assert running.commands() == ["AT+CGSN"]


@contextmanager
def at_a_terminal(*words: str, home: Path) -> Iterator[tuple[int, bytearray]]:
    """A program with windows: the terminal's other end to type on, and what it has painted."""
    ours, its = pty.openpty()
    environment = {**os.environ, "TERM": "vt100", "LINES": "24", "COLUMNS": "80", "HOME": str(home)}
    process = subprocess.Popen(words, stdin=its, stdout=its, stderr=its, env=environment, start_new_session=True)
    os.close(its)
    painted = bytearray()
    threading.Thread(target=_paint, args=(ours, painted), daemon=True).start()
    try:
        yield ours, painted
    finally:
        process.terminate()
        process.wait(30)
        os.close(ours)


def _paint(terminal: int, painted: bytearray) -> None:
    with suppress(OSError):  # nobody has its other end any more
        while data := os.read(terminal, 4_096):
            painted += data


def test_minicom_dials_by_its_script_and_hangs_up_when_it_leaves(running: simulator.Running, tmp_path: Path) -> None:
    minicom = program("minicom", "minicom")
    script, capture = tmp_path / "script", tmp_path / "capture"
    asked = "".join(
        f'send "{command}"\nexpect {{\n  "{answer}"\n  timeout 60 goto end\n}}\n'
        for command, answer in (("ATZ", "OK"), ("AT+CGSN", "OK"), ("ATDT*99#", "CONNECT"))
    )
    script.write_text(f"{asked}end:\nexit\n")
    words = (minicom, "-D", running.path, "-b", "115200", "-o", "-S", str(script), "-C", str(capture))
    with at_a_terminal(*words, home=tmp_path) as (keys, painted):
        wait_for("its script has dialled", lambda: running.modem.calling)

        # Keys are pressed again: what is typed while a window opens or closes, its script's too, is thrown away.
        def asks() -> bool:
            """Hanging up (Ctrl-A H) is TIOCMBIC, which no pty takes (ENOTTY); leaving (Ctrl-A X) lowers DTR."""
            os.write(keys, b"\x01x")
            return b"Leave Minicom?" in painted

        def gone() -> bool:
            os.write(keys, b"\r")
            return not running.modem.calling

        wait_for("it asks whether to leave", asks)
        wait_for("its going ends the call", gone)
    assert running.modem.state.imei in capture.read_text(errors="replace")
    assert running.commands() == ["ATZ", "AT+CGSN", "ATDT*99#"]


@pytest.mark.parametrize("profile", PROFILES)
def test_what_serialport_gsm_once_did_is_answered_as_it_then_was(profile: str) -> None:
    """A recorded run of the npm package (4.0.1, Node 20): identity, signal, the message that is there, one sent."""
    recorded = read(RUNS / "serialport-gsm" / f"{profile}.trace")
    again = replay(recorded, profile)
    assert again.differences == []
    said = b"".join(event.data for event in again.events if event.sign == MODULE)
    assert (b"+CSQ: 24,99" in said, b"+CMGL: 1,0," in said, b"+CMGS: 1" in said) == (True, True, True)
