"""ModemManager takes the simulator for a modem: on a message bus of its own, without root, udevd or a USB device."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import simulator
from tests.programs import program
from tests.simulator.talk import PROFILES
from tests.waiting import wait_for

NAME = f"abstract:modem-sim-test-{os.getpid()}"
BUS = "org.freedesktop.ModemManager1"
# --test-enable has the interface by which a port is named that no kernel announces.
DAEMON = ("--test-session", "--test-enable", "--test-no-udev", "--test-no-suspend-resume", "--test-no-qrtr")


@pytest.fixture
def bus() -> Iterator[dict[str, str]]:
    """The environment in which programs meet on a bus of this test."""
    daemon = subprocess.Popen(
        [program("dbus-daemon", "dbus"), "--session", "--nofork", "--print-address=1"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert daemon.stdout is not None
        address = daemon.stdout.readline().strip()
        yield {**os.environ, "DBUS_SESSION_BUS_ADDRESS": address, "DBUS_SYSTEM_BUS_ADDRESS": address, "LC_ALL": "C"}
    finally:
        daemon.terminate()
        daemon.communicate()


@pytest.mark.parametrize("profile", PROFILES)
def test_modemmanager_takes_a_module_by_its_abstract_name(bus: dict[str, str], tmp_path: Path, profile: str) -> None:
    mmcli, gdbus = program("mmcli", "modemmanager"), program("gdbus", "libglib2.0-bin")

    def run(*words: str) -> str:
        done = subprocess.run(words, env=bus, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout + done.stderr

    name_port = (gdbus, "call", "--session", "--dest", BUS, "--object-path", f"/{BUS.replace('.', '/')}")
    log = (tmp_path / "log").open("w")
    with log, simulator.serve(profile, listen=NAME, pace=0.1) as running:
        manager = subprocess.Popen(
            [program("ModemManager", "modemmanager"), *DAEMON, "--no-auto-scan"], env=bus, stdout=log, stderr=log
        )
        try:
            wait_for("ModemManager is on the bus", lambda: "No modems" in run(mmcli, "-L"))
            run(*name_port, "--method", f"{BUS}.Test.SetProfile", "sim", "generic", f"['{NAME}']")
            wait_for(
                "its model", lambda: running.modem.profile.model in run(mmcli, "-L"), seen=(tmp_path / "log").read_text
            )
            wait_for("enabled", lambda: "successfully" in run(mmcli, "-m", "any", "--enable"))
            wait_for("registered", lambda: "registered" in run(mmcli, "-m", "any"))
            said = run(mmcli, "-m", "any")
            assert running.modem.state.imei in said
            assert "Proximus" in said
            assert f"primary port: {NAME}" in said
            assert "AT+CGMM" in running.commands()
            assert "12.50 EUR" in run(mmcli, "-m", "any", "--3gpp-ussd-initiate=*101#")
            running.modem.receive_sms("+32470000001", "to ModemManager")
            wait_for("a message", lambda: "received" in run(mmcli, "-m", "any", "--messaging-list-sms"))
            message = run(mmcli, "-m", "any", "--messaging-list-sms").split()[0]
            assert "to ModemManager" in run(mmcli, "-m", "any", "-s", message)
            made = run(mmcli, "-m", "any", "--messaging-create-sms=number='+32470000009',text='by ModemManager'")
            assert "successfully" in run(mmcli, "-s", made.split()[-1], "--send")
            assert [(m.number, m.text) for m in running.modem.sms.sent] == [("+32470000009", "by ModemManager")]
            assert "successfully" in run(mmcli, "-m", "any", "--simple-connect=apn=internet")
            assert running.modem.calling
            assert "successfully" in run(mmcli, "-m", "any", "--simple-disconnect")
            wait_for("the call is over", lambda: not running.modem.calling)
        finally:
            manager.terminate()
            manager.wait(20)
