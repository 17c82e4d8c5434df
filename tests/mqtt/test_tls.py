"""Certificates, keys and the clock; what a connection costs on the wire; the broker's own wishes."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from agent.config import OperatorSettings
from agent.errors import ConfigError
from agent.mqtt import tls
from agent.mqtt.reconnection import End
from agent.mqtt.transport import Closed
from agent.net.wire_cost import Meter
from agent.plan import Trust
from tests.commands.standin import DEVICE, StandIn, config_for
from tests.mqtt.broker import Mosquitto
from tests.mqtt.desk import Desk
from tests.mqtt.pki import Pki

needs_psk = pytest.mark.skipif(sys.version_info < (3, 13), reason="psk: this Python's ssl has no TLS-PSK (3.13 on)")


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    made = Pki(tmp_path_factory.mktemp("pki"))
    made.issue("broker", "127.0.0.1", host="127.0.0.1")
    made.issue("expired", "127.0.0.1", host="127.0.0.1", days=0)
    made.issue("elsewhere", "other", host="192.0.2.1")
    return made


def secured(tmp_path: Path, pki: Pki, name: str) -> Mosquitto:
    folder = tmp_path / "broker"
    folder.mkdir()
    lines = f"certfile {pki.path(f'{name}.pem')}\nkeyfile {pki.path(f'{name}.key')}\ntls_version tlsv1.2\n"
    return Mosquitto(folder, tls=lines)


def attempt(tmp_path: Path, broker: Mosquitto, pki: Pki, trust: Trust) -> str:
    """Empty when the session came to be, else why not."""

    async def story() -> str:
        with StandIn(tmp_path, config_for(f"mqtts://127.0.0.1:{broker.port}", ca_file=pki.path("ca.pem"))) as agent:
            agent.clock.trust = trust
            if trust is Trust.UNSYNC:
                agent.clock.wall = datetime(1970, 1, 1, tzinfo=timezone.utc)
            await agent.outbox.open()
            running = asyncio.create_task(agent.session.run())
            for _ in range(500):
                if agent.session.state.connected or agent.session.state.last_error:
                    break
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)  # a tick or two, in which the session is looked after
            problem = agent.session.state.last_error
            await agent.session.stop()
            await running
            return problem

    return asyncio.run(story())


@pytest.mark.parametrize(
    ("certificate", "trust", "says"),
    [
        ("broker", Trust.SYNC, ""),
        ("broker", Trust.UNSYNC, ""),
        ("expired", Trust.SYNC, "certificate has expired"),
        ("expired", Trust.UNSYNC, ""),  # dates are not judged at 1970, the chain and the name are
        ("elsewhere", Trust.SYNC, "IP address mismatch"),
        ("elsewhere", Trust.UNSYNC, "IP address mismatch"),
    ],
)
def test_certificates_and_the_clock(tmp_path: Path, pki: Pki, certificate: str, trust: Trust, says: str) -> None:
    with secured(tmp_path, pki, certificate) as broker:
        problem = attempt(tmp_path, broker, pki, trust)
    assert (says in problem) if says else problem == ""


def test_an_expired_certificate_ends_the_session_once_the_clock_is_trusted() -> None:
    dates = {"notBefore": "Nov 20 00:00:00 2026 GMT", "notAfter": "Nov 22 00:00:00 2026 GMT"}
    middle = datetime(2026, 11, 21, tzinfo=timezone.utc)
    assert tls.expired(dates, middle) == ""
    assert "was valid until" in tls.expired(dates, middle + timedelta(days=2))
    assert "valid only from" in tls.expired(dates, middle - timedelta(days=2))
    assert tls.expired(None, middle) == ""


@pytest.mark.parametrize(("name", "says"), [("lapsed", "expired"), ("nobody", "decrypt error|unknown ca")])
def test_a_broker_that_refuses_our_certificate_is_quoted(tmp_path: Path, pki: Pki, name: str, says: str) -> None:
    """With TLS 1.3 the refusal comes after the handshake, as an alert in the place of the CONNACK. The stranger's CA
    has the right name and another key: the signature is wrong, or (OpenSSL 3.5 writes key identifiers) none matches."""
    pki.issue("lapsed", DEVICE, days=0)
    stranger = Pki(tmp_path / "stranger")
    stranger.issue("nobody", DEVICE)
    folder = stranger.folder if name == "nobody" else pki.folder
    (tmp_path / "broker").mkdir()
    lines = (
        f"cafile {pki.path('ca.pem')}\ncertfile {pki.path('broker.pem')}\nkeyfile {pki.path('broker.key')}\n"
        "require_certificate true\n"
    )
    files = {"ca_file": pki.path("ca.pem"), "cert_file": f"{folder}/{name}.pem", "key_file": f"{folder}/{name}.key"}

    async def story(broker: Mosquitto) -> str:
        context = tls.context(config_for(broker.url, **files).operator, clock_trusted=True)
        async with Desk(broker.port, tls=context) as device:
            assert isinstance(device.refused, Closed)
            return device.refused.reason

    with Mosquitto(tmp_path / "broker", tls=lines) as broker:
        assert re.search(says, asyncio.run(story(broker)))


def test_an_own_certificate_that_no_broker_takes_is_named(tmp_path: Path, pki: Pki) -> None:
    now = datetime.now(timezone.utc)
    assert tls.file_problem(pki.path("ca.pem"), now) == ""
    assert "the certificate was valid until" in tls.file_problem(pki.path("expired.pem"), now)
    assert "the certificate is valid only from" in tls.file_problem(pki.path("ca.pem"), now - timedelta(days=9))
    (tmp_path / "torn.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB")
    for name in ("torn.pem", "missing.pem"):
        assert "cannot be read as a certificate" in tls.file_problem(str(tmp_path / name), now)


def test_secrets_that_others_may_read_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("word\n")
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="others may read"):
        tls.secret(str(path))
    path.chmod(0o640)
    assert tls.secret(str(path)) == "word"
    with pytest.raises(ConfigError, match="cannot be read"):
        tls.secret(str(tmp_path / "absent"))


def test_alpn_and_lowest_version(pki: Pki) -> None:
    context = tls.context(OperatorSettings(ca_file=pki.path("ca.pem"), alpn="mqtt"), clock_trusted=True)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.check_hostname
    with pytest.raises(ConfigError, match="not a file of CA certificates"):
        tls.context(OperatorSettings(ca_file=pki.path("ca.key") + "x"), clock_trusted=True)


def keyed(tmp_path: Path) -> OperatorSettings:
    key = tmp_path / "psk"
    key.write_text("device1:" + bytes(range(16)).hex() + "\n")
    key.chmod(0o600)
    return OperatorSettings(psk_file=str(key))


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="no-psk: this Python has it")
def test_psk_on_a_python_without_it_is_refused_clearly(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Python 3\.13"):
        tls.context(keyed(tmp_path), clock_trusted=False)


@needs_psk
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_psk_opens_a_session_without_certificates(tmp_path: Path, protocol: str) -> None:
    """The key's identity is the broker's user: the ACL holds for it as for a certificate's name."""
    settings = keyed(tmp_path)
    folder = tmp_path / "broker"
    folder.mkdir()
    (folder / "psk").write_text(Path(settings.psk_file).read_text())
    (folder / "acl").write_text("user device1\ntopic readwrite #\n")
    lines = f"psk_hint test\npsk_file {folder}/psk\nuse_identity_as_username true\n"
    with Mosquitto(folder, f"acl_file {folder}/acl\n", tls=lines) as broker:

        async def story() -> None:
            url = f"mqtts://127.0.0.1:{broker.port}"
            config = config_for(url, psk_file=settings.psk_file, protocol=protocol)
            async with StandIn(tmp_path, config) as agent:
                for _ in range(500):
                    if agent.session.state.connected and not agent.outbox.rows:
                        break
                    await asyncio.sleep(0.01)
                assert agent.session.state.connected, agent.session.state.last_error
                assert agent.outbox.rows == 0  # the broker took what this user may write
                assert "operator.refused-publish" not in agent.session.faults

        asyncio.run(story())
        assert "u'device1'" in broker.log()


