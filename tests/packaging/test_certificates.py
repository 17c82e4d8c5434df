"""The certificate script: ten devices, a broker with the shipped configuration, and only they come in."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from agent.commands.keys_file import derived, load
from agent.mqtt import tls
from tests.commands.standin import config_for
from tests.mqtt.broker import Mosquitto, free_port
from tests.mqtt.desk import Desk

from .conftest import PROJECT

BROKER = PROJECT / "firmware-config/broker"
IMEIS = [f"99000086247{number:04d}" for number in range(10)]


def script(*words: str) -> subprocess.CompletedProcess[str]:
    tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # modem-support is among them
    environment = {**os.environ, "PATH": tools}
    return subprocess.run(
        [BROKER / "certificates.sh", *words], capture_output=True, text=True, timeout=60, env=environment
    )


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fleet")
    done = script(str(folder), "127.0.0.1", *IMEIS)
    assert done.returncode == 0, done.stderr
    return folder


class Shipped(Mosquitto):
    """mosquitto with the shipped configuration: other paths, other ports, this machine's user."""

    def __init__(self, folder: Path, fleet: Path) -> None:
        super().__init__(folder)
        certificates = fleet / "broker-127.0.0.1"
        (folder / "passwd").touch(mode=0o600)
        text = (BROKER / "mosquitto.conf").read_text()
        for old, new in (
            ("listener 8883", f"listener {self.port} 127.0.0.1"),
            ("listener 8885", f"listener {free_port()} 127.0.0.1"),
            ("listener 8886", f"listener {free_port()} 127.0.0.1"),
            ("/etc/mosquitto/certs/", f"{certificates}/"),
            ("/etc/mosquitto/modem-agent.acl", str(BROKER / "modem-agent.acl")),
            ("/etc/mosquitto/operator.passwd", str(folder / "passwd")),
            ("/var/lib/mosquitto/", f"{folder}/"),
        ):
            assert old in text
            text = text.replace(old, new)
        self.config.write_text(("user root\n" if os.geteuid() == 0 else "") + text)


def context(fleet: Path, imei: str, *, ca: Path | None = None) -> ssl.SSLContext:
    device = fleet / f"device-{imei}"
    files = {"cert_file": f"{device}/device.pem", "key_file": f"{device}/device.key"}
    config = config_for("mqtts://127.0.0.1", ca_file=f"{ca or fleet}/ca/ca.pem", **files)
    return tls.context(config.operator, clock_trusted=True)


def test_each_device_comes_in_with_its_own_certificate_and_a_stranger_does_not(fleet: Path, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger"
    assert script(str(stranger), "127.0.0.1", IMEIS[0]).returncode == 0
    (tmp_path / "broker").mkdir()
    broker = Shipped(tmp_path / "broker", fleet)

    async def story() -> None:
        for imei in IMEIS:
            own = f"modem-agent/v1/imei::{imei}/cmd/+/+/req"
            async with Desk(broker.port, own, client_id=f"imei::{imei}", tls=context(fleet, imei)) as device:
                assert device.refused is None
        files = context(stranger, IMEIS[0], ca=fleet)
        async with Desk(broker.port, client_id="stranger", tls=files) as device:
            assert device.refused is not None

    with broker:
        asyncio.run(story())


def test_what_is_there_stays_as_it_is(fleet: Path) -> None:
    before = {path: path.read_bytes() for path in fleet.rglob("*") if path.is_file()}
    again = script(str(fleet), "127.0.0.1", *IMEIS, "990000862479999")
    assert again.returncode == 0
    assert again.stdout.split(":")[0] == "device-990000862479999/"
    assert all(path.read_bytes() == content for path, content in before.items())


def test_keys_are_for_their_owner_and_chains_hold(fleet: Path) -> None:
    assert (fleet / "ca/ca.key").stat().st_mode & 0o077 == 0
    assert (fleet / f"device-{IMEIS[0]}/device.key").stat().st_mode & 0o007 == 0
    names = [f"device-{imei}/device.pem" for imei in IMEIS] + ["broker-127.0.0.1/broker.pem"]
    words = ["openssl", "verify", "-x509_strict", "-CAfile", "ca/ca.pem", *names]
    done = subprocess.run(words, cwd=fleet, capture_output=True, text=True, check=True)
    assert done.stdout.count(": OK") == 11


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["x"], "./certificates.sh FOLDER BROKER IMEI..."),
        (["x", "broker example"], "'broker example' is not the name or address of a broker"),
        (["x", "b.example", "12345"], "'12345' is not an IMEI: 15 digits, not 5"),
        (["x", "b.example", "99000086247185a"], "'99000086247185a' is not an IMEI"),
    ],
)
def test_wrong_words_make_nothing(tmp_path: Path, words: list[str], said: str) -> None:
    done = script(str(tmp_path / words[0]), *words[1:])
    assert done.returncode != 0
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_each_device_gets_its_own_keys_beside_its_certificate(tmp_path: Path) -> None:
    folder = tmp_path / "fleet"
    assert script(str(folder), "127.0.0.1", IMEIS[0]).returncode == 0
    masters = folder / "issuers.toml"
    masters.write_text(f'[desk]\nmaster = "{"5a" * 32}"\nrole = "act"\n')
    masters.chmod(0o600)
    for _ in range(2):  # what is there stays
        done = script(str(folder), "127.0.0.1", *IMEIS[:2])
        assert done.returncode == 0, done.stderr
    keys = [load(str(folder / f"device-{imei}" / "keys.toml"))["desk"] for imei in IMEIS[:2]]
    assert [key.key for key in keys] == [derived(b"\x5a" * 32, f"imei::{imei}") for imei in IMEIS[:2]]
    assert (folder / f"device-{IMEIS[0]}" / "keys.toml").stat().st_mode & 0o777 == 0o640
