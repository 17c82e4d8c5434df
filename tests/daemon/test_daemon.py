"""The daemon as a whole: a real process, a real link, a real broker, a simulated module."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

import simulator
from tests.daemon.running import Running, daemon, kernel_ip_bytes, until
from tests.mqtt.broker import Mosquitto
from tests.mqtt.desk import Desk
from tests.netns import Wire
from tests.traffic.conftest import question

pytestmark = pytest.mark.root


def test_it_starts_with_nothing_and_picks_each_up_when_it_appears(line: Wire, tmp_path: Path) -> None:
    line.near.ip("link", "del", "wan0")
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Mosquitto(folder)
    extra = f'[operator]\nurl = "{broker.url}"\n'
    with daemon(line.near, tmp_path, extra) as running:
        status = running.ask("status")
        assert status["modem"]["state"] == "absent"
        assert status["links"] == []
        until(
            lambda: running.ask("status")["announced"]["cable"]["state"] != "off"
        )  # what else is the machine's matter
        assert status["session"]["connected"] is False
        doctor = running.cli("doctor")
        assert doctor.returncode == 1
        assert "Root cause" in doctor.stdout

        with simulator.serve("quectel-ec25", link=running.port):
            until(lambda: running.modem_state == "ready", 30)
            line.connect()
            until(lambda: running.ask("status")["links"])
            before = running.counted()
            line.near.run("ping", "-c3", "-i0.2", line.far.address)
            assert running.counted() >= before + 6 * 84
            with line.near.entered(), broker:
                until(lambda: running.ask("status")["session"]["connected"], 60)


def test_garbage_on_the_serial_line_is_counted_and_survived(line: Wire, tmp_path: Path) -> None:
    with (
        simulator.serve("quectel-ec25", link=tmp_path / "modem0", faults=["noise"]),
        daemon(line.near, tmp_path) as running,
    ):
        reading = until(lambda: running.ask("status")["modem"]["reading"], 30)
        assert reading["identity"]["model"] == "EC25"
        assert reading["signal"]["rsrp_dbm"] == -95


def test_sigterm_ends_it_in_a_second_and_the_state_is_on_disk(line: Wire, tmp_path: Path) -> None:
    with daemon(line.near, tmp_path) as running:
        line.near.run("ping", "-c5", "-i0.2", line.far.address)
        counted = running.counted()
        status, seconds = running.terminate()
        assert status == 0
        assert seconds < 5  # the figure of one second is the bench's: a busy machine must not fail a test
        usage = running.ask("usage")["usage"]  # from the store, without a daemon
        assert usage["received_bytes"] + usage["sent_bytes"] >= counted > 0


def test_kill_9_loses_not_a_byte(line: Wire, tmp_path: Path) -> None:
    with daemon(line.near, tmp_path, used_bytes=1_000) as running:
        line.near.run("ping", "-c20", "-i0.05", "-s1000", line.far.address)
        running.kill()
        line.near.run("ping", "-c20", "-i0.05", "-s1000", line.far.address)
        running.start()
        until(lambda: running.counted() == 1_000 + kernel_ip_bytes(line.near))


def test_the_device_s_own_names_are_shown_and_not_charged(line: Wire, tmp_path: Path) -> None:
    """On a line that is not shaped; and a killed agent leaves no counters behind."""

    def tables() -> str:
        return line.near.run("nft", "list", "tables")

    with daemon(line.near, tmp_path) as running:
        until(tables)
        question(line.far, line.near, 53, 400)
        line.near.ip("link", "set", "wan0", "mtu", "1400")  # which has the shaper look at the line, and count
        usage = until(lambda: (found := running.ask("usage")["usage"])["management_bytes"] >= 2 * 428 and found)
        assert usage["management_bytes"] == 2 * 428
        assert usage["charged_bytes"] == usage["received_bytes"] + usage["sent_bytes"] - 2 * 428
        running.kill()
        until(lambda: not tables())


def test_a_second_daemon_is_refused(line: Wire, tmp_path: Path) -> None:
    with daemon(line.near, tmp_path) as running:
        second = running.cli("run")
        assert second.returncode == 1
        assert "another modem-agent is running" in second.stderr


def test_the_throttle_follows_a_link_that_is_made_anew(line: Wire, tmp_path: Path) -> None:
    with daemon(line.near, tmp_path, used_bytes=40_000_000_000) as running:
        until(lambda: running.ask("status")["shaper"]["state"] == "enforced")
        line.recreate()
        began = time.monotonic()
        until(lambda: "tbf" in line.near.tc("qdisc", "show", "dev", "wan0"))
        assert time.monotonic() - began < 10
        until(lambda: running.ask("status")["shaper"]["state"] == "enforced")
        assert running.ask("status")["usage"]["charged_bytes"] >= 40_000_000_000


def test_the_shaping_stays_when_the_daemon_is_killed(line: Wire, tmp_path: Path) -> None:
    with daemon(line.near, tmp_path, used_bytes=40_000_000_000) as running:
        until(lambda: running.ask("status")["shaper"]["state"] == "enforced")
        running.kill()
        assert "tbf" in line.near.tc("qdisc", "show", "dev", "wan0")


@pytest.mark.parametrize(
    ("payload", "expected"),
    [(b"\xff\xfe not JSON", "rejected"), (b"[" * 5_000, "rejected"), (b" " * 100_000, "rejected")],
    ids=["not-json", "deep", "large"],
)
def test_nonsense_on_a_command_topic_is_counted_and_survived(
    line: Wire, broker: Mosquitto, tmp_path: Path, payload: bytes, expected: str
) -> None:
    async def story(running: Running) -> None:
        async with Desk(broker.port) as desk:
            await desk.until(lambda: desk.bodies("/status"))
            topic = "modem-agent/v1/test-device/cmd/status"
            desk.send(f"{topic}/bad1/req", payload)
            answer = await desk.until(lambda: desk.bodies("bad1/res"))
            assert answer[0]["state"] == expected
            good = {"v": 1, "id": "good1", "type": "status", "args": {}, "ttl": 60, "aud": "test-device"}
            desk.send(f"{topic}/good1/req", json.dumps(good).encode())
            await desk.until(lambda: [b for b in desk.bodies("good1/res") if b["state"] == "succeeded"])
            assert running.ask("status")["faults"]["commands.command-rejected"] == 1

    extra = f'[operator]\nurl = "{broker.url}"\n'
    folder = tmp_path / "agent"
    folder.mkdir()
    running = Running(line.near, folder, extra)
    running.file.write_text(running.file.read_text().replace("[device]\n", '[device]\nid = "test-device"\n'))
    running.start()
    try:
        with line.near.entered():
            asyncio.run(story(running))
        assert "Traceback" not in running.log()
    finally:
        running.kill()
