"""The broker's ACL, with a real mosquitto and certificates: what a device and each role of the operator may do."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.mqtt import tls
from tests.brokers.cluster import bridge
from tests.commands.standin import DEVICE, StandIn, config_for
from tests.mqtt.broker import Mosquitto, free_port, wait_for_port
from tests.mqtt.desk import Desk
from tests.mqtt.pki import Pki

SHIPPED = Path(__file__).parents[2] / "firmware-config" / "broker"
OTHER = "imei::990000862471999"
PASSWORDS = ("backoffice", "support", "desk")


class Fleet(Mosquitto):
    """mosquitto with the shipped configuration and ACL: only paths and ports are others, and `more` follows."""

    def __init__(self, folder: Path, pki: Pki, more: str = "") -> None:
        super().__init__(folder)
        self.desk_port, self.consumer_port, self.pki = free_port(), free_port(), pki
        acl = folder / "modem-agent.acl"
        acl.write_bytes((SHIPPED / "modem-agent.acl").read_bytes())
        passwords = folder / "passwd"
        passwords.touch(mode=0o600)
        for user in PASSWORDS:
            subprocess.run(["mosquitto_passwd", "-b", str(passwords), user, f"secret-{user}"], check=True)
        written = (SHIPPED / "mosquitto.conf").read_text()
        for shipped, here in {
            "listener 8883": f"listener {self.port} 127.0.0.1",
            "listener 8885": f"listener {self.desk_port} 127.0.0.1",
            "listener 8886": f"listener {self.consumer_port} 127.0.0.1",
            "/etc/mosquitto/certs/device-ca.pem": pki.path("ca.pem"),
            "/etc/mosquitto/certs/": f"{pki.folder}/",
            "/etc/mosquitto/operator.passwd": str(passwords),
            "/etc/mosquitto/modem-agent.acl": str(acl),
            "/var/lib/mosquitto/": f"{folder}/",
        }.items():
            assert shipped in written
            written = written.replace(shipped, here)
        self.config.write_text(f"{written}\nuser root\nlog_dest file {folder}/mosquitto.log\nlog_type all\n{more}")

    def start(self) -> Fleet:
        super().start()
        assert self.process is not None
        wait_for_port(self.desk_port, self.process)
        wait_for_port(self.consumer_port, self.process)
        return self

    def desk(self, user: str, **target: Any) -> Desk:
        arguments: dict[str, Any] = {"port": self.desk_port, "client_id": f"test-{user}", **target}
        return Desk(username=user, password=f"secret-{user}", tls=self._context(), **arguments)

    def _context(self, **files: str) -> ssl.SSLContext:
        settings = config_for(self.url, **{"ca_file": self.pki.path("ca.pem"), **files}).operator
        return tls.context(settings, clock_trusted=True)

    def device(self, name: str, **target: Any) -> Desk:
        """A raw client with a device's certificate: what a stolen device could do."""
        return Desk(self.port, **{"client_id": f"raw-{name}", "tls": self._context(**self.files(name)), **target})

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


def test_the_shipped_bridge_hands_on_what_devices_say_and_brings_their_commands(tmp_path: Path, pki: Pki) -> None:
    """Beside the ACL, which names devices and users and no bridge. The cluster is another mosquitto here."""
    near, far = tmp_path / "near", tmp_path / "far"
    for folder in (near, far):
        folder.mkdir()

    async def story(fleet: Fleet, cluster: Mosquitto) -> None:
        config = config_for(fleet.tls_url, **fleet.files("device"))
        async with Desk(cluster.port) as desk, StandIn(tmp_path, config):
            await desk.until(lambda: desk.bodies("/m/traffic") and desk.bodies("/twin/plan") and desk.bodies("/status"))
            desk.send(f"modem-agent/v1/{DEVICE}/cmd/status/s1/req", {"v": 1, "id": "s1", "type": "status"})
            await desk.until(lambda: [a for a in desk.answers("s1") if a["state"] == "succeeded"])

    with Mosquitto(far) as cluster:
        fleet = Fleet(near, pki, bridge(cluster.port))
        with fleet:
            asyncio.run(story(fleet, cluster))


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


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("clean", [True, False])
def test_a_certificate_cannot_touch_another_devices_session(
    fleet: Fleet, tmp_path: Path, clean: bool, protocol: str
) -> None:
    """Its client id is the name in the certificate, whatever it says: what waits for the other device stays."""

    async def story() -> None:
        victim = config_for(fleet.tls_url, **fleet.files("device"))
        async with fleet.desk("desk") as desk:
            async with StandIn(tmp_path, victim):
                await desk.until(lambda: desk.bodies("/status"))
            desk.send(f"modem-agent/v1/{DEVICE}/cmd/status/waits/req", {"v": 1, "id": "waits", "type": "status"})
            async with fleet.device("other", client_id=DEVICE, clean=clean, protocol=protocol):
                pass
            async with StandIn(tmp_path, victim, instance="2") as agent:
                await desk.until(lambda: desk.answers("waits"))
                async with fleet.device("other", client_id=DEVICE, clean=clean, protocol=protocol):
                    desk.send(f"modem-agent/v1/{DEVICE}/cmd/status/now/req", {"v": 1, "id": "now", "type": "status"})
                    await desk.until(lambda: desk.answers("now"))
                assert "operator.session-lost" not in agent.session.faults
        assert f"as {OTHER} " in fleet.log()

    asyncio.run(story())


def test_a_consumers_session_is_its_users_alone(fleet: Fleet) -> None:
    """A persistent session on the consumers' listener bears the user's name: another user of that port can't end it."""

    async def story() -> None:
        mine: dict[str, Any] = {"port": fleet.consumer_port, "client_id": "x", "clean": False}
        async with fleet.desk("backoffice", **mine) as office:
            async with fleet.desk("support", **{**mine, "client_id": "backoffice"}):
                pass
            async with fleet.device("device") as device:
                device.send(f"modem-agent/v1/{DEVICE}/e/mark", b"{}")
                await office.until(lambda: [t for t, _, _ in office.messages if t.endswith("/e/mark")])
            assert office.refused is None
            office.problems.clear()  # a raw message is no report

    asyncio.run(story())


@pytest.mark.parametrize(
    ("user", "command", "arrives"),
    [
        ("support", "status", True),
        ("support", "plan.topup", False),
        ("support", "device.reboot", False),
        ("support", "agent.cancel", False),
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


@pytest.mark.parametrize(("user", "hears"), [("support", False), ("desk", True), ("backoffice", True)])
def test_who_hears_of_the_card(fleet: Fleet, user: str, hears: bool) -> None:
    async def story() -> None:
        async with fleet.device("device") as device, fleet.desk(user) as desk:
            device.send(f"modem-agent/v1/{DEVICE}/twin/sim", b"{}")
            device.send(f"modem-agent/v1/{DEVICE}/e/mark", b"{}")
            await desk.until(lambda: [t for t, _, _ in desk.messages if t.endswith("/e/mark")])
            assert bool([t for t, _, _ in desk.messages if t.endswith("/twin/sim")]) is hears
            desk.problems.clear()  # raw messages are no reports

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
