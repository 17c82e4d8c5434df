"""`modem-support send` with a real mosquitto: presence first, clear refusals, no traceback for any argument."""

from __future__ import annotations

import asyncio
import datetime
import json
import signal
import socket
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.support import cli
from tests.commands.standin import DEVICE, StandIn, config_for
from tests.mqtt.broker import Mosquitto, free_port
from tests.mqtt.desk import Desk
from tests.mqtt.pki import Pki
from tests.mqtt.test_acl import Fleet as SecuredBroker
from tests.support.publisher import retain, start, status, support


def test_presence_is_read_first(broker: Mosquitto) -> None:
    async def story() -> None:
        async with Desk(broker.port, "modem-agent/v1/+/cmd/#") as listener:
            ended = await support("--broker", broker.url, "send", "imei::nobody", "status")
            assert (ended.status, ended.out) == (1, "")
            assert "imei::nobody is unknown at this broker: nothing was sent" in ended.problem
            assert listener.messages == []

            for state in ("offline", "lost"):
                await retain(broker.port, [("gone/status", json.dumps(status(state)).encode())])
                ended = await support("--broker", broker.url, "send", "gone", "status", "--ttl", "90")
                assert (ended.status, ended.problem) == (6, "")
                assert f"sent; gone is {state}: the command waits at the broker for 90 s" in ended.out
            assert len(await listener.until(lambda: listener.messages[1:])) == 1
            ended = await support("--broker", broker.url, "send", "gone", "status", "--no-wait", "--json")
            assert (ended.status, ended.json["presence"], ended.json["waits_s"]) == (0, "lost", 600)

    asyncio.run(story())


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_command_bears_its_end(broker: Mosquitto, protocol: str) -> None:
    """MQTT 3.1.1 has no message expiry: the device alone can refuse what comes too late."""

    async def story() -> None:
        await retain(broker.port, [("gone/status", json.dumps(status("offline", nonce="a" * 16)).encode())])
        async with Desk(broker.port, "modem-agent/v1/+/cmd/#") as listener:
            words = ("--mqtt", protocol, "send", "gone", "status", "--ttl", "5", "--no-wait")
            assert (await support("--broker", broker.url, *words)).status == 0
            ((_, payload, _),) = await listener.until(lambda: listener.messages)
        envelope = json.loads(payload)
        assert envelope["exp"] - envelope["iat"] == envelope["ttl"] == 5
        assert envelope["nonce"] == "a" * 16

    asyncio.run(story())


def test_what_comes_too_late_is_not_done(tmp_path: Path, broker: Mosquitto) -> None:
    """A device that was away for longer than the command's time, over MQTT 3.1.1."""

    async def story() -> None:
        config = config_for(broker.url, protocol="3.1.1")
        async with StandIn(tmp_path, config) as agent:
            await until_connected(agent)
        words = ("--mqtt", "3.1.1", "send", DEVICE, "plan.topup", "bytes=5GB", "--ttl", "1", "--no-wait")
        assert (await support("--broker", broker.url, *words)).status == 0
        async with Desk(broker.port, "modem-agent/v1/+/cmd/+/+/res") as listener:
            again = StandIn(tmp_path, config, instance="2")
            again.clock.wall = datetime_of(time.time() + 60)
            async with again:
                ((_, payload, _),) = await listener.until(lambda: listener.messages)
                assert json.loads(payload)["state"] == "expired"
                assert again.snapshot().usage.limit_bytes == 40_000_000_000

    asyncio.run(story())


def datetime_of(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)


async def until_connected(agent: StandIn) -> None:
    for _ in range(500):
        if agent.session.state.connected and agent.outbox.rows == 0:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(agent.session.state.last_error)


def test_refusals_of_the_broker_end_in_four(tmp_path: Path) -> None:
    async def story() -> None:
        pki = Pki(tmp_path / "pki")
        pki.issue("broker", "localhost", host="127.0.0.1")
        folder = tmp_path / "broker"
        folder.mkdir()
        broker = SecuredBroker(folder, pki)
        with broker:
            presence = json.dumps(status()).encode()
            pki.issue("device", DEVICE)
            context = broker.device("device").target.tls
            await retain(broker.port, [(f"{DEVICE}/status", presence)], tls=context)
            for name in ("support", "wrong"):
                (tmp_path / name).write_text(f"secret-{name}")
                (tmp_path / name).chmod(0o600)
            url = f"mqtts://127.0.0.1:{broker.desk_port}"
            login = ("--broker", url, "--ca", pki.path("ca.pem"), "--user", "support", "--password-file")

            ended = await support(*login, str(tmp_path / "wrong"), "send", DEVICE, "status")
            assert (ended.status, ended.out) == (4, "")
            assert "the broker refused the connection: Not authorized" in ended.problem
            ended = await support(*login, str(tmp_path / "support"), "send", DEVICE, "device.reboot")
            assert (ended.status, ended.out) == (4, "")
            assert "the broker refused the command (0x87): not permitted for this user" in ended.problem

            ended = await support("--broker", f"mqtt://127.0.0.1:{broker.port}", "fleet")
            assert (ended.status, ended.out) == (1, "")
            assert "this port is for TLS; say mqtts://" in ended.problem
        plain = tmp_path / "plain"
        plain.mkdir()
        with Mosquitto(plain) as other:
            ended = await support("--broker", f"mqtts://127.0.0.1:{other.port}", "fleet")
            assert (ended.status, ended.out) == (1, "")
            assert "is this port for mqtt://?" in ended.problem

    asyncio.run(story())


