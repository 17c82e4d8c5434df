"""oFono takes the simulator for a modem, by its driver for modules behind a TCP port: network, USSD, SMS both ways."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import simulator
from tests.programs import program
from tests.simulator.talk import PROFILES
from tests.simulator.test_modemmanager import bus
from tests.waiting import wait_for

__all__ = ["bus"]
SETTINGS = Path("/etc/ofono/phonesim.conf")


class Ofono:
    """Calls to ofonod on the bus of a test."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment

    def call(self, method: str, *arguments: str) -> str:
        """What is answered, or the error."""
        words = ["dbus-send", "--system", "--print-reply", "--dest=org.ofono", "/sim", f"org.ofono.{method}"]
        done = subprocess.run([*words, *arguments], env=self._environment, capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr

    def switch(self, name: str) -> None:
        wait_for(
            name, lambda: "method return" in self.call("Modem.SetProperty", f"string:{name}", "variant:boolean:true")
        )


@pytest.fixture(params=PROFILES)
def running(request: pytest.FixtureRequest) -> Iterator[simulator.Running]:
    with simulator.serve(request.param, listen="127.0.0.1:0", pace=0.1) as served:
        yield served


@pytest.fixture
def ofono(running: simulator.Running, bus: dict[str, str], tmp_path: Path) -> Iterator[Ofono]:
    daemon_path = program("ofonod", "ofono")
    if os.geteuid() != 0 or not SETTINGS.exists():
        pytest.skip(f"root: ofonod reads {SETTINGS} alone, which is covered in a mount namespace")
    own = tmp_path / "phonesim.conf"
    host, port = running.path.removeprefix("socket://").split(":")
    own.write_text(f"[sim]\nDriver=phonesim\nAddress={host}\nPort={port}\n")
    start = 'mount --bind "$0" "$1"; mount -t tmpfs state /var/lib/ofono; exec "$2" --nodetach --noplugin=udevng'
    words = ["unshare", "--mount", "sh", "-ec", start, str(own), str(SETTINGS), daemon_path]
    with (tmp_path / "log").open("w") as log:
        daemon = subprocess.Popen(words, env=bus, stdout=log, stderr=log)
    try:
        yield Ofono(bus)
    finally:
        daemon.terminate()
        daemon.wait(20)


def test_ofono_registers_asks_by_ussd_and_sends(running: simulator.Running, ofono: Ofono) -> None:
    ofono.switch("Powered")
    ofono.switch("Online")
    wait_for("registered", lambda: '"registered"' in ofono.call("NetworkRegistration.GetProperties"))
    assert running.modem.state.imei in ofono.call("Modem.GetProperties")
    seen = ofono.call("NetworkRegistration.GetProperties")
    assert '"Proximus"' in seen
    assert '"206"' in seen
    assert "12.50 EUR" in ofono.call("SupplementaryServices.Initiate", "string:*101#")
    ofono.call("MessageManager.SendMessage", "string:+32470000009", "string:by ofono")
    wait_for("sent", lambda: bool(running.modem.sms.sent))
    assert [(m.number, m.text) for m in running.modem.sms.sent] == [("+32470000009", "by ofono")]