@needs_psk
def test_a_wrong_psk_opens_nothing(tmp_path: Path) -> None:
    settings = keyed(tmp_path)
    folder = tmp_path / "broker"
    folder.mkdir()
    (folder / "psk").write_text("device1:" + bytes(range(1, 17)).hex() + "\n")
    with Mosquitto(folder, tls=f"psk_hint test\npsk_file {folder}/psk\n") as broker:

        async def story() -> None:
            config = config_for(f"mqtts://127.0.0.1:{broker.port}", psk_file=settings.psk_file)
            with StandIn(tmp_path, config) as agent:
                await agent.outbox.open()
                outcome = await agent.session._attempt()
                assert outcome.end is End.UNREACHABLE
                assert "SSL" in outcome.reason

        asyncio.run(story())


def test_meter_counts_what_the_kernel_counts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as near:
        far, _ = server.accept()
        with far:
            meter = Meter(near)
            near.sendall(b"x" * 10_000)
            got = 0
            while got < 10_000:
                got += len(far.recv(65_536))
            far.sendall(b"y" * 500)
            assert near.recv(500) == b"y" * 500
            cost = meter.close()
    assert 10_000 + 52 <= cost.sent_bytes <= 10_000 + 20 * 52
    assert 500 + 52 <= cost.received_bytes <= 500 + 20 * 52