@pytest.mark.parametrize("url", [
    "mqttS://H", "mqttss://H", "ws://H", "http://H", "tcp://H", "ssl://H", "://H", "H", "mqtt:H", "mqtt://H:abc",
    "mqtt://H:0", "mqtt://H:65536", "mqtt://user:word@H", "mqtt://", "mqtt://H/path", "mqtt://H?tls", "mqtt://[::1",
])  # fmt: skip
def test_nothing_is_sent_where_the_url_is_wrong(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "word").write_text("secret")
    (tmp_path / "word").chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = url.replace("H", f"127.0.0.1:{listener.getsockname()[1]}", 1) if ":" not in url[8:] else url
        words = ["--broker", here, "--user", "desk", "--password-file", str(tmp_path / "word"), "fleet"]
        assert cli.run(words) == 2
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert capsys.readouterr().err.startswith("modem-support: --broker ")


WORDS = (
    st.text(st.characters(exclude_characters="\0"), max_size=12)
    | st.sampled_from([
        "send", "watch", "fleet", "ask-rebirth", "--json", "--for", "--timeout", "--ttl", "--sign", "--ask",
        "--devices", "--silent", "--lost", "--user", "--root", "--mqtt", "5", "nan", "inf", "-1", "1e999", "9" * 400,
        "0.1", "2h", "imei::1 2", "a/b", "a#b", "+", "imei::1", "status", "plan.topup", "bytes=5GB",
        "bytes=" + "9" * 5_000,
        "bytes=1e999GB", "bytes=nanGB", "x=" + "[" * 60_000, "x=NaN", "=",
        "\udcff", "x=\udcff", "/", "/dev/null", "/no",
    ])
)  # fmt: skip


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(WORDS, max_size=7))
def test_no_argument_ends_in_a_traceback(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEM_SUPPORT_BROKER", f"mqtt://127.0.0.1:{NOBODY}")
    assert cli.run(words) in range(7)


NOBODY = free_port()


@pytest.mark.parametrize("words", [
    ("send", "imei::1 2", "status"), ("send", "a/b", "status"), ("watch", "a#b"), ("watch", "+"),
    ("send", "imei::1", "Status"), ("send", "imei::1", "status/x"), ("ask-rebirth", "a/b"), ("--root", "a/b", "fleet"),
    ("fleet", "--for", "nan"), ("fleet", "--timeout", "inf"), ("fleet", "--silent", "2 weeks"), ("fleet", "--ask", "/"),
    ("fleet", "--devices", "/no/such"), ("--user", "\udcff", "fleet"), ("--user", "x" * 65_536, "fleet"),
])  # fmt: skip
def test_a_wrong_argument_is_named(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--broker", f"mqtt://127.0.0.1:{NOBODY}", *words]) == 2
    problem = capsys.readouterr().err
    assert problem.startswith("modem-support: ")
    assert len(problem.splitlines()) == 1


def test_a_file_of_devices_with_a_bad_line_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = tmp_path / "devices"
    for content, problem in (
        (b"a\n\nb c\n", ":3: 'b c' is no device id"),
        (b"\n", "no device"),
        (b"\xff", "not UTF-8"),
    ):
        named.write_bytes(content)
        assert cli.run(["--broker", f"mqtt://127.0.0.1:{NOBODY}", "fleet", "--devices", str(named)]) == 2
        assert problem in capsys.readouterr().err


def test_ctrl_c_ends_it_while_it_watches_and_while_it_connects(broker: Mosquitto) -> None:
    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection and never answers
            process = await start("--broker", f"mqtt://127.0.0.1:{silent.getsockname()[1]}", "watch")
            taken, _ = await asyncio.to_thread(silent.accept)
            with taken:
                process.send_signal(signal.SIGINT)
                assert await process.communicate() == (b"", b"")
            assert process.returncode == 130

        await retain(broker.port, [("d/status", json.dumps(status()).encode())])
        process = await start("--broker", broker.url, "watch")
        assert process.stdout is not None
        assert b"online" in await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert await process.communicate() == (b"", b"")
        assert process.returncode == 130

    asyncio.run(story())


@pytest.mark.parametrize("words", [("watch",), ("watch", "--json"), ("fleet",), ("fleet", "--json")])
def test_a_closed_pipe_is_no_error(broker: Mosquitto, words: tuple[str, ...]) -> None:
    async def story() -> None:
        await retain(broker.port, [("d/status", json.dumps(status()).encode())])
        process = await start("--broker", broker.url, *words)
        assert process.stdout is not None
        process.stdout._transport.close()  # type: ignore[attr-defined]
        assert process.stderr is not None
        assert await process.stderr.read() == b""
        assert await process.wait() == 141

    asyncio.run(story())
