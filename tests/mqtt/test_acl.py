"""The broker's ACL, with a real mosquitto and certificates: what a device and each role of the operator may do."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.mqtt import tls
from tests.commands.standin import DEVICE, StandIn, config_for
from tests.mqtt.broker import Mosquitto, free_port, wait_for_port
from tests.mqtt.desk import Desk
from tests.mqtt.pki import Pki

SHIPPED = Path(__file__).parents[2] / "firmware-config" / "broker"
OTHER = "imei::990000862471999"
PASSWORDS = ("backoffice", "support", "desk")


class Fleet(Mosquitto):
    """mosquitto with the shipped ACL: a TLS listener for devices, a plain one for the operator's users."""

    def __init__(self, folder: Path, pki: Pki) -> None:
        super().__init__(folder)
        self.desk_port, self.pki = free_port(), pki
        acl = SHIPPED / "modem-agent.acl"
        passwords = folder / "passwd"
        passwords.touch(mode=0o600)
        for user in PASSWORDS:
            subprocess.run(["mosquitto_passwd", "-b", str(passwords), user, f"secret-{user}"], check=True)
        self.config.write_text(
            "per_listener_settings true\nuser root\n"
            f"listener {self.port} 127.0.0.1\ncafile {pki.path('ca.pem')}\ncertfile {pki.path('broker.pem')}\n"
            f"keyfile {pki.path('broker.key')}\ntls_version tlsv1.2\nrequire_certificate true\n"
            f"use_identity_as_username true\nallow_anonymous false\nacl_file {acl}\n"
            f"listener {self.desk_port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\nacl_file {acl}\n"
        )

    def start(self) -> Fleet:
        super().start()
        assert self.process is not None
        wait_for_port(self.desk_port, self.process)
        return self

    def desk(self, user: str) -> Desk:
        return Desk(self.desk_port, client_id=f"test-{user}", username=user, password=f"secret-{user}")

    def device(self, name: str, **target: Any) -> Desk:
        """A raw client with a device's certificate: what a stolen device could do."""
        settings = config_for(self.url, **self.files(name)).operator
        context = tls.context(settings, clock_trusted=True)
        return Desk(self.port, client_id=f"raw-{name}", tls=context, **target)

    def files(self, name: str) -> dict[str, str]:
        path = self.pki.path
        return {"ca_file": path("ca.pem"), "cert_file": path(f"{name}.pem"), "key_file": path(f"{name}.key")}

    @property
    def tls_url(self) -> str:
        return f"mqtts://127.0.0.1:{self.port}"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    made = Pki(tmp_path_factory.mktemp("pki"))
    made.issue("broker", "127.0.0.1", host="127.0.0.1")
    made.issue("device", DEVICE)
    made.issue("other", OTHER)
    return made


@pytest.fixture
def fleet(tmp_path: Path, pki: Pki) -> Iterator[Fleet]:
    folder = tmp_path / "broker"
    folder.mkdir()
    running = Fleet(folder, pki)
    with running:
        yield running


def test_a_device_reports_and_obeys_over_tls(fleet: Fleet, tmp_path: Path) -> None:
    async def story() -> None:
        config = config_for(fleet.tls_url, **fleet.files("device"))
        async with fleet.desk("support") as desk, StandIn(tmp_path, config) as agent:
            await desk.until(lambda: desk.bodies("/m/traffic") and desk.bodies("/twin/plan"))
            desk.send(f"modem-agent/v1/{DEVICE}/cmd/status/s1/req", {"v": 1, "id": "s1", "type": "status"})
            await desk.until(lambda: [a for a in desk.answers("s1") if a["state"] == "succeeded"])
            assert agent.session.budget.today_bytes >= 0
            await asyncio.sleep(0.1)  # one tick of the session, which reads what the kernel counted
            assert agent.session.budget.today_bytes > 2_000  # a TLS handshake alone is more

    asyncio.run(story())


def test_a_device_can_neither_write_nor_read_another_ones_topics(fleet: Fleet) -> None:
    async def story() -> None:
        async with fleet.desk("desk") as desk, fleet.device("device") as thief, fleet.device("other") as other:
            thief.send(f"modem-agent/v1/{OTHER}/status", b"{}")
            thief.send(f"modem-agent/v1/{OTHER}/cmd/device.reboot/x/req", b"{}")
            thief.send(f"modem-agent/v1/{DEVICE}/cmd/device.reboot/x/req", b"{}")
            desk.send(f"modem-agent/v1/{OTHER}/cmd/status/secret/req", b"{}")
            thief.problems.clear()
            thief.send(f"modem-agent/v1/{DEVICE}/e/mark", b"{}")
            await desk.until(lambda: [t for t, _, _ in desk.messages if t.endswith("/e/mark")])
            await other.until(lambda: [t for t, _, _ in other.messages if "secret" in t])
            assert [t for t, _, _ in desk.messages if OTHER in t and "cmd/status" not in t] == []
            assert [t for t, _, _ in desk.messages if "reboot" in t] == []
            assert [t for t, _, _ in thief.messages if OTHER in t] == []
            desk.problems.clear()  # the raw messages above are no reports

    asyncio.run(story())


@pytest.mark.parametrize(
    ("user", "command", "arrives"),
    [
        ("support", "status", True),
        ("support", "plan.topup", False),
        ("support", "device.reboot", False),
        ("backoffice", "agent.rebirth", True),
        ("backoffice", "status", False),
        ("desk", "plan.topup", True),
    ],
)
def test_a_role_can_publish_only_its_commands(fleet: Fleet, user: str, command: str, arrives: bool) -> None:
    async def story() -> None:
        async with fleet.device("device", clean=True) as device, fleet.desk(user) as desk:
            desk.send(f"modem-agent/v1/{DEVICE}/cmd/{command}/c/req", b"{}")
            desk.send(f"modem-agent/v1/{DEVICE}/cmd/agent.rebirth/mark/req", b"{}")
            await device.until(lambda: [t for t, _, _ in device.messages if "/mark/" in t])
            assert bool([t for t, _, _ in device.messages if f"/{command}/c/" in t]) is arrives

    asyncio.run(story())


def test_without_a_certificate_or_with_a_foreign_one_there_is_no_session(fleet: Fleet, tmp_path: Path) -> None:
    stranger = Pki(tmp_path / "stranger")
    stranger.issue("device", DEVICE)

    async def story() -> None:
        for files in (
            {"ca_file": fleet.pki.path("ca.pem")},
            {
                **fleet.files("device"),
                "cert_file": stranger.path("device.pem"),
                "key_file": stranger.path("device.key"),
            },
            {**fleet.files("device"), "ca_file": stranger.path("ca.pem")},
        ):
            with StandIn(tmp_path, config_for(fleet.tls_url, **files)) as agent:
                await agent.outbox.open()
                outcome = await agent.session._attempt()
                assert outcome.lasted_s == 0
                assert outcome.reason

    asyncio.run(story())