def test_server_keep_alive_is_obeyed(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    folder.mkdir()
    with Mosquitto(folder, "allow_anonymous true\nmax_keepalive 33\n") as broker:

        async def story() -> None:
            async with Desk(broker.port, "#") as desk, StandIn(tmp_path, config_for(broker.url)) as agent:
                await desk.until(lambda: desk.bodies("/status"))
                assert agent.session.state.keepalive_s == 33
                assert agent.session._connection is not None
                assert agent.session._connection._client._keepalive == 33

        asyncio.run(story())


def test_a_larger_packet_than_the_broker_takes_is_given_up_and_told(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    folder.mkdir()
    with Mosquitto(folder, "allow_anonymous true\nmax_packet_size 4000\n") as broker:

        async def story() -> None:
            config = config_for(broker.url)
            async with Desk(broker.port, "modem-agent/v1/+/e/#") as desk, StandIn(tmp_path, config) as agent:
                agent.event("fault", {"task": "large", "reason": "x" * 5_000})
                agent.event("stalled", {"task": "small"})
                await desk.until(lambda: desk.bodies("/e/stalled"))
                agent.event("stalled", {"task": "later"})
                await desk.until(lambda: desk.bodies("/e/lost"))
                (lost,) = desk.bodies("/e/lost")[0]["ranges"]
                assert lost[1] == lost[2] == desk.bodies("/e/stalled")[0]["seq"] - 1
                assert agent.session.faults["operator.too-large"] == 1

        asyncio.run(story())


def test_bound_to_an_interface(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    folder.mkdir()
    with Mosquitto(folder) as broker:

        async def story() -> None:
            async with StandIn(tmp_path, config_for(broker.url, bind_interface="lo")) as agent:
                for _ in range(500):
                    if agent.session.state.connected:
                        break
                    await asyncio.sleep(0.01)
                assert agent.session.state.connected
            wrong = replace(agent.config.operator, bind_interface="nosuch0")
            with StandIn(tmp_path, replace(agent.config, operator=wrong)) as agent:
                await agent.outbox.open()
                outcome = await agent.session._attempt()
                assert outcome.end is End.UNREACHABLE
                assert "device" in outcome.reason.lower()

        asyncio.run(story())
